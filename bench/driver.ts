/** One image on the built package, in a process of its own: node dist/bench/driver.js WAY IMAGE.
 *  The guest's serial port is standard output, byte by byte; on standard error follows what the harness asks for. */

import { readFileSync, writeSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { MinimalHypervisor } from './minimal-hypervisor.ts';
import { isWay, type Way } from './ways.ts';

// As the command line does (src/cli/main.ts).
setFlagsFromString('--no-use-osr');

const MEBIBYTE = 1 << 20;
const GUEST_MEMORY = 64 * MEBIBYTE;
/** What the hypervisor needs for itself, and room to find 2 MiB in one piece. */
const HYPERVISOR_MEMORY = 32 * MEBIBYTE;

// The package itself and not its sources: what is measured is what users get.
const { Hypervisor, Machine, RootModePort } = (await import(
  new URL('../index.js', import.meta.url).href
)) as typeof import('../src/index.ts');

/** Sends bytes on, and counts instructions between the marks. */
class Line {
  /** Instructions that the guest has retired. */
  now = (): number => 0;
  #from = -1;
  #to = -1;
  readonly #byte = new Uint8Array(1);

  transmit(byte: number): void {
    this.#byte[0] = byte;
    writeSync(1, this.#byte);
    if (byte === 0x3c && this.#from < 0) this.#from = this.now();
    else if (byte === 0x3e && this.#from >= 0 && this.#to < 0) this.#to = this.now();
  }

  get count(): number {
    return this.#to - this.#from;
  }
}

function runBare(image: Uint8Array, line: Line): void {
  const machine = new Machine({ memory: GUEST_MEMORY, serial: [line] });
  line.now = () => machine.instructions;
  machine.load(image);
  const stop = machine.run();
  if (stop.kind === 'unimplemented') throw stop.error;
}

function runNested(image: Uint8Array, line: Line, largePages: boolean): void {
  const machine = new Machine({ memory: GUEST_MEMORY + HYPERVISOR_MEMORY });
  const hypervisor = new Hypervisor(new RootModePort(machine));
  const vm = hypervisor.createVm({ memory: GUEST_MEMORY, image, serial: [line], largePages });
  if (largePages && vm.memory.largePages === 0) {
    console.error('left out: no 2-MiB pages of EPT on this processor');
    return;
  }
  line.now = () => vm.retired;
  const { kind } = hypervisor.run();
  if (kind !== 'ended') throw new Error(`the VM did not end: ${kind}`);
}

function runMinimal(image: Uint8Array, line: Line): void {
  const machine = new Machine({ memory: GUEST_MEMORY + HYPERVISOR_MEMORY });
  const root = new RootModePort(machine);
  line.now = () => machine.instructions;
  // The real one builds memory and VMCS; what runs the guest then is the smallest loop that can.
  const vm = new Hypervisor(root).createVm({ memory: GUEST_MEMORY, image });
  new MinimalHypervisor(root, vm.vcpu.general, (byte) => line.transmit(byte)).run();
}

const RUN: Readonly<Record<Way, (image: Uint8Array, line: Line) => void>> = {
  bare: runBare,
  nested: (image, line) => runNested(image, line, false),
  'nested-large': (image, line) => runNested(image, line, true),
  minimal: runMinimal,
};

const [way = '', file = ''] = process.argv.slice(2);
if (!isWay(way)) throw new Error(`'${way}' is no way to run an image`);
const line = new Line();
RUN[way](readFileSync(file), line);
if (line.count >= 0) console.error(`instructions ${line.count}`);
