/** Makes instructions and programs at random from the forms that the opcode rows give, so that every one is met. */

import { type Form, formsOf, mnemonics } from '../../src/asm/forms.ts';
import { type AssemblyInstruction, far, imm, type MemoryOperand, mem, type Operand, reg, type Size, target } from '../../src/asm/operands.ts'; // biome-ignore format: one line
import { type RegisterClass, registers } from '../../src/asm/registers.ts';
import type { Slot } from '../../src/asm/slots.ts';

/** A small seeded generator (mulberry32). */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed | 0;
  }

  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return (t ^ (t >>> 14)) >>> 0;
  }

  below(n: number): number {
    return this.next() % n;
  }

  chance(percent: number): boolean {
    return this.below(100) < percent;
  }

  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)] as T;
  }
}

export type Bits = 16 | 32;

/** An instruction and how it is written. `typed` is null where the text uses labels. */
export interface Sample {
  readonly text: string;
  readonly typed: AssemblyInstruction | null;
}

interface Piece {
  readonly text: string;
  readonly operand: Operand | null;
}

const SIZE_NAMES: Readonly<Record<number, string>> = { 1: 'byte', 2: 'word', 4: 'dword', 8: 'qword', 16: 'oword' };
const NAMES: Readonly<Record<RegisterClass, readonly string[]>> = {
  r8: [], r16: [], r32: [], segment: [], control: ['cr0', 'cr2', 'cr3', 'cr4'], debug: ['dr0', 'dr3', 'dr6', 'dr7'],
}; // biome-ignore format: a table
const namesOf = (group: RegisterClass): readonly string[] =>
  NAMES[group].length > 0 ? NAMES[group] : [...registers.values()].filter((r) => r.class === group).map((r) => r.name);

const VALUES = [
  0, 1, 2, 5, -1, 0x7f, 0x80, 0x81, -0x80, -0x81, 0xff, 0x100, 0x7fff, 0x8000, 0xff7f, 0xff80, 0xffff, -0x8000, 0x10000,
  0x7fffffff, 0x80000000, 0xffffff7f, 0xffffff80, 0xffffffff, -0x80000000,
]; // biome-ignore format: a table

function numberText(r: Random, n: number): string {
  if (n < 0) return String(n);
  const choice = r.below(6);
  if (choice === 0) return `0x${n.toString(16)}`;
  if (choice === 1) return `0${n.toString(16)}h`;
  if (choice === 2 && n < 256) return `${n.toString(2)}b`;
  return String(n);
}

const inRange = (bytes: number): readonly number[] =>
  VALUES.filter((n) => n >= -(2 ** (8 * bytes - 1)) && n < 2 ** (8 * bytes));

const displacements = [0, 1, 4, -4, 0x7f, 0x80, -0x80, -0x81, 0x1234, 0x12345678, -0x12345];

interface AddressParts {
  base?: string;
  index?: string;
  scale?: number;
}

function addressParts(r: Random, size: 2 | 4): AddressParts {
  if (size === 2) {
    const base = r.pick(['bx', 'bp', 'si', 'di', undefined]);
    const index = base === 'bx' || base === 'bp' ? r.pick(['si', 'di', undefined]) : undefined;
    return { ...(base && { base }), ...(index && { index, scale: 1 }) };
  }
  const base = r.chance(75) ? r.pick(namesOf('r32')) : undefined;
  const index = r.chance(50) ? r.pick(namesOf('r32').filter((n) => n !== 'esp')) : undefined;
  const scale = base === undefined ? r.pick([1, 2, 3, 4, 5, 8, 9]) : r.pick([1, 2, 4, 8]);
  return { ...(base && { base }), ...(index && { index, scale }) };
}

/** A memory operand. `size` is said, or 0. */
function memoryPiece(r: Random, bits: Bits, size: Size, distance: 'far' | null, labels: readonly string[]): Piece {
  const natural = bits === 16 ? 2 : 4;
  const addressSize = (r.chance(85) ? natural : 6 - natural) as 2 | 4;
  const { base, index, scale = 1 } = addressParts(r, addressSize);
  const bare = base === undefined && index === undefined;
  const label = labels.length > 0 && r.chance(30) && (addressSize === natural || !bare) ? r.pick(labels) : null;
  const range = displacements.filter((d) => addressSize === 4 || Math.abs(d) < 0x8000);
  const displacement = bare || r.chance(60) ? r.pick(range) : 0;
  const displacementSize: Size =
    bare ? (addressSize === natural ? 0 : addressSize) : r.chance(10) && label === null ? r.pick([1, addressSize]) : 0; // biome-ignore format: short
  const nosplit = index !== undefined && r.chance(10);
  const segment = r.chance(12) ? r.pick(namesOf('segment')) : undefined;
  const terms: string[] = [];
  if (base !== undefined) terms.push(base);
  const indexText = index === undefined ? '' : scale === 1 && r.chance(80) ? index : `${index}*${scale}`;
  if (indexText !== '') terms.push(indexText);
  if (label !== null) terms.push(label);
  const shuffled = label !== null && r.chance(30) ? terms.reverse() : terms;
  let inner = shuffled.join('+');
  if (displacement !== 0 || inner === '')
    inner +=
      displacement < 0 && inner !== ''
        ? `-${numberText(r, -displacement)}`
        : `${inner && '+'}${numberText(r, displacement)}`;
  const words = [
    displacementSize === 0 ? '' : (SIZE_NAMES[displacementSize] as string),
    nosplit ? 'nosplit' : '',
    segment === undefined ? '' : `${segment}:`,
  ].filter((w) => w !== '');
  const said = [size === 0 ? '' : SIZE_NAMES[size], distance ?? '', `[${[...words, inner].join(' ')}]`].filter(
    (w) => w,
  );
  if (label !== null || indexText.endsWith('*1') || base === index) return { text: said.join(' '), operand: null };
  const parts = {
    size, displacement, displacementSize, nosplit, distance,
    ...(base && { base }), ...(index && { index, scale }), ...(segment && { segment }),
  }; // biome-ignore format: fields
  return { text: said.join(' '), operand: mem(parts as Parameters<typeof mem>[0]) };
}

function immediatePiece(r: Random, bits: Bits, slot: Slot, labels: readonly string[], tellsSize: boolean): Piece {
  if (slot.value === 'one') return { text: '1', operand: imm(1) };
  const width = slot.size || (slot.same > 0 ? slot.same : slot.bytes);
  const range =
    slot.value === 'sbyte' || (slot.size === 1 && slot.bytes === 1)
      ? inRange(1).filter((n) => n < 128)
      : inRange(width);
  const said =
    (slot.size !== 0 && slot.implied === undefined && (tellsSize || slot.size !== 1 || r.chance(50))) ||
    (slot.same > 0 && r.chance(15));
  const size = (said ? slot.size || slot.same : 0) as Size;
  const strict = size > 1 && r.chance(25);
  const lead = `${strict ? 'strict ' : ''}${size === 0 ? '' : `${SIZE_NAMES[size]} `}`;
  if (labels.length > 1 && slot.bytes * 8 === bits && r.chance(25)) {
    const label = r.pick(labels);
    const text = r.chance(50) ? label : r.chance(50) ? `${label}-${r.pick(labels)}` : `${label}+${r.below(300)}`;
    return { text: lead + text, operand: null };
  }
  const n = r.pick(range);
  return { text: lead + (r.chance(5) && n === 0x7f ? "'\x7f'" : numberText(r, n)), operand: imm(n, size, strict) };
}

function piece(r: Random, bits: Bits, slot: Slot, labels: readonly string[], tellsSize: boolean): Piece {
  const kinds: (() => Piece)[] = [];
  for (const group of slot.registers)
    kinds.push(() => {
      const name = slot.only ?? r.pick(namesOf(group));
      return { text: name, operand: reg(name) };
    });
  if (slot.role === 'O') {
    const at = r.below(bits === 16 ? 0x10000 : 0x7fffffff);
    if (labels.length > 0 && r.chance(40)) return { text: `[${r.pick(labels)}]`, operand: null };
    return { text: `[${numberText(r, at)}]`, operand: mem({ displacement: at }) };
  }
  if (slot.memory) {
    const said: Size = slot.size !== 0 ? slot.size : slot.same > 0 && r.chance(20) ? (slot.same as Size) : 0;
    kinds.push(() => memoryPiece(r, bits, said, slot.distance === 'far' ? 'far' : null, labels));
  }
  if (kinds.length > 0) return r.pick(kinds)();
  if (slot.role === 'A') {
    const size = slot.size;
    const selector = r.below(0x10000);
    const offset = r.below(0x10000);
    if (labels.length > 0 && r.chance(50))
      return { text: `${size ? `${SIZE_NAMES[size]} ` : ''}${selector}:${r.pick(labels)}`, operand: null };
    return { text: `${size ? `${SIZE_NAMES[size]} ` : ''}${selector}:${offset}`, operand: far(selector, offset, size) };
  }
  if (slot.role === 'J') {
    const said = slot.size !== 0 ? `${SIZE_NAMES[slot.size]} ` : slot.distance === 'near' ? 'near ' : '';
    if (labels.length > 0) return { text: said + r.pick(labels), operand: null };
    const operand = { ...target(r.below(0x60), slot.distance === 'near' ? 'near' : null), size: slot.size };
    return { text: `${said}($$+${operand.value.number})`, operand };
  }
  return immediatePiece(r, bits, slot, labels, tellsSize);
}

/** One use of a form. Without labels it can be given to the typed layer too. */
export function sample(r: Random, bits: Bits, name: string, form: Form, labels: readonly string[] = []): Sample {
  // add [x], byte 5: the immediate is what tells the size
  const tellsSize = form.slots.some((s) => s.memory && s.size === 0 && s.registers.length === 0);
  const pieces = form.slots.map((slot) => piece(r, bits, slot, labels, tellsSize));
  const prefixes: AssemblyInstruction['prefixes'] = [];
  const operands = pieces.flatMap((p) => (p.operand === null ? [] : [p.operand]));
  const text = `${r.chance(10) ? name : name.toLowerCase()} ${pieces.map((p) => p.text).join(', ')}`.trim();
  const typed = operands.length === pieces.length ? { mnemonic: name, operands, prefixes } : null;
  return { text, typed };
}

/** Names that the reference assembler does not know, or reads differently. */
const OWN_NAMES = new Set<string>([]);

/** All mnemonics with their forms. */
export const everyForm = (): { name: string; form: Form }[] =>
  [...mnemonics()]
    .filter((name) => !OWN_NAMES.has(name))
    .flatMap((name) => (formsOf(name) ?? []).map((form) => ({ name, form })));

export const isMemory = (o: Operand): o is MemoryOperand => o.kind === 'memory';
