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
  sourceAddress,
  sourceSegment,
} from './addressing.ts';

const direction = (cpu: Cpu, size: number): number => (backwards(cpu) ? -size : size);

/** Whether the prefix wants another iteration after a comparison with this outcome. */
const goesOn = (i: Instruction, equal: boolean): boolean => equal === (i.rep === 0xf3);

/** CMPS — Compare String Operands: source minus destination. */
export function cmps(cpu: Cpu, i: Instruction): void {
  if (i.rep === 0 || !comparePage(cpu, i)) iterate(cpu, i, compareElement);
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

function comparePage(cpu: Cpu, i: Instruction): boolean {
  let most = allowedIterations(cpu, i);
  if (most === 0) return false;
  const size = elementSize(i);
  const source = sourceAddress(cpu, i, size);
  most = elementsInPage(cpu, i, sourceSegment(i), ESI, source, size, most);
  if (most < 2) return false;
  const first = cpu.mmu.ramForRead(source);
  if (first < 0) return false;
  const destination = destinationAddress(cpu, i, size, false);
  most = elementsInPage(cpu, i, ES, EDI, destination, size, most);
  if (most < 2) return false;
  const second = cpu.mmu.ramForRead(destination);
  if (second < 0) return false;

  const { u8 } = cpu.memory;
  const step = direction(cpu, size);
  const whileEqual = i.rep === 0xf3;
  let n = 0;
  let a = 0;
  let b = 0;
  do {
    a = loadRam(u8, first + n * step, size);
    b = loadRam(u8, second + n * step, size);
    n++;
  } while (n < most && (a === b) === whileEqual);
  setSubtractFlags(cpu, a, b, size);
  advance(cpu, i, ESI, n * step);
  advance(cpu, i, EDI, n * step);
  finishIterations(cpu, i, n, goesOn(i, a === b));
  return true;
}

/** SCAS — Scan String: accumulator minus destination. */
export function scas(cpu: Cpu, i: Instruction): void {
  if (i.rep === 0 || !scanPage(cpu, i)) iterate(cpu, i, scanElement);
}

function scanElement(cpu: Cpu, i: Instruction): boolean {
  const size = elementSize(i);
  const a = accumulator(cpu, size);
  const b = load(cpu, destinationAddress(cpu, i, size, false), size);
  setSubtractFlags(cpu, a, b, size);
  advance(cpu, i, EDI, direction(cpu, size));
  return goesOn(i, a === b);
}

function scanPage(cpu: Cpu, i: Instruction): boolean {
  let most = allowedIterations(cpu, i);
  if (most === 0) return false;
  const size = elementSize(i);
  const destination = destinationAddress(cpu, i, size, false);
  most = elementsInPage(cpu, i, ES, EDI, destination, size, most);
  if (most < 2) return false;
  const at = cpu.mmu.ramForRead(destination);
  if (at < 0) return false;

  const { u8 } = cpu.memory;
  const step = direction(cpu, size);
  const whileEqual = i.rep === 0xf3;
  const a = accumulator(cpu, size);
  let n = 0;
  let b = 0;
  do {
    b = loadRam(u8, at + n * step, size);
    n++;
  } while (n < most && (a === b) === whileEqual);
  setSubtractFlags(cpu, a, b, size);
  advance(cpu, i, EDI, n * step);
  finishIterations(cpu, i, n, goesOn(i, a === b));
  return true;
}

const accumulator = (cpu: Cpu, size: number): number =>
  size === 1 ? cpu.S8[EAX << 2] : size === 2 ? cpu.S16[EAX << 1] : cpu.S[EAX];
