/** Memory operands: ModRM, SIB and displacement, chosen as NASM chooses them (SDM Vol. 2, "Addressing-Mode Encoding"). */

import type { MemoryOperand, Quantity } from './operands.ts';
import type { Register } from './registers.ts';

/** The encoding of a memory operand; `bytes` of displacement follow ModRM and SIB. */
export interface Address {
  /** ModRM without its reg field. */
  readonly modrm: number;
  /** −1: none. */
  readonly sib: number;
  readonly bytes: 0 | 1 | 2 | 4;
}

export const hasRegisters = (m: MemoryOperand): boolean => m.base !== null || (m.index !== null && m.scale !== 0);

/** Sizes of address that fit the operand: a sum of 2 and 4. */
export function addressSizes(m: MemoryOperand): number {
  if (!hasRegisters(m)) return m.displacementSize === 2 || m.displacementSize === 4 ? m.displacementSize : 2 | 4;
  let fits = 2 | 4;
  if (m.base !== null) fits &= m.base.size;
  if (m.index !== null && m.scale !== 0) fits &= m.index.size;
  return fits;
}

/** Encodes `m` with addresses of that size; a text says why it cannot be. */
export function encodeAddress(m: MemoryOperand, addressSize: 2 | 4): Address | string {
  if (!hasRegisters(m)) {
    const bytes = addressSize;
    return { modrm: addressSize === 4 ? 5 : 6, sib: -1, bytes };
  }
  return addressSize === 4 ? encode32(m) : encode16(m);
}

/** A displacement that is a number known by now. */
const isPlain = (q: Quantity): boolean => q.plus === null && !q.unknown;

/** ModRM.mod: 0 no displacement, 1 a byte, 2 a full one. */
function modOf(m: MemoryOperand, value: number, needsOne: boolean): 0 | 1 | 2 {
  const declared = m.displacementSize;
  if (!needsOne && value === 0 && isPlain(m.displacement) && declared === 0) return 0;
  if (declared > 1) return 2;
  return declared === 1 || (value >= -128 && value <= 127 && isPlain(m.displacement)) ? 1 : 2;
}

const ESP = 4;
const EBP = 5;

function encode32(m: MemoryOperand): Address | string {
  if (m.displacementSize === 2) return 'a 32-bit address has no 16-bit displacement';
  const wrong = [m.base, m.index].find((r) => r !== null && r.class !== 'r32');
  if (wrong) return `${wrong.name} cannot be part of a 32-bit address`;
  const parts = baseAndIndex(m);
  if (typeof parts === 'string') return parts;
  const { base, index, scale } = parts;
  const value = Number(BigInt.asIntN(32, m.displacement.number));
  const mod = base === null ? 0 : modOf(m, value, base.number === EBP);
  const bytes = base === null || mod === 2 ? 4 : mod;
  if (index === null && base?.number !== ESP) return { modrm: (mod << 6) | (base?.number ?? EBP), sib: -1, bytes };
  const shift = [1, 2, 4, 8].indexOf(scale);
  return { modrm: (mod << 6) | 4, sib: (shift << 6) | ((index?.number ?? 4) << 3) | (base?.number ?? EBP), bytes };
}

/** Which register becomes the base and which the index. */
function baseAndIndex(m: MemoryOperand): { base: Register | null; index: Register | null; scale: number } | string {
  let { base, index, scale } = m;
  const { register: hinted, kind } = m.hint;
  if (scale === 0) index = null;
  if (scale === 1 && base !== null && index !== null && base !== index) {
    const swap = (hinted === base && kind === 'notBase') || (hinted === index && kind === 'base');
    if (swap) [base, index] = [index, base];
  }
  // one register is a base, unless it was written [eax*1]
  if (base === null && scale === 1 && !(hinted === index && kind === 'notBase')) [base, index] = [index, null];
  // [eax*2] is [eax+eax*1], [eax*3] is [eax+eax*2], shorter than an index without a base
  const splits =
    (scale === 2 && index?.number !== ESP && (!m.nosplit || kind === 'summed')) || [3, 5, 9].includes(scale);
  if (splits && base === null) {
    base = index;
    scale--;
  }
  if (m.nosplit && index === null && base !== null && base.number !== ESP && hinted === base && kind === 'notBase') {
    index = base;
    base = null;
    scale = 1;
  }
  if (scale === 1 && index?.number === ESP) [base, index] = [index, base];
  if (index?.number === ESP) return 'esp cannot be an index';
  if (index === null) scale = 1;
  if (![1, 2, 4, 8].includes(scale)) return `${(index as Register).name}*${scale} cannot be encoded in this address`;
  return { base, index, scale };
}

const PAIRS: Readonly<Record<string, number>> = {
  'bx si': 0,
  'bx di': 1,
  'bp si': 2,
  'bp di': 3,
  si: 4,
  di: 5,
  bp: 6,
  bx: 7,
};

function encode16(m: MemoryOperand): Address | string {
  if (m.displacementSize === 4) return 'a 16-bit address has no 32-bit displacement';
  if (m.index !== null && m.scale > 1) return 'a 16-bit address has no scaled index';
  const names = [m.base, m.scale === 0 ? null : m.index].flatMap((r) => (r === null ? [] : [r.name]));
  const rm = PAIRS[names.join(' ')] ?? PAIRS[[...names].reverse().join(' ')];
  if (rm === undefined) return `[${names.join('+')}] is no 16-bit address; it can be made of bx or bp, and si or di`;
  const value = Number(BigInt.asIntN(16, m.displacement.number));
  const mod = modOf(m, value, rm === 6);
  return { modrm: (mod << 6) | rm, sib: -1, bytes: mod };
}
