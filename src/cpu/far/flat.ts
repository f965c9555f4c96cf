/** Flat segments, of base 0 and limit 4 GiB, which nearly every 32-bit kernel uses: recognised by the bytes of their descriptors, without
 *  unpacking them. Whatever does not look exactly so, or is not at hand in the fast tables, is left to the manual's procedures. */

import {
  CPL,
  GDTR_BASE,
  GDTR_LIMIT,
  SEG_ACCESS,
  SEG_BASE,
  SEG_LIMIT,
  SEG_SELECTOR,
  SS_,
  SYSTEM_CONTEXT,
} from '../../base/registers.ts';
import { WRITE_HALF } from '../../mmu/fast-tables.ts';
import { TABLES_AT } from '../core-words.ts';
import type { Cpu } from '../cpu.ts';

/** The low word of a flat descriptor, and what the high word is beside access rights, AVL and bit 21: 32 bits, in pages. */
const FLAT_LOW = 0xffff;
const FLAT_HIGH = 0x00cf_0000;
const FLAT_HIGH_MASK = 0xffcf_00ff | 0;
/** G and D/B, in VMX's format of access rights. */
const FLAT_RIGHTS = 0xc000;
/** Present, writable, accessed, expand-up data of any DPL. */
const DATA_MASK = 0x9f;
const DATA = 0x93;

/** Bus address of `bytes` bytes in one page for an implicit supervisor read, from the fast tables as they are; −1 if they do not say. */
export function systemRam(core: Int32Array, linear: number, bytes: number): number {
  const e = core[TABLES_AT + core[SYSTEM_CONTEXT] + (linear >>> 12)];
  return (e & 3) === 0 && (linear & 0xfff) + bytes <= 0x1000 ? e ^ linear : -1;
}

/** The same for writes. */
export function systemRamForWrite(core: Int32Array, linear: number, bytes: number): number {
  const e = core[TABLES_AT + WRITE_HALF + core[SYSTEM_CONTEXT] + (linear >>> 12)];
  return (e & 3) === 0 && (linear & 0xfff) + bytes <= 0x1000 ? e ^ linear : -1;
}

/** 32 bits of RAM, at any byte. */
export function ram32(words: Int32Array, at: number): number {
  const k = at >> 2;
  const shift = (at & 3) << 3;
  return shift === 0 ? words[k] : (words[k] >>> shift) | (words[k + 1] << (32 - shift));
}

/** The access byte of the flat descriptor in the GDT that `selector` names; −1 if it is anything else, or a look could fault. */
export function flatAccess(core: Int32Array, words: Int32Array, selector: number): number {
  const place = selector & 0xfff8;
  if ((selector & 4) !== 0 || place === 0 || place + 7 > core[GDTR_LIMIT] >>> 0) return -1;
  const at = systemRam(core, (core[GDTR_BASE] + place) | 0, 8);
  if (at < 0 || ram32(words, at) !== FLAT_LOW) return -1;
  const high = ram32(words, at + 4);
  return (high & FLAT_HIGH_MASK) === FLAT_HIGH ? (high >>> 8) & 0xff : -1;
}

/** Loads the hidden part of a segment register with a flat descriptor. Its flavour is the caller's matter. */
export function setFlat(S: Int32Array, segment: number, selector: number, access: number): void {
  S[SEG_SELECTOR + segment] = selector;
  S[SEG_BASE + segment] = 0;
  S[SEG_LIMIT + segment] = -1;
  S[SEG_ACCESS + segment] = access | FLAT_RIGHTS;
}

/** Loads DS, ES, FS or GS with a flat data segment that CPL and RPL may use (SDM Vol. 2, MOV). False: not such a case. Protected mode
 *  only. */
export function loadFlatData(cpu: Cpu, segment: number, selector: number): boolean {
  if (segment === SS_) return false;
  const access = flatAccess(cpu.core, cpu.memory.i32, selector);
  const dpl = (access >> 5) & 3;
  if ((access & DATA_MASK) !== DATA || (selector & 3) > dpl || cpu.S[CPL] > dpl) return false;
  setFlat(cpu.S, segment, selector, access);
  cpu.segmentChanged(segment);
  return true;
}
