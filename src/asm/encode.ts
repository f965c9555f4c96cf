/** The typed layer: one instruction to bytes, by way of the opcode rows. */

import { InvalidInput } from '../base/errors.ts';
import type { Row } from '../cpu/rows.ts';
import { addressSizes, encodeAddress } from './address.ts';
import type { Form } from './forms.ts';
import type { AssemblyInstruction, ImmediateOperand, MemoryOperand, Operand, Prefix, Quantity } from './operands.ts';
import { type Position, selectForm } from './select.ts';
import type { Slot } from './slots.ts';

/** A place in encoded bytes to which the start of a section is to be added (`plus`), or subtracted. */
export interface Fixup {
  readonly at: number;
  readonly size: number;
  readonly plus: number | null;
  readonly minus: number | null;
}

export interface Encoded {
  readonly bytes: number[];
  readonly fixups: readonly Fixup[];
  /** A number was larger than its place: its low bits were taken. */
  readonly cut: boolean;
}

/** Whether a number, signed or unsigned, needs more bytes than that. */
export const exceeds = (n: bigint, size: number): boolean =>
  size < 8 && (n >= 1n << BigInt(8 * size) || n < -(1n << BigInt(8 * size - 1)));

const NO_FIXUPS: readonly Fixup[] = [];
const PREFIX_BYTE: Readonly<Record<string, number>> = {
  wait: 0x9b, rep: 0xf3, repe: 0xf3, repz: 0xf3, repne: 0xf2, repnz: 0xf2, lock: 0xf0,
  es: 0x26, cs: 0x2e, ss: 0x36, ds: 0x3e, fs: 0x64, gs: 0x65,
}; // biome-ignore format: a table

/** Order in which prefixes are written. */
const SLOT_OF: Readonly<Record<string, number>> = {
  wait: 0, rep: 1, repe: 1, repz: 1, repne: 1, repnz: 1, lock: 2,
  es: 3, cs: 3, ss: 3, ds: 3, fs: 3, gs: 3, o16: 4, o32: 4, a16: 5, a32: 5,
}; // biome-ignore format: a table

type Slots = (Prefix | undefined)[];

/** Prefixes by their place; a text if two want the same. */
function prefixSlots({ prefixes, operands }: AssemblyInstruction): Slots | string {
  const slots: Slots = [undefined, undefined, undefined, undefined, undefined, undefined];
  for (const prefix of prefixes) if (!claim(slots, prefix)) return clash(slots, prefix);
  for (const o of operands)
    if (o.kind === 'memory' && o.segment !== null && !claim(slots, o.segment.name as Prefix))
      return clash(slots, o.segment.name as Prefix);
  return slots;
}

function claim(slots: Slots, prefix: Prefix): boolean {
  const place = SLOT_OF[prefix] as number;
  if (slots[place] !== undefined && slots[place] !== prefix) return false;
  slots[place] = prefix;
  return true;
}

const clash = (slots: Slots, prefix: Prefix): string =>
  `\`${slots[SLOT_OF[prefix] as number]}\` and \`${prefix}\` exclude each other`;

/** Size of addresses, with the prefix for it in `slots` where one is needed. */
function settleAddressSize(slots: Slots, operands: readonly Operand[], bits: 16 | 32): 2 | 4 | string {
  let fits = slots[5] === undefined ? 2 | 4 : slots[5] === 'a16' ? 2 : 4;
  for (const operand of operands) if (operand.kind === 'memory') fits &= addressSizes(operand);
  const natural = bits === 16 ? 2 : 4;
  if ((fits & natural) !== 0) return natural;
  if (fits === 0) return 'the address mixes 16-bit and 32-bit parts';
  slots[5] = fits === 2 ? 'a16' : 'a32';
  return natural === 2 ? 4 : 2;
}

function prefixBytes(slots: Slots, bits: 16 | 32, operandSize: number): number[] {
  const out: number[] = [];
  for (let place = 0; place < 4; place++) {
    const prefix = slots[place];
    if (prefix !== undefined) out.push(PREFIX_BYTE[prefix] as number);
  }
  const size = slots[4] === undefined ? operandSize : slots[4] === 'o16' ? 2 : 4;
  if (size !== 0 && size !== bits / 8) out.push(0x66);
  if (slots[5] !== undefined && (slots[5] === 'a16' ? 16 : 32) !== bits) out.push(0x67);
  return out;
}

class Writer {
  readonly bytes: number[];
  cut = false;
  #fixups: Fixup[] | null = null;

  constructor(bytes: number[]) {
    this.bytes = bytes;
  }

  get fixups(): readonly Fixup[] {
    return this.#fixups ?? NO_FIXUPS;
  }

  number(n: bigint, size: number): void {
    if (size <= 4) {
      let low = Number(BigInt.asUintN(32, n));
      for (let i = 0; i < size; i++, low >>>= 8) this.bytes.push(low & 0xff);
      return;
    }
    for (let i = 0; i < size; i++) this.bytes.push(Number((n >> BigInt(8 * i)) & 0xffn));
  }

  quantity({ number, plus, minus }: Quantity, size: number): void {
    if (plus !== minus) this.#fixup({ at: this.bytes.length, size, plus, minus });
    this.number(number, size);
  }

  /** The distance from the instruction's end to a target. */
  relative({ number, plus }: Quantity, size: number, { section, offset }: Position, start: number): void {
    const end = offset + (this.bytes.length - start) + size;
    if (plus !== section) this.#fixup({ at: this.bytes.length, size, plus, minus: section });
    this.number(number - BigInt(end), size);
  }

  #fixup(fixup: Fixup): void {
    this.#fixups ??= [];
    this.#fixups.push(fixup);
  }
}

/** Number that an operand puts into ModRM, the opcode or nothing. */
const registerNumber = (operand: Operand | undefined): number =>
  operand?.kind === 'register' ? operand.register.number : 0;

function pushOpcode(out: number[], row: Row, low: number): void {
  if (row.prefix !== 0) out.push(row.prefix);
  if (row.map > 1) out.push(0x0f);
  if (row.map === 3) out.push(0x38);
  out.push(row.opcode | low);
}

/** The operand that a form encodes in that role. */
function inRole(form: Form, operands: readonly Operand[], role: Slot['role']): Operand | undefined {
  for (let n = 0; n < operands.length; n++) if (form.slots[n]?.role === role) return operands[n];
  return undefined;
}

/** Bytes of the offset in a jump or far pointer. */
const offsetBytes = (slot: Slot, position: Position): number => slot.bytes || position.bits / 8;

function writeForm(
  form: Form,
  instruction: AssemblyInstruction,
  position: Position,
  slots: Slots,
  addressSize: 2 | 4,
): Encoded | string {
  const { operands } = instruction;
  const { row } = form;
  const w = new Writer(prefixBytes(slots, position.bits, form.operandSize));
  if (form.addressSize !== 0 && form.addressSize * 8 !== position.bits && slots[5] === undefined) w.bytes.push(0x67);
  const twice = inRole(form, operands, 'T');
  pushOpcode(w.bytes, row, registerNumber(inRole(form, operands, 'Z')));
  const e = inRole(form, operands, 'E') ?? twice;
  if (e !== undefined) {
    const field = row.extension >= 0 ? row.extension : registerNumber(inRole(form, operands, 'G') ?? twice);
    const problem = writeModrm(w, e, field, addressSize);
    if (problem !== null) return problem;
  } else if (typeof row.form === 'number') w.bytes.push(row.form);
  if (form.tail >= 0) w.bytes.push(form.tail);
  for (let i = 0; i < operands.length; i++) {
    const slot = form.slots[i] as Slot;
    const operand = operands[i] as Operand;
    const problem = writeTail(w, slot, operand, position, addressSize);
    if (problem !== null) return problem;
  }
  return { bytes: w.bytes, fixups: w.fixups, cut: w.cut };
}

function writeModrm(w: Writer, e: Operand, field: number, addressSize: 2 | 4): string | null {
  if (e.kind === 'register') {
    w.bytes.push(0xc0 | (field << 3) | e.register.number);
    return null;
  }
  const m = e as MemoryOperand;
  const address = encodeAddress(m, addressSize);
  if (typeof address === 'string') return address;
  w.bytes.push(address.modrm | (field << 3));
  if (address.sib >= 0) w.bytes.push(address.sib);
  if (address.bytes > 0) w.quantity(m.displacement, address.bytes);
  return null;
}

/** What stands behind ModRM: immediates, targets, far pointers, offsets. */
function writeTail(w: Writer, slot: Slot, operand: Operand, position: Position, addressSize: 2 | 4): string | null {
  if (slot.role === 'O') w.quantity((operand as MemoryOperand).displacement, addressSize);
  else if (slot.role === 'I') {
    const { value } = operand as ImmediateOperand;
    if (slot.value !== 'sbyte' && value.plus === null && exceeds(value.number, slot.bytes)) w.cut = true;
    w.quantity(value, slot.bytes);
  } else if (slot.role === 'J') {
    const size = offsetBytes(slot, position);
    const { value } = operand as ImmediateOperand;
    if (value.minus !== null) return 'the target of a jump is a place, not a distance between two';
    if (size === 1 && value.plus === position.section && !value.unknown) {
      const distance = value.number - BigInt(position.offset + w.bytes.length + 1);
      if (distance < -128n || distance > 127n) return `the target of the short jump is ${distance} bytes away`;
    }
    w.relative(value, size, position, 0);
  } else if (slot.role === 'A' && operand.kind === 'far') {
    w.quantity(operand.offset, offsetBytes(slot, position));
    w.quantity(operand.selector, 2);
  }
  return null;
}

/** Bytes of an instruction at a position, or what is wrong with it. */
export function encodeAt(instruction: AssemblyInstruction, position: Position): Encoded | string {
  const slots = prefixSlots(instruction);
  if (typeof slots === 'string') return slots;
  const addressSize = settleAddressSize(slots, instruction.operands, position.bits);
  if (typeof addressSize === 'string') return addressSize;
  // prefixes alone on a line
  if (instruction.mnemonic === '')
    return { bytes: prefixBytes(slots, position.bits, 0), fixups: NO_FIXUPS, cut: false };
  const prefixLength = prefixBytes(slots, position.bits, 0).length;
  const form = selectForm(instruction, position, addressSize, prefixLength);
  return typeof form === 'string' ? form : writeForm(form, instruction, position, slots, addressSize);
}

/** Encodes one instruction for code of 16 or 32 bits. Targets of jumps (`target()`) are offsets, `at` is the instruction's own.
 *  Throws InvalidInput that says what is wrong. */
export function encode(instruction: AssemblyInstruction, bits: 16 | 32, options: { at?: number } = {}): Uint8Array {
  const encoded = encodeAt(instruction, { bits, section: 0, offset: options.at ?? 0 });
  if (typeof encoded === 'string') throw new InvalidInput(encoded);
  return Uint8Array.from(encoded.bytes);
}
