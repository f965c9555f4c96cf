/** Runs of elements in plain RAM, with the outcome that one element after the other would have. Addresses are those of the first
 *  element, `step` its size, negative towards lower addresses. */
import type { PhysicalMemory } from '../../mmu/physical-memory.ts';

/** Up to so many elements a loop is quicker than a call of the typed array's methods. */
const FEW = 48;

/** Reads an element, unsigned (32 bits: a pattern). */
export const loadRam = (u8: Uint8Array, at: number, size: number): number =>
  size === 1
    ? u8[at]
    : size === 2
      ? u8[at] | (u8[at + 1] << 8)
      : u8[at] | (u8[at + 1] << 8) | (u8[at + 2] << 16) | (u8[at + 3] << 24);

function storeRam(u8: Uint8Array, at: number, size: number, value: number): void {
  u8[at] = value;
  if (size === 1) return;
  u8[at + 1] = value >> 8;
  if (size === 2) return;
  u8[at + 2] = value >> 16;
  u8[at + 3] = value >> 24;
}

/** Moves `n` elements. Where a later one reads what an earlier one wrote, bytes repeat. */
export function moveElements(memory: PhysicalMemory, to: number, from: number, n: number, step: number): void {
  if (n > FEW) moveMany(memory.u8, to, from, n, step);
  else if ((step & 3) === 0 && ((to | from) & 3) === 0) {
    const { i32 } = memory;
    const by = step >> 2;
    for (let k = 0, t = to >> 2, f = from >> 2; k < n; k++, t += by, f += by) i32[t] = i32[f];
  } else moveEach(memory.u8, to, from, n, step);
}

function moveEach(u8: Uint8Array, to: number, from: number, n: number, step: number): void {
  const size = Math.abs(step);
  if (size === 1) for (let k = 0, t = to, f = from; k < n; k++, t += step, f += step) u8[t] = u8[f];
  else for (let k = 0, t = to, f = from; k < n; k++, t += step, f += step) storeRam(u8, t, size, loadRam(u8, f, size));
}

function moveMany(u8: Uint8Array, to: number, from: number, n: number, step: number): void {
  const size = Math.abs(step);
  const bytes = n * size;
  const below = step < 0 ? bytes - size : 0; // bytes below the first element that are moved
  const ahead = step < 0 ? from - to : to - from; // how far the writes run ahead of the reads
  if (ahead <= 0 || ahead >= bytes) u8.copyWithin(to - below, from - below, from - below + bytes);
  else if (ahead >= size) spread(u8, step < 0 ? from + size : from, bytes, step < 0 ? -ahead : ahead);
  else moveEach(u8, to, from, n, step);
}

/** Repeats the |distance| bytes above `edge` (below it, if `distance` is negative) over the `bytes` bytes that follow them: what
 *  has been repeated once is repeated along with them the next time. */
function spread(u8: Uint8Array, edge: number, bytes: number, distance: number): void {
  const back = distance < 0;
  const period = Math.abs(distance);
  for (let done = 0; done < bytes; ) {
    const known = period + done;
    const chunk = Math.min(known, bytes - done);
    if (back) u8.copyWithin(edge - known - chunk, edge - chunk, edge);
    else u8.copyWithin(edge + known, edge, edge + chunk);
    done += chunk;
  }
}

/** Stores `value` in `n` elements. */
export function fillElements(memory: PhysicalMemory, at: number, n: number, step: number, value: number): void {
  const size = Math.abs(step);
  const low = step < 0 ? at + (n - 1) * step : at;
  const aligned = (low & (size - 1)) === 0;
  if (!aligned) {
    const { u8 } = memory;
    if (n <= FEW) for (let k = 0, t = low; k < n; k++, t += size) storeRam(u8, t, size, value);
    else {
      storeRam(u8, low, size, value);
      spread(u8, low, (n - 1) * size, size);
    }
    return;
  }
  const view = size === 1 ? memory.u8 : size === 2 ? memory.u16 : memory.i32;
  fillView(view, low >> (size >> 1), n, value);
}

function fillView(view: Uint8Array | Uint16Array | Int32Array, first: number, n: number, value: number): void {
  if (n > FEW) view.fill(value, first, first + n);
  else for (let k = first; k < first + n; k++) view[k] = value;
}

/** How many elements are compared until two differ (`whileEqual`) or match, the last one included; `most` at most. */
export function comparisons(
  memory: PhysicalMemory,
  first: number,
  second: number,
  most: number,
  step: number,
  whileEqual: boolean,
): number {
  const { u8 } = memory;
  if (whileEqual && step > 0) {
    const equal = equalBytes(memory, first, second, most * step);
    return Math.min(most, (equal >> (step >> 1)) + 1);
  }
  const size = Math.abs(step);
  let n = 0;
  for (let a = first, b = second; n < most; a += step, b += step) {
    n++;
    if ((loadRam(u8, a, size) === loadRam(u8, b, size)) !== whileEqual) break;
  }
  return n;
}

/** How many of `bytes` bytes are the same in two places, from the first on. */
function equalBytes({ u8, i32 }: PhysicalMemory, first: number, second: number, bytes: number): number {
  let n = 0;
  if (((first ^ second) & 3) === 0) {
    const odd = Math.min(bytes, -first & 3);
    while (n < odd && u8[first + n] === u8[second + n]) n++;
    if (n < odd) return n;
    const end = (first + bytes) >> 2;
    const apart = (second - first) >> 2;
    let w = (first + n) >> 2;
    while (w < end && i32[w] === i32[w + apart]) w++;
    n = Math.max(n, w * 4 - first);
  }
  while (n < bytes && u8[first + n] === u8[second + n]) n++;
  return n;
}

/** How many elements are looked at until one differs from `value` (`whileEqual`) or matches it, the last one included. */
export function matches(
  memory: PhysicalMemory,
  at: number,
  most: number,
  step: number,
  value: number,
  whileEqual: boolean,
): number {
  const { u8 } = memory;
  const size = Math.abs(step);
  if (step === 1) {
    const bytes = whileEqual ? bytesOf(memory, at, most, value) : bytesUnlike(memory, at, most, value);
    return Math.min(most, bytes + 1);
  }
  let n = 0;
  for (let a = at; n < most; a += step) {
    n++;
    if ((loadRam(u8, a, size) === value) !== whileEqual) break;
  }
  return n;
}

/** How many of `bytes` bytes are `value`, from the first on. */
function bytesOf({ u8, i32 }: PhysicalMemory, at: number, bytes: number, value: number): number {
  const four = Math.imul(value, 0x0101_0101);
  const end = at + bytes;
  let b = at;
  while (b < end && (b & 3) !== 0 && u8[b] === value) b++;
  if ((b & 3) === 0) while (b + 4 <= end && i32[b >> 2] === four) b += 4;
  while (b < end && u8[b] === value) b++;
  return b - at;
}

/** How many of `bytes` bytes are not `value`, from the first on. Four at once: a byte of the difference is 0 where the subtraction
 *  borrows from a byte whose top bit was clear. */
function bytesUnlike({ u8, i32 }: PhysicalMemory, at: number, bytes: number, value: number): number {
  const four = Math.imul(value, 0x0101_0101);
  const end = at + bytes;
  let b = at;
  while (b < end && (b & 3) !== 0 && u8[b] !== value) b++;
  if ((b & 3) === 0) {
    for (; b + 4 <= end; b += 4) {
      const difference = i32[b >> 2] ^ four;
      if (((difference - 0x0101_0101) & ~difference & 0x8080_8080) !== 0) break;
    }
  }
  while (b < end && u8[b] !== value) b++;
  return b - at;
}
