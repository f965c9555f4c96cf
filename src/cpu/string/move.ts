/** MOVS, STOS, LODS. */
import { EAX, EDI, ES, ESI } from '../../base/registers.ts';
import type { Cpu } from '../cpu.ts';
import type { Instruction } from '../instruction.ts';
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
  store,
} from './addressing.ts';

const direction = (cpu: Cpu, size: number): number => (backwards(cpu) ? -size : size);

/** MOVS — Move Data From String to String. */
export function movs(cpu: Cpu, i: Instruction): void {
  iterate(cpu, i, i.rep === 0 ? ONE : movePage(cpu, i), moveElement);
}

function moveElement(cpu: Cpu, i: Instruction): boolean {
  const size = elementSize(i);
  const value = load(cpu, sourceAddress(cpu, i, size), size);
  store(cpu, destinationAddress(cpu, i, size, true), size, value);
  advance(cpu, i, ESI, direction(cpu, size));
  advance(cpu, i, EDI, direction(cpu, size));
  return true;
}

/** Moves up to the end of either page at once. Returns what is left to be done one by one. */
function movePage(cpu: Cpu, i: Instruction): number {
  let n = allowedIterations(cpu, i);
  if (n === 0) return NOTHING;
  const size = elementSize(i);
  const source = sourceAddress(cpu, i, size);
  n = elementsInPage(cpu, i, sourceSegment(i), ESI, source, size, n);
  if (n < 2) return ONE;
  const from = cpu.mmu.ramForRead(source);
  if (from < 0) return SOME;
  const destination = destinationAddress(cpu, i, size, true);
  n = elementsInPage(cpu, i, ES, EDI, destination, size, n);
  if (n < 2) return ONE;
  const to = cpu.mmu.ramForWrite(destination);
  if (to < 0) return SOME;

  const back = backwards(cpu);
  const first = back ? (n - 1) * size : 0; // bytes below the first element that are moved
  if (!moveRam(cpu.memory.u8, to - first, from - first, n * size, size, back)) return SOME;
  advance(cpu, i, ESI, n * direction(cpu, size));
  advance(cpu, i, EDI, n * direction(cpu, size));
  finishIterations(cpu, i, n, true);
  return NOTHING;
}

/** Moves bytes as a sequence of element moves would, upwards or downwards. Where a later element reads what an earlier one
 *  wrote, bytes repeat; false if they are closer than one element, when it has to be done element by element. */
function moveRam(u8: Uint8Array, to: number, from: number, bytes: number, size: number, back: boolean): boolean {
  const ahead = back ? from - to : to - from; // how far the writes run ahead of the reads
  if (ahead <= 0 || ahead >= bytes) {
    u8.copyWithin(to, from, from + bytes);
    return true;
  }
  if (ahead < size) return false;
  if (back) for (let n = bytes - 1; n >= 0; n--) u8[to + n] = u8[from + n];
  else for (let n = 0; n < bytes; n++) u8[to + n] = u8[from + n];
  return true;
}

/** STOS — Store String. */
export function stos(cpu: Cpu, i: Instruction): void {
  iterate(cpu, i, i.rep === 0 ? ONE : storePage(cpu, i), storeElement);
}

function storeElement(cpu: Cpu, i: Instruction): boolean {
  const size = elementSize(i);
  store(cpu, destinationAddress(cpu, i, size, true), size, cpu.S[EAX]);
  advance(cpu, i, EDI, direction(cpu, size));
  return true;
}

function storePage(cpu: Cpu, i: Instruction): number {
  let n = allowedIterations(cpu, i);
  if (n === 0) return NOTHING;
  const size = elementSize(i);
  const destination = destinationAddress(cpu, i, size, true);
  n = elementsInPage(cpu, i, ES, EDI, destination, size, n);
  if (n < 2) return ONE;
  const to = cpu.mmu.ramForWrite(destination);
  if (to < 0) return SOME;

  fillRam(cpu, backwards(cpu) ? to - (n - 1) * size : to, n, size, cpu.S[EAX]);
  advance(cpu, i, EDI, n * direction(cpu, size));
  finishIterations(cpu, i, n, true);
  return NOTHING;
}

function fillRam({ memory }: Cpu, at: number, n: number, size: number, value: number): void {
  if (size === 1) memory.u8.fill(value, at, at + n);
  else if (size === 2 && (at & 1) === 0) memory.u16.fill(value, at >> 1, (at >> 1) + n);
  else if (size === 4 && (at & 3) === 0) memory.i32.fill(value, at >> 2, (at >> 2) + n);
  else for (let k = 0; k < n * size; k++) memory.u8[at + k] = value >> ((k % size) * 8);
}

/** LODS — Load String. */
export function lods(cpu: Cpu, i: Instruction): void {
  iterate(cpu, i, i.rep === 0 ? ONE : loadPage(cpu, i), loadElement);
}

function loadElement(cpu: Cpu, i: Instruction): boolean {
  const size = elementSize(i);
  setAccumulator(cpu, size, load(cpu, sourceAddress(cpu, i, size), size));
  advance(cpu, i, ESI, direction(cpu, size));
  return true;
}

/** Of a page of elements only the last one stays in the accumulator. */
function loadPage(cpu: Cpu, i: Instruction): number {
  let n = allowedIterations(cpu, i);
  if (n === 0) return NOTHING;
  const size = elementSize(i);
  const source = sourceAddress(cpu, i, size);
  n = elementsInPage(cpu, i, sourceSegment(i), ESI, source, size, n);
  if (n < 2) return ONE;
  const from = cpu.mmu.ramForRead(source);
  if (from < 0) return SOME;

  setAccumulator(cpu, size, loadRam(cpu.memory.u8, from + (n - 1) * direction(cpu, size), size));
  advance(cpu, i, ESI, n * direction(cpu, size));
  finishIterations(cpu, i, n, true);
  return NOTHING;
}

function setAccumulator(cpu: Cpu, size: number, value: number): void {
  if (size === 1) cpu.S8[EAX << 2] = value;
  else if (size === 2) cpu.S16[EAX << 1] = value;
  else cpu.S[EAX] = value;
}
