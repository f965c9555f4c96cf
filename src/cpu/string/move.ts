/** MOVS, STOS, LODS. */
import { EAX, EDI, ES, ESI } from '../../base/registers.ts';
import type { Cpu } from '../cpu.ts';
import type { Instruction } from '../instruction.ts';
import {
  advance,
  destinationAddress,
  direction,
  elementSize,
  load,
  sourceAddress,
  sourceSegment,
  store,
} from './addressing.ts';
import { fillElements, loadRam, moveElements } from './ram.ts';
import { elementsInPage, repeat } from './repeat.ts';

/** MOVS — Move Data From String to String. */
export function movs(cpu: Cpu, i: Instruction): void {
  if (i.rep === 0) moveElement(cpu, i);
  else repeat(cpu, i, moveRun, moveElement, false);
}

function moveElement(cpu: Cpu, i: Instruction): void {
  const size = elementSize(i);
  const value = load(cpu, sourceAddress(cpu, i, size), size);
  store(cpu, destinationAddress(cpu, i, size, true), size, value);
  advance(cpu, i, ESI, direction(cpu, size));
  advance(cpu, i, EDI, direction(cpu, size));
}

function moveRun(cpu: Cpu, i: Instruction, most: number): number {
  const size = elementSize(i);
  const source = sourceAddress(cpu, i, size);
  let n = elementsInPage(cpu, i, sourceSegment(i), ESI, source, size, most);
  if (n === 0) return 0;
  const from = cpu.mmu.ramForRead(source);
  if (from < 0) return 0;
  const destination = destinationAddress(cpu, i, size, true);
  n = elementsInPage(cpu, i, ES, EDI, destination, size, n);
  if (n === 0) return 0;
  const to = cpu.mmu.ramForWrite(destination);
  if (to < 0) return 0;

  const step = direction(cpu, size);
  moveElements(cpu.memory, to, from, n, step);
  advance(cpu, i, ESI, n * step);
  advance(cpu, i, EDI, n * step);
  return n;
}

/** STOS — Store String. */
export function stos(cpu: Cpu, i: Instruction): void {
  if (i.rep === 0) storeElement(cpu, i);
  else repeat(cpu, i, storeRun, storeElement, false);
}

function storeElement(cpu: Cpu, i: Instruction): void {
  const size = elementSize(i);
  store(cpu, destinationAddress(cpu, i, size, true), size, cpu.S[EAX]);
  advance(cpu, i, EDI, direction(cpu, size));
}

function storeRun(cpu: Cpu, i: Instruction, most: number): number {
  const size = elementSize(i);
  const destination = destinationAddress(cpu, i, size, true);
  const n = elementsInPage(cpu, i, ES, EDI, destination, size, most);
  if (n === 0) return 0;
  const to = cpu.mmu.ramForWrite(destination);
  if (to < 0) return 0;

  const step = direction(cpu, size);
  fillElements(cpu.memory, to, n, step, cpu.S[EAX]);
  advance(cpu, i, EDI, n * step);
  return n;
}

/** LODS — Load String. */
export function lods(cpu: Cpu, i: Instruction): void {
  if (i.rep === 0) loadElement(cpu, i);
  else repeat(cpu, i, loadRun, loadElement, false);
}

function loadElement(cpu: Cpu, i: Instruction): void {
  const size = elementSize(i);
  setAccumulator(cpu, size, load(cpu, sourceAddress(cpu, i, size), size));
  advance(cpu, i, ESI, direction(cpu, size));
}

/** Of all elements only the last one stays in the accumulator. */
function loadRun(cpu: Cpu, i: Instruction, most: number): number {
  const size = elementSize(i);
  const source = sourceAddress(cpu, i, size);
  const n = elementsInPage(cpu, i, sourceSegment(i), ESI, source, size, most);
  if (n === 0) return 0;
  const from = cpu.mmu.ramForRead(source);
  if (from < 0) return 0;

  const step = direction(cpu, size);
  setAccumulator(cpu, size, loadRam(cpu.memory.u8, from + (n - 1) * step, size));
  advance(cpu, i, ESI, n * step);
  return n;
}

function setAccumulator(cpu: Cpu, size: number, value: number): void {
  if (size === 1) cpu.S8[EAX << 2] = value;
  else if (size === 2) cpu.S16[EAX << 1] = value;
  else cpu.S[EAX] = value;
}
