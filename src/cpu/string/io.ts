/** INS, OUTS: string elements from and to the port in DX. */
import { CPL, ECX, EDI, EDX, ES, ESI, SEG_BASE } from '../../base/registers.ts';
import type { Cpu } from '../cpu.ts';
import { notePort } from '../debugging/breakpoints.ts';
import type { Instruction } from '../instruction.ts';
import { checkIoPermission } from '../system/io.ts';
import {
  advance,
  counter,
  destinationAddress,
  direction,
  elementSize,
  index,
  load,
  sourceAddress,
  sourceSegment,
  store,
} from './addressing.ts';
import { again, type Element, goesOn } from './repeat.ts';

/** Iterations after which the instruction begins anew, permission and VM exit included. */
const SOME = 64;

/** Executes `element` once, or as often as the counter says, SOME times at most. */
function iterate(cpu: Cpu, i: Instruction, element: Element): void {
  cpu.isRepeating = false;
  if (i.rep !== 0 && counter(cpu, i) === 0) return;
  const { rewrites } = cpu.code;
  for (let n = 1; ; n++) {
    element(cpu, i);
    if (i.rep === 0) return;
    advance(cpu, i, ECX, -1);
    if (counter(cpu, i) === 0) return;
    if (n === SOME) break;
    if (!goesOn(cpu, rewrites)) return;
  }
  again(cpu);
}

/** INS — Input from Port to String. */
export function ins(cpu: Cpu, i: Instruction): void {
  if (admitted(cpu, i, true)) iterate(cpu, i, inputElement);
}

/** The port is read only when nothing can fault any more: reading may have an effect. */
function inputElement(cpu: Cpu, i: Instruction): void {
  const size = elementSize(i);
  const linear = destinationAddress(cpu, i, size, true);
  cpu.mmu.probeWrite(linear, size, cpu.S[CPL] === 3);
  const port = cpu.S16[EDX << 1];
  store(cpu, linear, size, cpu.ports.read(port, size));
  notePort(cpu, port, size);
  advance(cpu, i, EDI, direction(cpu, size));
}

/** OUTS — Output String to Port. */
export function outs(cpu: Cpu, i: Instruction): void {
  if (admitted(cpu, i, false)) iterate(cpu, i, outputElement);
}

function outputElement(cpu: Cpu, i: Instruction): void {
  const size = elementSize(i);
  const value = load(cpu, sourceAddress(cpu, i, size), size);
  advance(cpu, i, ESI, direction(cpu, size));
  const port = cpu.S16[EDX << 1];
  cpu.ports.write(port, value >>> 0, size);
  notePort(cpu, port, size);
}

/** Permission to use the port, then the VM exit, then everything else. Without an iteration to do neither is asked. */
function admitted(cpu: Cpu, i: Instruction, input: boolean): boolean {
  if (i.rep !== 0 && counter(cpu, i) === 0) return true;
  const size = elementSize(i);
  const port = cpu.S16[EDX << 1];
  checkIoPermission(cpu, port, size);
  if (!cpu.monitor?.nonRoot) return true;
  const segment = input ? ES : sourceSegment(i);
  const linear = (cpu.S[SEG_BASE + segment] + index(cpu, i, input ? EDI : ESI)) | 0;
  return !cpu.monitor.interceptIo(i, port, size, input, true, linear);
}
