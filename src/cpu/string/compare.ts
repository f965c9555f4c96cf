/** CMPS, SCAS. Repeated while ZF = 1 (REPE) or ZF = 0 (REPNE). */
import { EAX, EDI, ES, ESI } from '../../base/registers.ts';
import type { Cpu } from '../cpu.ts';
import type { Instruction } from '../instruction.ts';
import { setSubtractFlags } from '../integer/flags.ts';
import {
  advance,
  allowedIterations,
  backwards,
  destinationAddress,
  elementSize,
  elementsInPage,
  finishIterations,
  iterate,
  load,
  loadRam,
  NOTHING,
  ONE,
  SOME,
  sourceAddress,
  sourceSegment,
} from './addressing.ts';

const direction = (cpu: Cpu, size: number): number => (backwards(cpu) ? -size : size);

/** Whether the prefix wants another iteration after a comparison with this outcome. */
const goesOn = (i: Instruction, equal: boolean): boolean => equal === (i.rep === 0xf3);

/** CMPS — Compare String Operands: source minus destination. */
export function cmps(cpu: Cpu, i: Instruction): void {
  iterate(cpu, i, i.rep === 0 ? ONE : comparePage(cpu, i), compareElement);
}

function compareElement(cpu: Cpu, i: Instruction): boolean {
  const size = elementSize(i);
  const a = load(cpu, sourceAddress(cpu, i, size), size);
  const b = load(cpu, destinationAddress(cpu, i, size, false), size);
  setSubtractFlags(cpu, a, b, size);
  advance(cpu, i, ESI, direction(cpu, size));
  advance(cpu, i, EDI, direction(cpu, size));
  return goesOn(i, a === b);
}

function comparePage(cpu: Cpu, i: Instruction): number {
  let most = allowedIterations(cpu, i);
  if (most === 0) return NOTHING;
  const size = elementSize(i);
  const source = sourceAddress(cpu, i, size);
  most = elementsInPage(cpu, i, sourceSegment(i), ESI, source, size, most);
  if (most < 2) return ONE;
  const first = cpu.mmu.ramForRead(source);
  if (first < 0) return SOME;
  const destination = destinationAddress(cpu, i, size, false);
  most = elementsInPage(cpu, i, ES, EDI, destination, size, most);
  if (most < 2) return ONE;
  const second = cpu.mmu.ramForRead(destination);
  if (second < 0) return SOME;

  const { u8 } = cpu.memory;
  const step = direction(cpu, size);
  const n = comparisons(u8, first, second, step, most, i.rep === 0xf3);
  const a = loadRam(u8, first + (n - 1) * step, size);
  const b = loadRam(u8, second + (n - 1) * step, size);
  setSubtractFlags(cpu, a, b, size);
  advance(cpu, i, ESI, n * step);
  advance(cpu, i, EDI, n * step);
  finishIterations(cpu, i, n, goesOn(i, a === b));
  return NOTHING;
}

/** How many elements of RAM are compared until two differ (`whileEqual`) or match, the last one included. */
function comparisons(
  u8: Uint8Array,
  first: number,
  second: number,
  step: number,
  most: number,
  whileEqual: boolean,
): number {
  const size = Math.abs(step);
  let n = 0;
  if (whileEqual && step > 0) {
    const bytes = most * size;
    while (n < bytes && u8[first + n] === u8[second + n]) n++;
    return Math.min(most, Math.floor(n / size) + 1);
  }
  let equal = false;
  do {
    equal = loadRam(u8, first + n * step, size) === loadRam(u8, second + n * step, size);
    n++;
  } while (n < most && equal === whileEqual);
  return n;
}

/** SCAS — Scan String: accumulator minus destination. */
export function scas(cpu: Cpu, i: Instruction): void {
  iterate(cpu, i, i.rep === 0 ? ONE : scanPage(cpu, i), scanElement);
}

function scanElement(cpu: Cpu, i: Instruction): boolean {
  const size = elementSize(i);
  const a = accumulator(cpu, size);
  const b = load(cpu, destinationAddress(cpu, i, size, false), size);
  setSubtractFlags(cpu, a, b, size);
  advance(cpu, i, EDI, direction(cpu, size));
  return goesOn(i, a === b);
}

function scanPage(cpu: Cpu, i: Instruction): number {
  let most = allowedIterations(cpu, i);
  if (most === 0) return NOTHING;
  const size = elementSize(i);
  const destination = destinationAddress(cpu, i, size, false);
  most = elementsInPage(cpu, i, ES, EDI, destination, size, most);
  if (most < 2) return ONE;
  const at = cpu.mmu.ramForRead(destination);
  if (at < 0) return SOME;

  const { u8 } = cpu.memory;
  const step = direction(cpu, size);
  const a = accumulator(cpu, size);
  const n = matches(u8, at, step, most, a, i.rep === 0xf3);
  const b = loadRam(u8, at + (n - 1) * step, size);
  setSubtractFlags(cpu, a, b, size);
  advance(cpu, i, EDI, n * step);
  finishIterations(cpu, i, n, goesOn(i, a === b));
  return NOTHING;
}

/** How many elements of RAM are looked at until one differs from `value` (`whileEqual`) or matches it, the last one included. */
function matches(u8: Uint8Array, at: number, step: number, most: number, value: number, whileEqual: boolean): number {
  const size = Math.abs(step);
  let n = 0;
  if (size === 1) {
    do n++;
    while (n < most && (u8[at + (n - 1) * step] === value) === whileEqual);
    return n;
  }
  do n++;
  while (n < most && (loadRam(u8, at + (n - 1) * step, size) === value) === whileEqual);
  return n;
}

const accumulator = (cpu: Cpu, size: number): number =>
  size === 1 ? cpu.S8[EAX << 2] : size === 2 ? cpu.S16[EAX << 1] : cpu.S[EAX];
