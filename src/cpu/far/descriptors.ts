/** Segment and gate descriptors (SDM Vol. 3, "Segment Descriptors", "System Descriptor Types", "Call Gates"). */

import { hex } from '../../base/int.ts';
import {
  AR_G,
  AR_P,
  AR_S,
  AR_UNUSABLE,
  GDTR_BASE,
  GDTR_LIMIT,
  LDTR,
  SEG_ACCESS,
  SEG_BASE,
  SEG_LIMIT,
} from '../../base/registers.ts';
import type { Cpu } from '../cpu.ts';

/** System descriptor types (S = 0). */
export const TSS16_AVAILABLE = 1;
export const LDT = 2;
export const TSS16_BUSY = 3;
export const CALL_GATE16 = 4;
export const TASK_GATE = 5;
export const INTERRUPT_GATE16 = 6;
export const TRAP_GATE16 = 7;
export const TSS32_AVAILABLE = 9;
export const TSS32_BUSY = 11;
export const CALL_GATE32 = 12;
export const INTERRUPT_GATE32 = 14;
export const TRAP_GATE32 = 15;

/** Type bits of code and data segments (S = 1). */
export const TYPE_ACCESSED = 1;
export const TYPE_WRITABLE = 2; // data
export const TYPE_READABLE = 2; // code
export const TYPE_EXPAND_DOWN = 4; // data
export const TYPE_CONFORMING = 4; // code
export const TYPE_CODE = 8;

/** Eight bytes of a descriptor table, and what they say if they describe a segment. */
export interface Descriptor {
  readonly selector: number;
  /** Linear address of the descriptor. */
  readonly address: number;
  readonly low: number;
  readonly high: number;
  readonly base: number;
  /** Byte-granular, an int32 pattern as in the register file. */
  readonly limit: number;
  /** Access rights in VMX's format. */
  access: number;
}

/** What a call, interrupt or trap gate names. */
export interface Gate {
  /** Operand size of the transfer. */
  readonly size: 2 | 4;
  readonly selector: number;
  readonly offset: number;
  /** Parameters to copy (call gates). */
  readonly count: number;
}

export const dplOf = (d: Descriptor): number => (d.access >> 5) & 3;
/** Type and S bit together: 10h and above are code and data segments. */
export const typeOf = (d: Descriptor): number => d.access & 0x1f;
export const isPresent = (d: Descriptor): boolean => (d.access & AR_P) !== 0;
export const isCode = (d: Descriptor): boolean => (d.access & (AR_S | TYPE_CODE)) === (AR_S | TYPE_CODE);
export const isConforming = (d: Descriptor): boolean => (d.access & TYPE_CONFORMING) !== 0;
export const isWritableData = (d: Descriptor): boolean =>
  (d.access & (AR_S | TYPE_CODE | TYPE_WRITABLE)) === (AR_S | TYPE_WRITABLE);

export const isNull = (selector: number): boolean => (selector & 0xfffc) === 0;
/** Error code for a selector; `ext` is 1 while an event from outside the program is delivered. */
export const selectorError = (selector: number, ext: number): number => (selector & 0xfffc) | ext;

/** A selector as reports print it. */
export const named = (selector: number): string => `selector ${hex(selector, 4)}`;
/** The table that a selector looks into. */
export const tableOf = (selector: number): string => (selector & 4 ? 'LDT' : 'GDT');

/** Linear address of the descriptor that `selector` names, −1 if its table does not reach so far. */
function descriptorAddress(S: Int32Array, selector: number): number {
  const at = selector & 0xfff8;
  if ((selector & 4) === 0) return at + 7 > S[GDTR_LIMIT] >>> 0 ? -1 : (S[GDTR_BASE] + at) >>> 0;
  if ((S[SEG_ACCESS + LDTR] & AR_UNUSABLE) !== 0 || at + 7 > S[SEG_LIMIT + LDTR] >>> 0) return -1;
  return (S[SEG_BASE + LDTR] + at) >>> 0;
}

/** The descriptor that `selector` names, or null if it lies beyond its table's limit. A null selector is the caller's matter. */
export function readDescriptor(cpu: Cpu, selector: number): Descriptor | null {
  const address = descriptorAddress(cpu.S, selector);
  return address < 0 ? null : descriptorAt(cpu, address, selector);
}

/** Reads and unpacks the eight bytes at `address`, with supervisor rights. Unpacking is saved where the same bytes stood there
 *  at the last look. */
export function descriptorAt(cpu: Cpu, address: number, selector: number): Descriptor {
  const low = cpu.mmu.readSystem32(address);
  const high = cpu.mmu.readSystem32((address + 4) | 0);
  const slot = (address >>> 3) & (DESCRIPTORS_KEPT - 1);
  const kept = cpu.descriptors[slot];
  if (
    kept !== undefined &&
    kept.low === low &&
    kept.high === high &&
    kept.address === address &&
    kept.selector === selector &&
    kept.access === ((high >>> 8) & 0xf0ff)
  )
    return kept;
  const d = unpack(address, selector, low, high);
  cpu.descriptors[slot] = d;
  return d;
}

/** Descriptors kept unpacked, by address; a power of two. */
export const DESCRIPTORS_KEPT = 64;

function unpack(address: number, selector: number, low: number, high: number): Descriptor {
  const access = (high >>> 8) & 0xf0ff;
  const units = (high & 0xf_0000) | (low & 0xffff);
  return {
    selector,
    address,
    low,
    high,
    base: (low >>> 16) | ((high & 0xff) << 16) | (high & 0xff00_0000),
    limit: access & AR_G ? (units << 12) | 0xfff : units,
    access,
  };
}

/** Reads a gate descriptor as a gate. Its type decides the size: bit 3 is set in those of the 386. */
export function gateOf(d: Descriptor): Gate {
  const size = d.access & 8 ? 4 : 2;
  return {
    size,
    selector: d.low >>> 16,
    offset: size === 4 ? (d.high & 0xffff_0000) | (d.low & 0xffff) : d.low & 0xffff,
    count: d.high & 0x1f,
  };
}

/** Sets the accessed bit of a code or data segment, in memory and in `d`. May fault: call it before anything is changed. */
export function setAccessed(cpu: Cpu, d: Descriptor): void {
  if (d.access & TYPE_ACCESSED) return;
  d.access |= TYPE_ACCESSED;
  cpu.mmu.writeSystem8((d.address + 5) >>> 0, d.access & 0xff);
}

/** Marks a TSS as busy, in memory and in `d`. */
export function setBusy(cpu: Cpu, d: Descriptor): void {
  d.access |= 2;
  cpu.mmu.writeSystem8((d.address + 5) >>> 0, d.access & 0xff);
}
