/** Drafts: the operand shapes of each opcode row, with the order in which they are tried. */

import type { OperandCode, Row } from '../cpu/rows.ts';
import type { Size } from './operands.ts';
import {
  fixed,
  general,
  immediate,
  memoryOnly,
  plainSlot,
  registerSlot,
  type Slot,
  sharedRm,
  sizedRm,
  slot,
  type Width,
  widthOf,
} from './slots.ts';

export interface Draft {
  readonly slots: readonly Slot[];
  readonly rank: number;
  readonly operandSize?: 0 | Width;
  readonly addressSize?: 0 | Width;
  readonly relaxed?: boolean;
  readonly tail?: number;
}

export const shape = (row: Row): string => row.operands.join(' ');
const RANK = { fixed: 0, short: 3, offset: 5, byte: 10, swapped: 15, store: 20, load: 25, sbyte: 30, accumulator: 35, full: 40, untyped: 50 }; // biome-ignore format: a table

/** E and an immediate: sized by E, or (memory only) by the immediate's declared size. */
function withImmediate(size: Size, bytes: number, sbyte: boolean): Draft[] {
  const value = sbyte ? { value: 'sbyte' as const } : {};
  return [
    { slots: [sizedRm(size), immediate(bytes, { same: size, ...value })], rank: sbyte ? RANK.sbyte : RANK.full },
    { slots: [memoryOnly(size), immediate(bytes, { size, ...value })], rank: RANK.untyped + (sbyte ? size : size + 1) },
  ];
}

function multiplyImmediate(width: Width, signedByte: boolean): Draft[] {
  const bytes = signedByte ? 1 : width;
  const last = signedByte
    ? [immediate(1, { size: 1 }), immediate(1, { value: 'sbyte', same: width })]
    : [immediate(bytes, { size: width }), immediate(bytes, { same: width })];
  return last.flatMap((i, n) => {
    const rank = (signedByte ? RANK.sbyte : RANK.full) + n;
    return [
      { slots: [registerSlot('G', width), sharedRm(width), i], rank },
      // imul eax, 5 is imul eax, eax, 5
      { slots: [slot('T', { registers: [general(width)], same: width }), i], rank },
    ];
  });
}

function jumpDrafts(row: Row): Draft[] {
  const near = (more: Partial<Slot>): Slot => slot('J', more);
  if (row.operands[0] === 'Jz') {
    const drafts: Draft[] = [{ slots: [near({})], rank: RANK.full }];
    if (!row.mnemonic.startsWith('J') || row.mnemonic === 'JMP')
      for (const size of [2, 4] as const)
        drafts.push({ slots: [near({ size, bytes: size })], rank: RANK.full + size, operandSize: size });
    else drafts.push({ slots: [near({ distance: 'near' })], rank: RANK.fixed });
    return drafts;
  }
  const byte = near({ bytes: 1 });
  if (/^LOOP/.test(row.mnemonic))
    return [
      { slots: [byte], rank: RANK.full },
      { slots: [byte, fixed('cx', 'r16')], rank: RANK.full, addressSize: 2 },
      { slots: [byte, fixed('ecx', 'r32')], rank: RANK.full, addressSize: 4 },
    ];
  if (row.mnemonic.startsWith('JCXZ')) return [{ slots: [byte], rank: RANK.full }];
  return [
    { slots: [near({ bytes: 1, distance: 'short' })], rank: RANK.short },
    { slots: [byte], rank: RANK.byte, relaxed: true },
  ];
}

/** CALL and JMP through memory or a register, near or far. */
function indirectDrafts(row: Row): Draft[] {
  if (row.operands[0] === 'Mp')
    return ([0, 2, 4] as const).map((size) => ({
      slots: [memoryOnly(0, { size, distance: 'far' })],
      rank: size === 0 ? RANK.byte + 1 : RANK.byte,
      operandSize: size,
    }));
  return [
    { slots: [memoryOnly()], rank: RANK.full },
    ...([2, 4] as const).map((size) => ({ slots: [sizedRm(size)], rank: RANK.full + 1, operandSize: size })),
  ];
}

/** Drafts of rows whose operands are a whole shape; null: the general rule. */
function shapedDrafts(row: Row, width: Width): Draft[] | null {
  const at = (slots: Slot[], rank: number, more: Partial<Draft> = {}): Draft => ({ slots, rank, ...more });
  const anyWord: Slot = slot('E', { registers: ['r16', 'r32'], memory: true, same: 2, implied: 2 });
  switch (shape(row)) {
    case 'Ev sIb':
      return [
        at([sizedRm(width), immediate(1, { size: 1 })], RANK.byte),
        ...withImmediate(width, 1, true),
      ];
    case 'Ev Iz': return withImmediate(width, width, false);
    case 'Eb Ib': return /^(RO|RC|SH|SA)/.test(row.mnemonic) ? null : withImmediate(1, 1, false);
    case 'AL Ib': case 'eAX Ib': case 'rAX Iz': {
      const size = row.semantics === 'in' ? 1 : row.operands[0] === 'AL' ? 1 : width;
      return [at([plainSlot(row.operands[0] as OperandCode, width) as Slot, immediate(size, { same: size })], RANK.accumulator)];
    }
    case 'Ib AL': case 'Ib eAX':
      return [at([immediate(1, { same: 1 }), plainSlot(row.operands[1] as OperandCode, width) as Slot], RANK.accumulator)];
    case 'Zb Ib': return [at([registerSlot('Z', 1), immediate(1, { same: 1 })], RANK.short)];
    case 'Zv Iv': return [at([registerSlot('Z', width), immediate(width, { same: width })], RANK.short)];
    case 'Zv': return row.mnemonic === 'BSWAP' && width === 2 ? [] : [at([registerSlot('Z', width)], RANK.short)];
    case 'Zv rAX': {
      const z = registerSlot('Z', width);
      const a = plainSlot('rAX', width) as Slot;
      return [at([a, z], RANK.short), at([z, a], RANK.short)];
    }
    case 'Ev Gv Ib': return [at([sharedRm(width), registerSlot('G', width), immediate(1, {})], RANK.store)];
    case 'Gv Ev sIb': return multiplyImmediate(width, true);
    case 'Gv Ev Iz': return multiplyImmediate(width, false);
    case 'sIb':
      return [
        ...(width === 2 ? [at([immediate(1, { size: 1 })], RANK.byte, { operandSize: 0 })] : []),
        at([immediate(1, { size: width, implied: 'bits', value: 'sbyte' })], RANK.sbyte),
      ];
    case 'Iz': return [at([immediate(width, { size: width, implied: 'bits' })], RANK.full)];
    case 'Ib': {
      const form = at([immediate(1, { same: 1 })], RANK.full);
      return row.mnemonic === 'INT' ? [form] : [form, at([], RANK.fixed, { tail: 10 })];
    }
    case 'Iw': return [at([immediate(2, { same: 2 })], RANK.full)];
    case 'Iw Ib': return [at([immediate(2, {}), immediate(1, {})], RANK.full)];
    case 'Gv Eb':
      return [at([registerSlot('G', width), width === 2
        ? slot('E', { registers: ['r8'], memory: true, same: 1, implied: 1 }) : sizedRm(1)], RANK.load)];
    case 'Gv Ew':
      if (row.semantics === 'lar' || row.semantics === 'lsl') return [at([registerSlot('G', width), anyWord], RANK.load)];
      return width === 2 ? [] : [at([registerSlot('G', 4), sizedRm(2)], RANK.load)];
    case 'Sw Ew': return [at([plainSlot('Sw', width) as Slot, anyWord], RANK.fixed)];
    case 'Rv/Mw': case 'Rv/Mw Sw': {
      const rest = row.operands.length > 1 ? [plainSlot('Sw', width) as Slot] : [];
      return [
        ...(width === 2 ? [at([memoryOnly(2, { implied: 2 }), ...rest], RANK.fixed, { operandSize: 0 })] : []),
        at([registerSlot('E', width), ...rest], RANK.fixed),
      ];
    }
    case 'Ew': return [at([slot('E', { registers: ['r16'], memory: true, same: 2 })], RANK.full)];
    case 'Ed Gd': case 'Gd Ed': {
      const e = slot('E', { registers: ['r32'], memory: true, same: 4, implied: 4 });
      return [at(row.operands[0] === 'Ed' ? [e, registerSlot('G', 4)] : [registerSlot('G', 4), e], RANK.full)];
    }
    case 'Mq': return [at([memoryOnly(row.semantics === 'vmx' ? 0 : 8)], RANK.full)];
    case 'Ap':
      return ([0, 2, 4] as const).map((size) =>
        at([slot('A', { size, bytes: size })], RANK.full + size, { operandSize: size }));
    case 'Jb': case 'Jz': return jumpDrafts(row);
    case 'Mp': return indirectDrafts(row);
    default: return null;
  }
} // biome-ignore format: one case a line

/** Drafts of all other rows: E's size is told by a register beside it, or must be declared. */
function generalDrafts(row: Row, width: Width): Draft[] {
  const [first, second] = row.operands;
  if (row.operands.some((o) => /^[XY]/.test(o))) return [{ slots: [], rank: RANK.full }];
  if (row.semantics === 'callIndirect' || row.semantics === 'jmpIndirect') return indirectDrafts(row);
  if (row.semantics === 'setcc')
    return [{ slots: [slot('E', { registers: ['r8'], memory: true, same: 1, implied: 1 })], rank: RANK.full }];
  if (row.semantics === 'lea') return [{ slots: [registerSlot('G', width), memoryOnly(-1)], rank: RANK.full }];
  const beside = row.operands.some((o) => /^G/.test(o));
  const slots = row.operands.map((code): Slot => {
    const size = widthOf(code, width);
    if (/^E[bwdv]$/.test(code)) return beside ? sharedRm(size) : sizedRm(size);
    if (code === 'Ib') return immediate(1, { size: 1 });
    if (code === 'Mp') return memoryOnly();
    const plain = plainSlot(code, width);
    if (plain === null) throw new Error(`no assembler form for operand code ${code} of ${row.mnemonic}`);
    return plain;
  });
  const rank = /^O/.test(first ?? '') || /^O/.test(second ?? '') ? RANK.offset
    : /^E/.test(first ?? '') && /^G/.test(second ?? '') ? RANK.store : RANK.load; // biome-ignore format: short
  const drafts: Draft[] = [{ slots, rank: second === '1' ? RANK.fixed : rank }];
  // XCHG and TEST do not care for the order: reg, r/m is r/m, reg
  if (beside && /^(xchg|test)$/.test(row.semantics))
    drafts.push({
      slots: [slots[1] as Slot, slots[0] as Slot],
      rank: row.semantics === 'xchg' ? RANK.swapped : RANK.load,
    });
  return drafts;
}

/** All drafts of a row for operands of that width. */
export const draftsOf = (row: Row, width: Width): Draft[] => shapedDrafts(row, width) ?? generalDrafts(row, width);
