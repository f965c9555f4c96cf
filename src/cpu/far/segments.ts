/** Segment registers: the check on every access, and loads (SDM Vol. 3, "Limit Checking", "Type Checking", "Privilege Level
 *  Checking When Accessing Data Segments"; Vol. 2, MOV). */

import { hex } from '../../base/int.ts';
import {
  AR_DB,
  AR_S,
  AR_UNUSABLE,
  CPL,
  DS,
  ES,
  FS,
  GS,
  SEG_ACCESS,
  SEG_BASE,
  SEG_LIMIT,
  SEG_SELECTOR,
  SS_,
} from '../../base/registers.ts';
import { GP, NP, SS } from '../../base/signal.ts';
import type { Cpu } from '../cpu.ts';
import { isProtected, isVirtual8086 } from '../system/privilege.ts';
import {
  type Descriptor,
  dplOf,
  isNull,
  isPresent,
  isWritableData,
  named,
  readDescriptor,
  selectorError,
  setAccessed,
  TYPE_CODE,
  TYPE_CONFORMING,
  TYPE_EXPAND_DOWN,
  TYPE_READABLE,
  TYPE_WRITABLE,
  tableOf,
} from './descriptors.ts';
import { loadFlatData } from './flat.ts';

/** What a real-mode load makes of a segment's type: present, writable, accessed data of ring 0. */
const REAL_MODE_RIGHTS = 0x93;
/** The same in virtual-8086 mode, for ring 3. */
const VIRTUAL_8086_RIGHTS = 0xf3;
const NAMES = ['ES', 'CS', 'SS', 'DS', 'FS', 'GS', 'LDTR', 'TR'] as const;

/** Whether `size` bytes at `offset` lie within a segment. With a limit of 4 GiB nothing is outside: the manual leaves open
 *  whether an access that runs over the top faults, and the flat forms of the loop do not look. */
export function withinLimit(limit: number, access: number, offset: number, size: number): boolean {
  const last = (offset >>> 0) + size - 1;
  if ((access & (TYPE_CODE | TYPE_EXPAND_DOWN)) === TYPE_EXPAND_DOWN)
    return offset >>> 0 > limit >>> 0 && last <= (access & AR_DB ? 0xffff_ffff : 0xffff);
  return last <= limit >>> 0 || limit === -1;
}

/** Linear address of `size` bytes at `offset` in a segment, after its type and limit checks: #SS(0) for SS, else #GP(0). */
export function segmentCheck(cpu: Cpu, segment: number, offset: number, size: number, write: boolean): number {
  const S = cpu.S;
  const limit = S[SEG_LIMIT + segment];
  // Usable, data, expand-up, writable: all that most accesses ever meet.
  if ((S[SEG_ACCESS + segment] & (AR_UNUSABLE | 0xe)) === TYPE_WRITABLE)
    if ((offset >>> 0) + size - 1 <= limit >>> 0 || limit === -1) return (S[SEG_BASE + segment] + offset) | 0;
  const because = whyNot(S[SEG_ACCESS + segment], limit, offset, size, write);
  if (because === '') return (S[SEG_BASE + segment] + offset) | 0;
  return cpu.raise(segment === SS_ ? SS : GP, 0, `${NAMES[segment]}: ${because}`);
}

/** Which rule an access would break, '' if none. */
function whyNot(access: number, limit: number, offset: number, size: number, write: boolean): string {
  if (access & AR_UNUSABLE) return 'the segment register holds a null selector';
  if (access & TYPE_CODE) {
    if (write) return 'a code segment cannot be written';
    if ((access & TYPE_READABLE) === 0) return 'the code segment is execute-only';
  } else if (write && (access & TYPE_WRITABLE) === 0) return 'the segment is read-only';
  if (!withinLimit(limit, access, offset, size)) return `offset ${hex(offset)} is outside the limit ${hex(limit)}`;
  return '';
}

/** Puts a checked descriptor into a segment register. Nothing can fail any more. */
export function install(cpu: Cpu, segment: number, selector: number, d: Descriptor): void {
  const S = cpu.S;
  S[SEG_SELECTOR + segment] = selector;
  S[SEG_BASE + segment] = d.base;
  S[SEG_LIMIT + segment] = d.limit;
  S[SEG_ACCESS + segment] = d.access;
  cpu.segmentChanged(segment);
}

/** Makes a segment register null: every access through it faults. */
export function installNull(cpu: Cpu, segment: number, selector: number): void {
  const S = cpu.S;
  S[SEG_SELECTOR + segment] = selector;
  S[SEG_BASE + segment] = 0;
  S[SEG_LIMIT + segment] = 0;
  S[SEG_ACCESS + segment] = AR_UNUSABLE;
  cpu.segmentChanged(segment);
}

/** Load in real-address or virtual-8086 mode: the base follows from the selector. In real-address mode limit, granularity and size
 *  stay what protected mode left ("unreal" mode lives on it); the type becomes that of a writable data segment, for CS too. */
export function loadReal(cpu: Cpu, segment: number, selector: number): void {
  if (isVirtual8086(cpu)) {
    loadVirtual8086(cpu, segment, selector);
    return;
  }
  const S = cpu.S;
  const access = S[SEG_ACCESS + segment];
  S[SEG_SELECTOR + segment] = selector;
  S[SEG_BASE + segment] = selector << 4;
  if (access & AR_UNUSABLE) S[SEG_LIMIT + segment] = 0xffff;
  S[SEG_ACCESS + segment] = (access & 0xf000) | REAL_MODE_RIGHTS;
  cpu.segmentChanged(segment);
}

/** Load in virtual-8086 mode, or on the way there: 64 KiB at the selector times 16 (SDM Vol. 3, "Virtual-8086 Mode"). */
export function loadVirtual8086(cpu: Cpu, segment: number, selector: number): void {
  const S = cpu.S;
  S[SEG_SELECTOR + segment] = selector;
  S[SEG_BASE + segment] = selector << 4;
  S[SEG_LIMIT + segment] = 0xffff;
  S[SEG_ACCESS + segment] = VIRTUAL_8086_RIGHTS;
  cpu.segmentChanged(segment);
}

/** The descriptor of `selector`, which must lie within its table, else `vector` with the selector as error code. */
export function fetchDescriptor(cpu: Cpu, selector: number, vector: number, ext: number): Descriptor {
  return (
    readDescriptor(cpu, selector) ??
    cpu.raise(vector, selectorError(selector, ext), `${named(selector)} is beyond the ${tableOf(selector)} limit`)
  );
}

/** The checks on a selector for SS at privilege level `cpl`. `vector` is #GP for loads and returns, #TS for a stack that a TSS names. */
export function stackDescriptor(cpu: Cpu, selector: number, cpl: number, vector: number, ext: number): Descriptor {
  const error = selectorError(selector, ext);
  if (isNull(selector)) cpu.raise(vector, ext, 'the selector for SS is null');
  const d = fetchDescriptor(cpu, selector, vector, ext);
  if ((selector & 3) !== cpl) cpu.raise(vector, error, `RPL of ${named(selector)} for SS is not ${cpl}`);
  if (!isWritableData(d)) cpu.raise(vector, error, `${named(selector)} for SS is not a writable data segment`);
  if (dplOf(d) !== cpl) cpu.raise(vector, error, `DPL of ${named(selector)} for SS is not ${cpl}`);
  if (!isPresent(d)) cpu.raise(SS, error, `${named(selector)} for SS is not present`);
  return d;
}

/** The checks on a selector that is not null for DS, ES, FS or GS. `vector` is #GP for loads, #TS in a task switch. */
export function dataDescriptor(cpu: Cpu, selector: number, cpl: number, vector: number, ext: number): Descriptor {
  const d = fetchDescriptor(cpu, selector, vector, ext);
  const error = selectorError(selector, ext);
  const code = (d.access & TYPE_CODE) !== 0;
  if ((d.access & AR_S) === 0) cpu.raise(vector, error, `${named(selector)} is a system descriptor`);
  if (code && (d.access & TYPE_READABLE) === 0) cpu.raise(vector, error, `${named(selector)} is execute-only`);
  if (!(code && (d.access & TYPE_CONFORMING) !== 0) && Math.max(cpl, selector & 3) > dplOf(d))
    cpu.raise(vector, error, `DPL ${dplOf(d)} of ${named(selector)} is more privileged than CPL ${cpl} or its RPL`);
  if (!isPresent(d)) cpu.raise(NP, error, `${named(selector)} is not present`);
  return d;
}

/** Loads SS, DS, ES, FS or GS as MOV, POP and LDS do. Restartable: registers change only after the last check. */
export function loadSegment(cpu: Cpu, segment: number, selector: number, cpl: number = cpu.S[CPL]): void {
  if (!isProtected(cpu)) loadReal(cpu, segment, selector);
  else if (segment !== SS_ && isNull(selector)) installNull(cpu, segment, selector);
  else if (cpl !== cpu.S[CPL] || !loadFlatData(cpu, segment, selector)) {
    const d = segment === SS_ ? stackDescriptor(cpu, selector, cpl, GP, 0) : dataDescriptor(cpu, selector, cpl, GP, 0);
    setAccessed(cpu, d);
    install(cpu, segment, selector, d);
  }
}

/** After a return to a less privileged level: data segments that it may not use become null (RET, IRET: "return to outer
 *  privilege level"). */
export function dropPrivilegedSegments(cpu: Cpu, cpl: number): void {
  dropPrivileged(cpu, cpl, ES);
  dropPrivileged(cpu, cpl, FS);
  dropPrivileged(cpu, cpl, GS);
  dropPrivileged(cpu, cpl, DS);
}

function dropPrivileged(cpu: Cpu, cpl: number, segment: number): void {
  const access = cpu.S[SEG_ACCESS + segment];
  const conforming = (access & (TYPE_CODE | TYPE_CONFORMING)) === (TYPE_CODE | TYPE_CONFORMING);
  if ((access & AR_UNUSABLE) === 0 && ((access >> 5) & 3) < cpl && !conforming) installNull(cpu, segment, 0);
}
