/** Runs of guest kernels, on the bare machine and in a VM: what was printed, how it ended, and everything that went through a port or
 *  ended in an exit, as a trace whose hash two runs can be compared by. */
import { readFileSync } from 'node:fs';
import { assemble } from '../../src/asm/index.ts';
import type { ProcessorModel } from '../../src/cpu/model.ts';
import type { SerialLine } from '../../src/devices/ports.ts';
import { Hypervisor, type HypervisorOptions, type VmConfig } from '../../src/hypervisor/hypervisor.ts';
import type { Vm } from '../../src/hypervisor/vm.ts';
import { Machine, type MachineOptions } from '../../src/machine/machine.ts';
import type { RootMode } from '../../src/machine/root-mode.ts';
import { RootModePort } from '../../src/machine/root-mode-port.ts';
import type { TranslationCacheOptions } from '../../src/mmu/policy.ts';
import { EXIT_QUALIFICATION, GUEST_RIP } from '../../src/vmx/fields.ts';

const GUESTS = new URL('../../guests/', import.meta.url);
export const MIB = 0x10_0000;
/** So many fast contexts are enough for all of these. */
const CONTEXTS = 6;

/** A file of guests/; serial output is bytes. */
export const guestFile = (path: string): string => readFileSync(new URL(path, GUESTS), 'latin1');

const include = (path: string): string => guestFile(`include/${path}`);

/** An image from source text, with the guests' include files. */
export const assembled = (source: string, defines: Record<string, string | number> = {}): Uint8Array =>
  assemble(source, { include, defines }).bytes;

const images = new Map<string, Uint8Array>();
/** One of the kernels of guests/. */
export function kernel(name: string): Uint8Array {
  const image = images.get(name) ?? assembled(guestFile(`${name}/kernel.asm`));
  images.set(name, image);
  return image;
}

/** A kernel with some lines of its source left out. Each is given with what stands before it, to say which one. */
export function kernelWithout(
  name: string,
  ...lines: readonly (readonly [context: string, dropped: string])[]
): Uint8Array {
  let source = guestFile(`${name}/kernel.asm`);
  for (const [context, dropped] of lines) {
    const parts = source.split(context + dropped);
    if (parts.length !== 2) throw new Error(`${name}: ${parts.length - 1} places look like ${context}${dropped}`);
    source = parts.join(context);
  }
  return assembled(source);
}

export const mischiefWords: readonly string[] = guestFile('mischief/expected.txt').match(/(?<=^ +)[a-z-]+$/gm) ?? [];

/** A sequence of words as a hash (FNV-1a, 32 bits at a time, two of them). */
export class Trace {
  length = 0;
  #a = 0x811c_9dc5 | 0;
  #b = 0x1234_5678;

  add(...words: readonly number[]): void {
    for (const word of words) {
      this.#a = Math.imul(this.#a ^ word, 0x0100_0193);
      this.#a ^= this.#a >>> 15;
      this.#b = Math.imul(this.#b ^ word, 0x0001_0d4d) + this.#a;
    }
    this.length++;
  }

  get hash(): string {
    const digits = (n: number): string => (n >>> 0).toString(16).padStart(8, '0');
    return `${this.length}:${digits(this.#a)}${digits(this.#b)}`;
  }
}

/** A serial line that keeps what it is sent. */
export function keptLine(): SerialLine & { text: string } {
  const line = {
    text: '',
    transmit: (byte: number): void => {
      line.text += String.fromCharCode(byte);
    },
  };
  return line;
}

export interface Run {
  readonly output: string;
  readonly end: string;
  readonly instructions: number;
  readonly time: number;
  /** Every access to a port: where, how wide, which value, when. */
  readonly ports: string;
}

export interface RunOptions extends Partial<VmConfig> {
  readonly translationCache?: TranslationCacheOptions;
  readonly maxInstructions?: number;
  /** On the bare machine. */
  readonly processor?: ProcessorModel;
}

const GUEST_BYTES = 16 * MIB;
const LIMIT = 20_000_000;

const machineOptions = (memory: number, translationCache?: TranslationCacheOptions): MachineOptions => ({
  memory,
  contexts: CONTEXTS,
  ...(translationCache ? { translationCache } : {}),
});

/** The image on the bare machine. */
export function runBare(image: Uint8Array, options: RunOptions = {}): Run {
  const line = keptLine();
  const ports = new Trace();
  const machine = new Machine({
    ...machineOptions(options.memory ?? GUEST_BYTES, options.translationCache),
    ...(options.processor === undefined ? {} : { processor: options.processor }),
    serial: [line],
  });
  machine.ports.onAccess = (port, size, value, input) => ports.add(port, size, value, Number(input), machine.cpu.now());
  machine.load(image, options);
  const end = machine.run({ maxInstructions: options.maxInstructions ?? LIMIT });
  const { instructions } = machine;
  return { output: line.text, end: end.kind, instructions, time: machine.cpu.now(), ports: ports.hash };
}

/** A machine with a hypervisor; its VMs keep what they print and what they did. */
export interface NestedWorld {
  readonly machine: Machine;
  readonly hypervisor: Hypervisor;
  /** Every exit: of which VM, why, with which qualification, where, after how many instructions. */
  readonly exits: Trace;
  add(image: Uint8Array, options?: RunOptions): Vm;
  result(vm: Vm): Run;
}

export interface NestedOptions extends Omit<HypervisorOptions, 'onExit'> {
  readonly memory?: number;
  readonly translationCache?: TranslationCacheOptions;
  /** What the machine's memory holds before the hypervisor takes it. */
  readonly garbage?: number;
  readonly processor?: ProcessorModel;
  /** Puts something between the hypervisor and the port. */
  readonly between?: (root: RootModePort) => RootMode;
}

export function nestedWorld(options: NestedOptions = {}): NestedWorld {
  const { memory = 2 * GUEST_BYTES, translationCache, processor, between = (root) => root, garbage, ...rest } = options;
  const machine = new Machine({
    ...machineOptions(memory, translationCache),
    ...(processor === undefined ? {} : { processor }),
  });
  if (garbage !== undefined) machine.memory.u8.fill(garbage);
  const exits = new Trace();
  const onExit = (vm: Vm, reason: number): void =>
    exits.add(vm.number, reason, vm.vcpu.read(EXIT_QUALIFICATION), vm.vcpu.read(GUEST_RIP), vm.retired);
  const hypervisor = new Hypervisor(between(new RootModePort(machine)), { ...rest, onExit });
  const kept = new Map<Vm, { line: { text: string }; ports: Trace }>();
  return {
    machine,
    hypervisor,
    exits,
    add(image, config = {}) {
      const line = keptLine();
      const ports = new Trace();
      const vm = hypervisor.createVm({ memory: GUEST_BYTES, image, serial: [line], ...config });
      vm.ports.onAccess = (port, size, value, input) => ports.add(port, size, value, Number(input), vm.time);
      kept.set(vm, { line, ports });
      return vm;
    },
    result: (vm) => ({
      output: kept.get(vm)?.line.text ?? '',
      end: vm.stopReason?.kind ?? (vm.idle ? 'halted' : 'limit'),
      instructions: vm.retired,
      time: vm.time,
      ports: kept.get(vm)?.ports.hash ?? '',
    }),
  };
}

/** The image in a VM of its own. */
export function runNested(image: Uint8Array, options: RunOptions = {}, world: NestedOptions = {}): Run {
  const { translationCache } = options;
  const { hypervisor, add, result } = nestedWorld({ ...world, ...(translationCache ? { translationCache } : {}) });
  const vm = add(image, options);
  hypervisor.run({ maxInstructions: options.maxInstructions ?? LIMIT });
  return result(vm);
}
