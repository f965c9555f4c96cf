/** Forms: the ways to encode a mnemonic, read from the opcode rows, in the order in which they are tried.
 *  The first that fits is taken; the order is NASM's, so the encodings are NASM's. */

import { conditionAliases } from '../cpu/opcodes/conditions.ts';
import { rows } from '../cpu/opcodes/index.ts';
import type { OperandCode, Row } from '../cpu/rows.ts';
import type { Size } from './operands.ts';
import type { RegisterClass } from './registers.ts';

/** What one operand of a form accepts. */
export interface Slot {
  /** How it is encoded: the letter of its operand code; '-' for a fixed register, which is not encoded. */
  readonly role: 'E' | 'G' | 'Z' | 'I' | 'J' | 'A' | 'O' | 'T' | '-';
  /** Registers that fit. */
  readonly registers: readonly RegisterClass[];
  /** The one register that fits, by name. */
  readonly only?: string;
  /** Memory fits. */
  readonly memory: boolean;
  /** Bytes that an operand which is no register must be declared to have; 0: need not be declared. */
  readonly size: Size;
  /** Where `size` is 0: the size that may be declared nevertheless; −1: any. */
  readonly same: Size | -1;
  /** The size of an operand without declared size; `bits`: that of the code. */
  readonly implied?: Size | 'bits';
  /** Immediates: sbyte: fits a sign-extended byte · one: is 1. */
  readonly value?: 'sbyte' | 'one';
  /** Jumps: must be said · memory: far must be said. */
  readonly distance?: 'short' | 'near' | 'far';
  /** Bytes of the immediate, the offset, the displacement; 0: as the code or the declared size says. */
  readonly bytes: number;
}

export interface Form {
  readonly row: Row;
  readonly slots: readonly Slot[];
  /** Operand size that the form has whatever the code size is; 0: none, or the code's. */
  readonly operandSize: 0 | 2 | 4;
  readonly addressSize: 0 | 2 | 4;
  /** A jump that is taken only if its target is near enough. */
  readonly relaxed: boolean;
  /** Byte behind the opcode where an operand may be left out (AAM, AAD). */
  readonly tail: number;
  readonly rank: number;
}

type Width = 2 | 4;
const GENERAL: Readonly<Record<number, RegisterClass>> = { 1: 'r8', 2: 'r16', 4: 'r32' };
const general = (size: number): RegisterClass => GENERAL[size] as RegisterClass;
const ACCUMULATOR: Readonly<Record<number, string>> = { 1: 'al', 2: 'ax', 4: 'eax' };

const slot = (role: Slot['role'], more: Partial<Slot>): Slot => ({
  role,
  registers: [],
  memory: false,
  size: 0,
  same: 0,
  bytes: 0,
  ...more,
});

const registerSlot = (role: Slot['role'], size: Size): Slot => slot(role, { registers: [general(size)], same: size });
const fixed = (name: string, group: RegisterClass): Slot => slot('-', { registers: [group], only: name });

/** Register or memory whose size another operand tells. */
const sharedRm = (size: Size): Slot => slot('E', { registers: [general(size)], memory: true, same: size });
/** Register or memory whose size must be declared. */
const sizedRm = (size: Size): Slot => slot('E', { registers: [general(size)], memory: true, size });
const memoryOnly = (same: Slot['same'] = 0, more: Partial<Slot> = {}): Slot =>
  slot('E', { memory: true, same, ...more });
const immediate = (bytes: number, more: Partial<Slot>): Slot => slot('I', { bytes, ...more });

const widthOf = (code: string, width: Width): Size =>
  code.endsWith('b') ? 1 : code.endsWith('w') ? 2 : code.endsWith('d') ? 4 : width;

/** Slots of operand codes that mean the same in every row; null: the row's shape decides. */
function plainSlot(code: OperandCode, width: Width): Slot | null {
  switch (code) {
    case 'Gb': case 'Gw': case 'Gd': case 'Gv': return registerSlot('G', widthOf(code, width));
    case 'Zb': case 'Zv': return registerSlot('Z', widthOf(code, width));
    case 'Rd': return registerSlot('E', 4);
    case 'Cd': return slot('G', { registers: ['control'] });
    case 'Dd': return slot('G', { registers: ['debug'] });
    case 'Sw': return slot('G', { registers: ['segment'] });
    case 'AL': case 'CL': return fixed(code.toLowerCase(), 'r8');
    case 'AX': case 'DX': return fixed(code.toLowerCase(), 'r16');
    case 'rAX': case 'eAX': return fixed(ACCUMULATOR[width] as string, general(width));
    case 'ES': case 'CS': case 'SS': case 'DS': case 'FS': case 'GS': return fixed(code.toLowerCase(), 'segment');
    case 'Ob': case 'Ov': return slot('O', { memory: true, same: widthOf(code, width) });
    case '1': return slot('-', { value: 'one' });
    case 'M': case 'Ma': case 'Ms': return memoryOnly();
    case 'Mdq': return memoryOnly(16);
    default: return null;
  }
} // biome-ignore format: a table

interface Draft {
  readonly slots: readonly Slot[];
  readonly rank: number;
  readonly operandSize?: 0 | Width;
  readonly addressSize?: 0 | Width;
  readonly relaxed?: boolean;
  readonly tail?: number;
}

const shape = (row: Row): string => row.operands.join(' ');
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
  const call = row.mnemonic === 'CALL';
  const near = (more: Partial<Slot>): Slot => slot('J', more);
  if (row.operands[0] === 'Jz') {
    const drafts: Draft[] = [{ slots: [near({})], rank: RANK.full }];
    if (!row.mnemonic.startsWith('J') || row.mnemonic === 'JMP')
      for (const size of [2, 4] as const)
        drafts.push({ slots: [near({ size, bytes: size })], rank: RANK.full + size, operandSize: size });
    else drafts.push({ slots: [near({ distance: 'near' })], rank: RANK.fixed });
    return call ? drafts : drafts;
  }
  const byte = near({ bytes: 1 });
  if (/^LOOP/.test(row.mnemonic))
    return [
      { slots: [byte], rank: RANK.full },
      { slots: [byte, fixed('cx', 'r16')], rank: RANK.full, addressSize: 2 },
      { slots: [byte, fixed('ecx', 'r32')], rank: RANK.full, addressSize: 4 },
    ];
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
  if (row.semantics === 'lea')
    return [{ slots: [registerSlot('G', width), memoryOnly(-1)], rank: RANK.full }];
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
    drafts.push({ slots: [slots[1] as Slot, slots[0] as Slot], rank: row.semantics === 'xchg' ? RANK.swapped : RANK.load });
  return drafts;
}

function isSized(row: Row): boolean {
  if (/^(J|LOOP)/.test(row.mnemonic) || ['Ap', 'Mp', 'Sw Ew'].includes(shape(row))) return false;
  if (/Indirect|callNear|jmpNear/.test(row.semantics)) return false;
  return row.mnemonic.includes('/') || row.operands.some((o) => /[vz]|^.AX|^sIb/.test(o));
}

/** Rows that exist for the decoder only: a second encoding of something, or a name that NASM has not. */
function isForeign(row: Row): boolean {
  return (
    row.feature === 'x87' ||
    row.mnemonic === 'HINT_NOP' ||
    row.mnemonic === 'SAL' || // assembles as SHL
    (row.map === 1 && row.opcode === 0x82) ||
    (row.semantics === 'test' && row.extension === 1)
  );
}

const table = new Map<string, Form[]>();

function addForm(name: string, row: Row, draft: Draft, operandSize: 0 | Width, addressSize: 0 | Width = 0): void {
  const form: Form = {
    row,
    slots: draft.slots,
    rank: draft.rank,
    operandSize: draft.operandSize ?? operandSize,
    addressSize: draft.addressSize ?? addressSize,
    relaxed: draft.relaxed ?? false,
    tail: draft.tail ?? -1,
  };
  const forms = table.get(name);
  if (forms === undefined) table.set(name, [form]);
  else forms.push(form);
}

for (const row of rows) {
  if (isForeign(row)) continue;
  const [first, second] = row.mnemonic.split('/') as [string, string?];
  for (const width of isSized(row) ? ([2, 4] as const) : ([4] as const)) {
    const operandSize = isSized(row) ? width : 0;
    for (const draft of shapedDrafts(row, width) ?? generalDrafts(row, width)) {
      if (second === undefined) addForm(first, row, draft, operandSize);
      else if (first === 'JCXZ') {
        addForm(first, row, draft, 0, 2);
        addForm(second, row, draft, 0, 4);
      } else if (second === `${first}D`) {
        // PUSHA is of the code's size, PUSHAW and PUSHAD say theirs
        if (width === 2) addForm(first, row, draft, 0);
        addForm(width === 2 ? `${first}W` : second, row, draft, width);
      } else addForm(width === 2 ? first : second, row, draft, width);
    }
  }
}

/** Other names. */
const ALIASES: Readonly<Record<string, string>> = {
  SAL: 'SHL', RETN: 'RET', XLATB: 'XLAT', LOOPZ: 'LOOPE', LOOPNZ: 'LOOPNE', WAIT: 'FWAIT',
  INT03: 'INT3', INT01: 'INT1', ICEBP: 'INT1', UD2A: 'UD2',
}; // biome-ignore format: a table

for (const [alias, name] of Object.entries(ALIASES)) {
  const forms = table.get(name);
  if (forms !== undefined) table.set(alias, forms);
}
for (const [alias, condition] of Object.entries(conditionAliases))
  for (const stem of ['J', 'SET', 'CMOV']) table.set(stem + alias, table.get(stem + condition) as Form[]);
for (const [suffix, width] of [
  ['W', 2],
  ['D', 4],
] as const)
  table.set(
    `RETF${suffix}`,
    (table.get('RETF') as Form[]).map((form) => ({ ...form, operandSize: width })),
  );

for (const forms of table.values()) forms.sort((a, b) => a.rank - b.rank);

/** The forms of a mnemonic in the order in which they are tried; undefined: there is no such instruction. */
export const formsOf = (mnemonic: string): readonly Form[] | undefined => table.get(mnemonic.toUpperCase());

/** Every mnemonic that can be assembled, in upper case. */
export const mnemonics = (): IterableIterator<string> => table.keys();
