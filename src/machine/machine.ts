/** The machine: one processor, memory, a board of devices, virtual time. The only place that knows all parts. */

import { VirtualClock } from '../base/clock.ts';
import { InvalidInput, Unimplemented, type Unvalidated } from '../base/errors.ts';
import { hex } from '../base/int.ts';
import { EFLAGS, EIP, EVENT_STOP, EVENTS, FLAG_IF } from '../base/registers.ts';
import { Cpu } from '../cpu/cpu.ts';
import { defaultModel, type ProcessorModel } from '../cpu/model.ts';
import { run } from '../cpu/run.ts';
import type { SerialLine } from '../devices/ports.ts';
import type { FlushAudit } from '../mmu/flush-audit.ts';
import type { MmuObserver } from '../mmu/observer.ts';
import { PhysicalMemory } from '../mmu/physical-memory.ts';
import type { TranslationCacheOptions } from '../mmu/policy.ts';
import { PortSpace } from '../mmu/port-space.ts';
import type { VmxSettings } from '../vmx/context.ts';
import { Vmx } from '../vmx/vmx.ts';
import { type BoardDescription, PC } from './board.ts';
import { type BoardDevices, instantiate } from './board-devices.ts';
import { loadEntry } from './entry-registers.ts';
import { type PlaceOptions, placeImage } from './loader/place.ts';
import { type ImageOptions, planImage } from './loader/plan.ts';
import { type MachineObserver, Observers } from './observe.ts';
import { type MachineState, restoreMachine, saveMachine } from './persist.ts';
import { type Registers, readRegisters, type WritableRegisters, writeRegisters } from './registers.ts';
import type { OwnershipChange } from './trace-event.ts';

export interface MachineOptions {
  /** Bytes of RAM, a multiple of 4096 below 2 GiB. @defaultValue 64 MiB */
  readonly memory?: number;
  /** @defaultValue a Pentium Pro with VMX */
  readonly processor?: ProcessorModel;
  /** How translations are cached. @defaultValue unlimited */
  readonly translationCache?: TranslationCacheOptions;
  /** Fast translation contexts, 8 MiB each once used. @defaultValue 16 */
  readonly contexts?: number;
  /** @defaultValue a PC: interrupt controllers, timer, two serial ports, power-off and debug-exit ports */
  readonly board?: BoardDescription;
  /** What the virtualisation extension offers. @defaultValue all that there is */
  readonly vmx?: VmxSettings;
  /** Serial lines of the board, in its order. */
  readonly serial?: readonly SerialLine[];
}

/** Why a run ended. */
export type StopReason =
  | { readonly kind: 'power-off' }
  | { readonly kind: 'debug-exit'; readonly value: number }
  /** HLT, and no event can come that ends it. */
  | { readonly kind: 'halted' }
  | { readonly kind: 'triple-fault' }
  | { readonly kind: 'limit' }
  | { readonly kind: 'stopped'; readonly why: string }
  | { readonly kind: 'unimplemented'; readonly error: Unimplemented };

export interface RunOptions {
  /** Stop after so many retired instructions, exactly. @defaultValue no limit */
  readonly maxInstructions?: number;
  /** Looked at now and then (every 2^16 instructions at most, at fixed points of virtual time): true stops the run. */
  readonly until?: () => boolean;
}

const MEBIBYTE = 0x10_0000;
/** Instructions between two looks at `until`. Each is also an occasion for the engine to go over to the compiled form of the loop. */
const LOOK = 1 << 16;
/** A halted processor that so many alarms in a row did not wake is taken to be halted for ever. */
const FRUITLESS_ALARMS = 10_000;

export class Machine {
  readonly memory: PhysicalMemory;
  readonly ports = new PortSpace();
  readonly cpu: Cpu;
  readonly clock: VirtualClock;
  readonly devices: BoardDevices;
  /** The processor's virtualisation extension, if its model has one. */
  readonly vmx: Vmx | null;
  /** Ticks of virtual time that passed while the processor was halted. */
  idleTicks = 0;
  /** Is told what root-mode software declares about frames. */
  onOwnership: ((change: OwnershipChange) => void) | null = null;
  readonly #observers: Observers;
  #end: StopReason | null = null;

  constructor(options: MachineOptions = {}) {
    const walks: MmuObserver = {};
    this.memory = new PhysicalMemory(options.memory ?? 64 * MEBIBYTE);
    this.cpu = new Cpu({
      memory: this.memory,
      ports: this.ports,
      model: options.processor ?? defaultModel,
      interruptController: { acknowledge: () => this.devices.acknowledge() },
      ...(options.translationCache ? { cache: options.translationCache } : {}),
      ...(options.contexts ? { contexts: options.contexts } : {}),
      mmuObserver: walks,
    });
    this.vmx = this.cpu.model.features.has('VMX') ? new Vmx(this.cpu, options.vmx) : null;
    this.cpu.monitor = this.vmx;
    this.clock = new VirtualClock(() => this.cpu.now());
    this.clock.onAlarmSet = (at) => this.cpu.shorten(at);
    this.devices = instantiate(options.board ?? PC, {
      ports: this.ports,
      clock: this.clock,
      interrupt: { set: (level) => this.cpu.setInterruptLine(level) },
      serial: options.serial ?? [],
      onPowerOff: () => this.#stop({ kind: 'power-off' }),
      onDebugExit: (value) => this.#stop({ kind: 'debug-exit', value }),
    });
    this.#observers = new Observers(this, walks);
  }

  /** Loads a kernel image (multiboot, flat, real mode) and sets the registers as its kind demands. Throws InvalidInput. */
  load(image: Uint8Array, options: ImageOptions & PlaceOptions = {}): void {
    const plan = planImage(image, options);
    loadEntry(this.cpu, placeImage(plan, this.memory, options));
  }

  /** From now on each use of a cached translation is compared with the tables: which flush was missed, which was superfluous. Each
   *  instruction is executed by itself, so that the report can name it. */
  auditFlushes(): FlushAudit {
    const { cpu, vmx } = this;
    const last = { eip: -1, nonRoot: false };
    this.observe({
      onInstruction: () => {
        last.eip = cpu.S[EIP] >>> 0;
        last.nonRoot = vmx?.nonRoot ?? false;
      },
    });
    return cpu.mmu.auditFlushes(() => {
      // In root operation behind a guest's last instruction it is not the processor that acts.
      const nonRoot = vmx?.nonRoot ?? false;
      return { instructions: cpu.now(), eip: last.nonRoot === nonRoot ? last.eip : -1, nonRoot };
    });
  }

  /** Runs until something ends it. */
  run(options: RunOptions = {}): StopReason {
    const last = this.instructions + (options.maxInstructions ?? Number.POSITIVE_INFINITY);
    this.#end = null;
    let fruitless = 0;
    let awakeAt = -1;
    for (;;) {
      this.clock.runDue();
      if (this.#end !== null) return this.#end;
      const left = last - this.instructions;
      if (left <= 0) return { kind: 'limit' };
      if (options.until?.()) return { kind: 'stopped', why: 'until' };
      const budget = Math.max(1, Math.min(left, this.#nextEvent() - this.cpu.now(), LOOK));
      const ended = this.#runOnce(budget);
      if (this.#end !== null) return this.#end;
      if (typeof ended !== 'string') return ended;
      if (ended === 'shutdown') return { kind: 'triple-fault' };
      if (ended === 'halted') {
        if (this.instructions !== awakeAt) fruitless = 0; // it was awake in between
        awakeAt = this.instructions;
        const next = this.#nextEvent();
        if (!this.#canWake() || next === Number.POSITIVE_INFINITY || ++fruitless > FRUITLESS_ALARMS) {
          return { kind: 'halted' };
        }
        this.#skipTo(next);
      }
    }
  }

  /** An edge on the processor's NMI pin. */
  nmi(): void {
    this.cpu.signalNmi();
  }

  /** An INIT signal, and a start-up IPI, as a local APIC would pass them on. */
  init(): void {
    this.cpu.signalInit();
  }

  startUp(vector: number): void {
    this.cpu.signalStartUp(vector);
  }

  /** Executes one instruction (or delivers one pending event and executes the first instruction of its handler). */
  step(): StopReason {
    return this.run({ maxInstructions: 1 });
  }

  /** Asks a run under way to end at the next instruction boundary. */
  stop(why: string): void {
    this.#stop({ kind: 'stopped', why });
  }

  /** Instructions retired since reset. */
  get instructions(): number {
    return this.cpu.now() - this.idleTicks;
  }

  /** All registers as a plain object; 32-bit values unsigned. */
  get registers(): Registers {
    return readRegisters(this.cpu);
  }

  /** Sets registers by name. Segment registers take visible and hidden part. */
  setRegisters(values: WritableRegisters): void {
    writeRegisters(this.cpu, values);
  }

  /** Tells `observer` what happens from now on; the function that comes back ends it. */
  observe(observer: MachineObserver): () => void {
    return this.#observers.add(observer);
  }

  /** Bytes of memory by physical or linear address (through the tables in memory, with the rights of the present CPL); changes
   *  nothing. Throws InvalidInput where there is no RAM. */
  readMemory(space: 'physical' | 'linear', at: number, length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    this.#pieces(space, at, length, 'read', (physical, from, count) =>
      bytes.set(this.memory.readBytes(physical, count), from),
    );
    return bytes;
  }

  /** Writes memory as a loader or debugger does: at once, whatever is cached. Throws InvalidInput, before anything is written. */
  writeMemory(space: 'physical' | 'linear', at: number, bytes: Uint8Array): void {
    const pieces: [at: number, bytes: Uint8Array][] = [];
    this.#pieces(space, at, bytes.length, 'write', (physical, from, count) =>
      pieces.push([physical, bytes.subarray(from, from + count)]),
    );
    for (const [physical, piece] of pieces) this.memory.writeBytes(physical, piece);
  }

  /** Everything as plain data, between two runs. */
  save(): MachineState {
    return saveMachine(this);
  }

  /** Goes on where another machine of the same make was saved. Throws InvalidInput; then make a new machine. */
  restore(state: Unvalidated<MachineState>): void {
    restoreMachine(this, state);
  }

  /** Cuts a piece of an address space at page boundaries; `each` gets the physical address of each part. */
  #pieces(
    space: 'physical' | 'linear',
    at: number,
    length: number,
    access: 'read' | 'write',
    each: (physical: number, from: number, count: number) => void,
  ): void {
    for (let done = 0; done < length; ) {
      const here = space === 'linear' ? (at + done) >>> 0 : at + done;
      const found = space === 'linear' ? this.cpu.mmu.physicalOf(here | 0, access) : null;
      const physical = found === null ? here : found.ok ? found.hostPhysical : -1;
      const count = Math.min(length - done, 4096 - (here % 4096));
      if (!(physical >= 0 && physical + count <= this.memory.bytes)) {
        const why = found !== null && !found.ok ? found.why : 'there is no RAM';
        throw new InvalidInput(`${space} address ${hex(here)} cannot be used: ${why}`);
      }
      each(physical, done, count);
      done += count;
    }
  }

  #runOnce(budget: number): ReturnType<typeof run> | StopReason {
    try {
      return run(this.cpu, budget);
    } catch (error) {
      if (error instanceof Unimplemented) return { kind: 'unimplemented', error };
      throw error;
    }
  }

  #stop(end: StopReason): void {
    this.#end ??= end;
    this.cpu.S[EVENTS] |= EVENT_STOP;
  }

  /** A halted processor takes interrupts, or in non-root operation whatever the monitor waits for. */
  #canWake(): boolean {
    return this.cpu.nmiDue || (this.cpu.S[EFLAGS] & FLAG_IF) !== 0 || (this.cpu.monitor?.nonRoot ?? false);
  }

  /** Virtual time of the next alarm, or of the end of the preemption timer. */
  #nextEvent(): number {
    return Math.min(this.clock.next, this.cpu.monitor?.nextDeadline() ?? Number.POSITIVE_INFINITY);
  }

  #skipTo(time: number): void {
    const ticks = time - this.cpu.now();
    if (ticks <= 0) return;
    this.cpu.endTime += ticks;
    this.idleTicks += ticks;
  }
}
