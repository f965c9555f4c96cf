/** CMPS, SCAS. Repeated while ZF = 1 (REPE) or ZF = 0 (REPNE). */
import { EAX, EDI, ES, ESI } from '../../base/registers.ts';
import type { Cpu } from '../cpu.ts';
import type { Instruction } from '../instruction.ts';
import { setSubtractFlags } from '../integer/flags.ts';
import {
  advance,
  destinationAddress,
  direction,
  elementSize,
  load,
  sourceAddress,
  sourceSegment,
} from './addressing.ts';
import { comparisons, loadRam, matches } from './ram.ts';
import { elementsInPage, repeat } from './repeat.ts';

/** CMPS — Compare String Operands: source minus destination. */
export function cmps(cpu: Cpu, i: Instruction): void {
  if (i.rep === 0) compareElement(cpu, i);
  else repeat(cpu, i, compareRun, compareElement, true);
}

function compareElement(cpu: Cpu, i: Instruction): void {
  const size = elementSize(i);
  const a = load(cpu, sourceAddress(cpu, i, size), size);
  const b = load(cpu, destinationAddress(cpu, i, size, false), size);
  setSubtractFlags(cpu, a, b, size);
  advance(cpu, i, ESI, direction(cpu, size));
  advance(cpu, i, EDI, direction(cpu, size));
}

function compareRun(cpu: Cpu, i: Instruction, most: number): number {
  const size = elementSize(i);
  const source = sourceAddress(cpu, i, size);
  let n = elementsInPage(cpu, i, sourceSegment(i), ESI, source, size, most);
  if (n === 0) return 0;
  const first = cpu.mmu.ramForRead(source);
  if (first < 0) return 0;
  const destination = destinationAddress(cpu, i, size, false);
  n = elementsInPage(cpu, i, ES, EDI, destination, size, n);
  if (n === 0) return 0;
  const second = cpu.mmu.ramForRead(destination);
  if (second < 0) return 0;

  const step = direction(cpu, size);
  n = comparisons(cpu.memory, first, second, n, step, i.rep === 0xf3);
  const last = (n - 1) * step;
  const { u8 } = cpu.memory;
  setSubtractFlags(cpu, loadRam(u8, first + last, size), loadRam(u8, second + last, size), size);
  advance(cpu, i, ESI, n * step);
  advance(cpu, i, EDI, n * step);
  return n;
}

/** SCAS — Scan String: accumulator minus destination. */
export function scas(cpu: Cpu, i: Instruction): void {
  if (i.rep === 0) scanElement(cpu, i);
  else repeat(cpu, i, scanRun, scanElement, true);
}

function scanElement(cpu: Cpu, i: Instruction): void {
  const size = elementSize(i);
  const b = load(cpu, destinationAddress(cpu, i, size, false), size);
  setSubtractFlags(cpu, accumulator(cpu, size), b, size);
  advance(cpu, i, EDI, direction(cpu, size));
}

function scanRun(cpu: Cpu, i: Instruction, most: number): number {
  const size = elementSize(i);
  const destination = destinationAddress(cpu, i, size, false);
  let n = elementsInPage(cpu, i, ES, EDI, destination, size, most);
  if (n === 0) return 0;
  const at = cpu.mmu.ramForRead(destination);
  if (at < 0) return 0;

  const step = direction(cpu, size);
  const a = accumulator(cpu, size);
  n = matches(cpu.memory, at, n, step, a, i.rep === 0xf3);
  setSubtractFlags(cpu, a, loadRam(cpu.memory.u8, at + (n - 1) * step, size), size);
  advance(cpu, i, EDI, n * step);
  return n;
}

const accumulator = (cpu: Cpu, size: number): number =>
  size === 1 ? cpu.S8[EAX << 2] : size === 2 ? cpu.S16[EAX << 1] : cpu.S[EAX];
