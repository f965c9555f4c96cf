/** Runs programs on the bare machine, whole or in pieces, and in a VM; what they leave behind is compared. */
import type { Unimplemented } from '../../src/base/errors.ts';
import { AR_DB, CS, EIP, SEG_BASE } from '../../src/base/registers.ts';
import { decode } from '../../src/cpu/decode.ts';
import { defaultModel, type ProcessorModel } from '../../src/cpu/model.ts';
import { rows } from '../../src/cpu/opcodes/index.ts';
import { type CpuState, saveCpu } from '../../src/cpu/persist.ts';
import type { Row } from '../../src/cpu/rows.ts';
import { FREE, HYPERVISOR, VM_OWNER } from '../../src/hypervisor/frames.ts';
import { Hypervisor } from '../../src/hypervisor/hypervisor.ts';
import type { VmState } from '../../src/hypervisor/persist.ts';
import type { Vm } from '../../src/hypervisor/vm.ts';
import { Machine } from '../../src/machine/machine.ts';
import type { MachineState } from '../../src/machine/persist.ts';
import { RootModePort } from '../../src/machine/root-mode-port.ts';
import { WRITE_HALF } from '../../src/mmu/fast-tables.ts';
import * as F from '../../src/vmx/fields.ts';
import { MEMORY_BYTES } from './modes.ts';
import { kernel } from './programs.ts';

/** After so many instructions that do not exist the run ends. */
const MOST_SKIPS = 10_000;

/** Everything that a guest can tell of a run. */
export interface Outcome {
  readonly end: string;
  readonly instructions: number;
  readonly time: number;
  readonly output: string;
  readonly memory: Uint8Array;
  readonly registers: Readonly<Record<string, number>>;
  /** The board, as text. */
  readonly devices: string;
}

/** How a run is cut: the next number of instructions. */
export type Cuts = () => number;
export const WHOLE: Cuts = () => Number.POSITIVE_INFINITY;

const NUMBER = new Map<Row, number>(rows.map((row, n) => [row, n]));

class Line {
  text = '';
  transmit(byte: number): void {
    this.text += String.fromCharCode(byte);
  }
}

/** The instruction that `machine` stands at. */
function instructionAt(machine: Machine): ReturnType<typeof decode> | null {
  const { cpu } = machine;
  const bytes = new Uint8Array(16);
  const linear = (cpu.S[EIP] + cpu.S[SEG_BASE + CS]) | 0;
  let length = 0;
  while (length < 16) {
    const at = cpu.mmu.physicalOf((linear + length) | 0, 'fetch');
    if (!at.ok) break;
    const here = Math.min(16 - length, 4096 - (at.hostPhysical & 4095));
    bytes.set(machine.memory.readBytes(at.hostPhysical, here), length);
    length += here;
  }
  return length === 0 ? null : decode(bytes, 0, length, cpu.codeSize);
}

/** Length of an instruction that the machine does not have, 0 if it cannot be told. */
function lengthOf(error: Unimplemented, codeSize: 2 | 4): number {
  const bytes = Uint8Array.from(error.bytes ?? []);
  const i = decode(bytes, 0, bytes.length, codeSize);
  return typeof i === 'string' ? 0 : i.length;
}

/** The processor that a guest of the default machine has: the machine's, without VMX. */
export const guestModel: ProcessorModel = {
  ...defaultModel,
  features: new Set([...defaultModel.features].filter((feature) => feature !== 'VMX')),
};

/** A bare machine with the processor that guests have. */
export class Bare {
  readonly machine: Machine;
  readonly #line = new Line();
  readonly #initial: MachineState;

  constructor(options: { memory?: number } = {}) {
    this.machine = new Machine({
      memory: options.memory ?? MEMORY_BYTES,
      processor: guestModel,
      serial: [this.#line],
      contexts: 8,
    });
    this.machine.load(Uint8Array.of(0xf4), { load: kernel.origin });
    this.#initial = this.machine.save();
  }

  run(image: Uint8Array, limit: number, cuts: Cuts = WHOLE): Outcome {
    const { machine } = this;
    machine.restore(this.#initial);
    machine.memory.writeBytes(kernel.origin, image);
    this.#line.text = '';
    return this.#goOn(limit, cuts);
  }

  /** As far as `cut`; the rest on another machine, from the state of this one. */
  runMoved(image: Uint8Array, limit: number, cut: number, other: Bare): Outcome {
    const first = this.run(image, Math.min(cut, limit));
    if (first.end !== 'limit') return first;
    other.machine.restore(JSON.parse(JSON.stringify(this.machine.save())));
    other.#line.text = first.output;
    return other.#goOn(limit, WHOLE);
  }

  #goOn(limit: number, cuts: Cuts): Outcome {
    const { machine } = this;
    let skips = 0;
    let end = 'limit';
    while (machine.instructions < limit) {
      const stop = machine.run({ maxInstructions: Math.min(cuts(), limit - machine.instructions) });
      if (stop.kind === 'limit') continue;
      end = stop.kind;
      if (stop.kind !== 'unimplemented') break;
      const length = lengthOf(stop.error, machine.cpu.codeSize);
      if (length === 0 || ++skips >= MOST_SKIPS) break;
      machine.setRegisters({ eip: (machine.cpu.S[EIP] + length) >>> 0 });
      end = 'limit';
    }
    return {
      end,
      instructions: machine.instructions,
      time: machine.cpu.now(),
      output: this.#line.text,
      memory: machine.memory.u8.slice(),
      registers: ofBare(saveCpu(machine.cpu)),
      devices: JSON.stringify(machine.devices.save()),
    };
  }

  /** Instruction by instruction, with nothing decoded in advance. `count` gets the number of each row. */
  runSingly(image: Uint8Array, limit: number, count: (row: number) => void, clear = true): Outcome {
    const { machine } = this;
    const end = machine.observe({
      onInstruction: () => {
        const i = instructionAt(machine);
        if (i !== null && typeof i !== 'string') count(NUMBER.get(i.row) ?? -1);
      },
    });
    try {
      return this.run(image, limit, () => {
        if (clear) machine.cpu.code.clear();
        return 1;
      });
    } finally {
      end();
    }
  }
}

const HOST_BYTES = 0x60_0000;
const PATTERN = 0xa5;

/** A VM beside an idle one, in a machine whose free memory holds a pattern. */
export class Nested {
  readonly machine: Machine;
  readonly #hypervisor: Hypervisor;
  readonly #vm: Vm;
  readonly #line = new Line();
  readonly #initial: VmState;
  /** The host's memory as it has to stay, but for the frames of the VM. */
  readonly #before: Uint8Array;

  constructor() {
    this.machine = new Machine({ memory: HOST_BYTES, contexts: 8 });
    this.#hypervisor = new Hypervisor(new RootModePort(this.machine));
    const image = Uint8Array.of(0xf4);
    const load = kernel.origin;
    this.#vm = this.#hypervisor.createVm({ memory: MEMORY_BYTES, image, load, serial: [this.#line] });
    const neighbour = this.#hypervisor.createVm({ memory: MEMORY_BYTES / 2, image, load: 0x1000, name: 'neighbour' });
    neighbour.memory.writeBytes(0, new Uint8Array(neighbour.memory.bytes).fill(PATTERN));
    this.#initial = this.#hypervisor.save(this.#vm);
    neighbour.idle = true;
    const { frames } = this.#hypervisor;
    for (let f = 0; f < frames.frames; f++)
      if (frames.ownerOf(f) === FREE) this.machine.memory.writeBytes(f * 4096, new Uint8Array(4096).fill(PATTERN));
    this.#before = this.machine.memory.u8.slice();
  }

  run(image: Uint8Array, limit: number): Outcome {
    const vm = this.#vm;
    this.#hypervisor.restore(vm, this.#initial);
    vm.memory.writeBytes(kernel.origin, image);
    this.#line.text = '';
    let skips = 0;
    let end = 'limit';
    for (;;) {
      const result = this.#hypervisor.run({ maxInstructions: limit - vm.retired });
      if (result.kind === 'limit') break;
      const stop = vm.stopReason;
      end = stop?.kind ?? (result.kind === 'ended' ? 'halted' : result.kind);
      if (stop?.kind !== 'unimplemented') break;
      const isWide = (vm.vcpu.read(F.GUEST_CS_ACCESS_RIGHTS) & AR_DB) !== 0;
      const length = lengthOf(stop.error, isWide ? 4 : 2);
      if (length === 0 || ++skips >= MOST_SKIPS) break;
      vm.vcpu.write(F.GUEST_RIP, vm.vcpu.read(F.GUEST_RIP) + length);
      vm.stopReason = null;
      end = 'limit';
    }
    return {
      end,
      instructions: vm.retired,
      time: vm.time,
      output: this.#line.text,
      memory: vm.memory.readBytes(0, vm.memory.bytes),
      registers: ofVm(this.#hypervisor.save(vm).vcpu),
      devices: JSON.stringify(vm.devices.save()),
    };
  }

  /** What the VM reached, or could reach now, that is not its own: changed frames of others, EPT entries and fast-table slots that
   *  lead elsewhere. The page of ones that stands for missing memory may be read. Empty, if all is well. */
  trespasses(): string[] {
    const { frames } = this.#hypervisor;
    const { memory, cpu } = this.machine;
    const own = VM_OWNER + this.#vm.number;
    const found: string[] = [];
    const same = (at: number): boolean =>
      Buffer.compare(memory.u8.subarray(at, at + 4096), this.#before.subarray(at, at + 4096)) === 0;
    for (let frame = 0; frame < frames.frames; frame++) {
      const owner = frames.ownerOf(frame);
      if (owner !== own && owner !== HYPERVISOR && !same(frame * 4096))
        found.push(`frame ${frame} of owner ${owner} was written`);
    }
    const isOnes = (frame: number): boolean =>
      frames.ownerOf(frame) === HYPERVISOR &&
      memory.i32.subarray(frame << 10, (frame + 1) << 10).every((word) => word === -1);
    const check = (where: string, frame: number, writable: boolean): void => {
      if (frames.ownerOf(frame) !== own && (writable || !isOnes(frame)))
        found.push(`${where} leads to frame ${frame} of owner ${frames.ownerOf(frame)}${writable ? ', writable' : ''}`);
    };
    const walk = (table: number, level: number, from: number): void => {
      for (let k = 0; k < 512; k++) {
        const entry = memory.read32(table + 8 * k);
        if ((entry & 7) === 0) continue;
        const page = from + k * 512 ** (level - 1);
        const frame = (entry >>> 12) + memory.read32(table + 8 * k + 4) * 0x10_0000;
        if (level > 1 && (entry & 0x80) === 0) walk(frame * 4096, level - 1, page);
        else for (let f = 0; f < 512 ** (level - 1); f++) check(`EPT page ${page + f}`, frame + f, (entry & 2) !== 0);
      }
    };
    walk(this.#vm.eptPointer - (this.#vm.eptPointer % 4096), 4, 0);
    const { T, contexts } = cpu.mmu.caches.fast;
    for (const c of contexts) {
      if (c.lastUse < 0 || c.eptrta < 0) continue;
      for (let page = 0; page < 0x10_0000; page++) {
        for (const half of [0, WRITE_HALF]) {
          const slot = T[c.base + half + page] as number;
          if ((slot & 0xfff) === 0) check(`fast slot of page ${page}`, (slot >>> 12) ^ page, half !== 0);
        }
      }
    }
    return found;
  }
}

const NAMES = ['eax', 'ecx', 'edx', 'ebx', 'esp', 'ebp', 'esi', 'edi'] as const;
const FIELDS: readonly (readonly [name: string, field: string])[] = [
  ['esp', 'GUEST_RSP'],
  ['eip', 'GUEST_RIP'],
  ['eflags', 'GUEST_RFLAGS'],
  ['cr0', 'GUEST_CR0'],
  ['cr3', 'GUEST_CR3'],
  ['cr4', 'GUEST_CR4'],
  ['interruptibility', 'GUEST_INTERRUPTIBILITY_STATE'],
  ...['es', 'cs', 'ss', 'ds', 'fs', 'gs', 'ldtr', 'tr'].flatMap((s) =>
    [
      ['selector', 'SELECTOR'],
      ['base', 'BASE'],
      ['limit', 'LIMIT'],
      ['access', 'ACCESS_RIGHTS'],
    ].map(([part, field]) => [`${s}.${part}`, `GUEST_${s.toUpperCase()}_${field}`] as const),
  ),
  ...['gdtr', 'idtr'].flatMap((s) =>
    [
      ['base', 'BASE'],
      ['limit', 'LIMIT'],
    ].map(([part, field]) => [`${s}.${part}`, `GUEST_${s.toUpperCase()}_${field}`] as const),
  ),
];
/** What a guest cannot see: RF, and the bits that VMX fixes in CR0 (NE) and CR4 (VMXE). */
const HIDDEN: Readonly<Record<string, number>> = { eflags: 0x1_0000, cr0: 0x20, cr4: 0x2000 };

const visible = (name: string, value: number): number => (value & ~(HIDDEN[name] ?? 0)) >>> 0;

/** The registers of a bare machine, as `ofVm` gives them. */
function ofBare(cpu: CpuState): Record<string, number> {
  const at = (path: string): number => {
    const [name, part] = path.split('.') as [keyof CpuState, string | undefined];
    return part === undefined
      ? (cpu[name] as number)
      : ((cpu[name] as unknown as Record<string, number>)[part] as number);
  };
  const result: Record<string, number> = { cr2: cpu.cr2 };
  for (const name of NAMES) result[name] = cpu[name];
  for (const [name] of FIELDS) result[name] = visible(name, at(name));
  return result;
}

function ofVm({ general, cr2, fields }: VmState['vcpu']): Record<string, number> {
  const result: Record<string, number> = { cr2: cr2 >>> 0 };
  for (const [k, name] of NAMES.entries()) result[name] = (general[k] as number) >>> 0;
  for (const [name, field] of FIELDS) result[name] = visible(name, fields[field] as number);
  return result;
}

/** Where two outcomes differ; empty, if they do not. */
export function differences(one: Outcome, other: Outcome): string[] {
  const found: string[] = [];
  for (const name of ['end', 'instructions', 'time', 'output', 'devices'] as const)
    if (one[name] !== other[name]) found.push(`${name}: ${one[name]} | ${other[name]}`);
  for (const [name, value] of Object.entries(one.registers))
    if (value !== other.registers[name])
      found.push(`${name}: ${value.toString(16)} | ${other.registers[name]?.toString(16)}`);
  if (Buffer.compare(one.memory, other.memory) !== 0) {
    const at = one.memory.findIndex((byte, k) => byte !== other.memory[k]);
    found.push(`memory, first at ${at.toString(16)}: ${one.memory[at]} | ${other.memory[at]}`);
  }
  return found;
}
