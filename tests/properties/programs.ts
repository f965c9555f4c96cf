/** Random guest programs: sections of slots, each section in one of the kernel's modes. */
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { type Assembled, assemble } from '../../src/asm/index.ts';
import { disassembleBytes } from '../../src/cpu/disassemble.ts';
import { rows } from '../../src/cpu/opcodes/index.ts';
import { encodePiece, type Piece } from './encode.ts';
import { AREA, CODE_BYTES, MODES, type Mode, SLOT_BYTES, STACK } from './modes.ts';

/** Instructions of a slot, as rows and random numbers, or as bytes. */
export type Slot = { readonly pieces: readonly Piece[] } | { readonly bytes: Uint8Array };

export interface Section {
  readonly mode: number;
  readonly slots: readonly Slot[];
}

export interface Program {
  readonly paging: boolean;
  /** Timer period in pulses of 838 ticks. */
  readonly period: number;
  readonly sections: readonly Section[];
}

export const kernel: Assembled = assemble(readFileSync(new URL('kernel.asm', import.meta.url), 'utf8'));
const MOST_SLOTS = CODE_BYTES / SLOT_BYTES;
/** What a section begins with: INT 81h, which makes the kernel go on with the next slot in that slot's mode. */
const TRAP = [0xcd, 0x81];

/** Rows that in ring 0 are likely to end the program: they get a section of their own, the last one. */
const FINAL = new Set(['lgdt', 'lidt', 'lldt', 'ltr', 'movToCr', 'lmsw', 'wrmsr', 'hlt', 'cli', 'popf', 'iret', 'retFar', 'retFarImmediate', 'callFar', 'jmpFar', 'movToSegment', 'popSegment', 'loadFarPointer', 'leave', 'out', 'outs']); // biome-ignore format: a list
/** Rows that do not exist here stop the machine; there are many of them. */
const missing = rows.flatMap((row, n) => (row.semantics === 'unimplemented' ? [n] : []));
const numbers = rows.flatMap((row, n) => (row.semantics === 'unimplemented' ? [] : [n]));
const safe = numbers.filter((n) => !FINAL.has(rows[n]?.semantics ?? ''));
const final = numbers.filter((n) => FINAL.has(rows[n]?.semantics ?? ''));

const word = fc.integer({ min: -0x8000_0000, max: 0x7fff_ffff });
const piece = (list: readonly number[]): fc.Arbitrary<Piece> =>
  fc.tuple(
    fc.oneof(
      { arbitrary: fc.constantFrom(...list), weight: 15 },
      { arbitrary: fc.constantFrom(...missing), weight: 1 },
    ),
    word,
    word,
    word,
  );
const slot = (list: readonly number[]): fc.Arbitrary<Slot> =>
  fc.record({ pieces: fc.array(piece(list), { minLength: 1, maxLength: 5, size: 'max' }) });
const rawSlot: fc.Arbitrary<Slot> = fc.record({
  bytes: fc.uint8Array({ minLength: SLOT_BYTES, maxLength: SLOT_BYTES }),
});
const section = (
  modes: readonly number[],
  list: readonly number[],
  least: number,
  most: number,
): fc.Arbitrary<Section> =>
  fc.record({
    mode: fc.constantFrom(...modes),
    slots: fc.array(slot(list), { minLength: least, maxLength: most, size: 'max' }),
  });

const OUTER = [0, 0, 2, 4, 5, 6];
const INNER = [1, 1, 3];

/** Programs of instructions. */
export const programs: fc.Arbitrary<Program> = fc.record({
  paging: fc.boolean(),
  period: fc.constantFrom(1, 1, 2, 3),
  sections: fc
    .tuple(
      fc.array(section(OUTER, numbers, 1, 16), { minLength: 8, maxLength: 24, size: 'max' }),
      fc.array(section(INNER, safe, 1, 12), { minLength: 1, maxLength: 8, size: 'max' }),
      section(INNER, final, 1, 8),
    )
    .map(([outer, inner, last]) => [...outer, ...inner, last]),
});

/** Programs of the instructions of some rows. */
export const programsOf = (list: readonly number[]): fc.Arbitrary<Program> =>
  fc.record({
    paging: fc.boolean(),
    period: fc.constantFrom(1, 3),
    sections: fc.array(
      fc.record({
        mode: fc.constantFrom(...OUTER, ...INNER),
        slots: fc.array(fc.record({ pieces: fc.tuple(fc.tuple(fc.constantFrom(...list), word, word, word)) }), {
          minLength: 4,
          maxLength: 30,
          size: 'max',
        }),
      }),
      { minLength: 8, maxLength: 16, size: 'max' },
    ),
  });

/** Programs of random bytes. */
export const rawPrograms: fc.Arbitrary<Program> = fc.record({
  paging: fc.boolean(),
  period: fc.constantFrom(1, 2, 3),
  sections: fc.array(
    fc.record({
      mode: fc.constantFrom(...OUTER, ...OUTER, ...INNER),
      slots: fc.array(rawSlot, { minLength: 4, maxLength: 40, size: 'max' }),
    }),
    { minLength: 4, maxLength: 16, size: 'max' },
  ),
});

/** One slot's bytes: as many instructions as fit, then a jump to its end. */
function slotBytes(s: Slot, mode: number): Uint8Array {
  const out = new Uint8Array(SLOT_BYTES).fill(0x90);
  if ('bytes' in s) {
    out.set(s.bytes.subarray(0, SLOT_BYTES));
    return out;
  }
  let at = 0;
  for (const p of s.pieces) {
    const bytes = encodePiece(p, MODES[mode] as Mode);
    if (at + bytes.length > SLOT_BYTES) break;
    out.set(bytes, at);
    at += bytes.length;
  }
  if (at <= SLOT_BYTES - 3) out.set([0xeb, SLOT_BYTES - 2 - at], at);
  return out;
}

/** A flat image for 10_0000h: the kernel, what it has to know, and the code at AREA. */
export function imageOf(program: Program): Uint8Array {
  const slots: Uint8Array[] = [];
  const modes: number[] = [];
  for (const s of program.sections) {
    slots.push(Uint8Array.from({ length: SLOT_BYTES }, (_, k) => TRAP[k] ?? 0x90));
    modes.push(slots.length > 1 ? (modes.at(-1) ?? 0) : s.mode);
    for (const one of s.slots) {
      slots.push(slotBytes(one, s.mode));
      modes.push(s.mode);
    }
  }
  const count = Math.min(slots.length, MOST_SLOTS);
  const image = new Uint8Array(AREA - kernel.origin + STACK);
  image.set(kernel.bytes);
  const at = (name: string): number => (kernel.symbols.get(name) ?? 0) - kernel.origin;
  addTables(new DataView(image.buffer));
  let pattern = 0x1234_5678;
  for (let k = AREA - kernel.origin + CODE_BYTES; k < image.length; k++) {
    pattern = (Math.imul(pattern, 0x19_660d) + 0x3c6e_f35f) | 0;
    image[k] = pattern >>> 24;
  }
  image.copyWithin(AREA - kernel.origin + 0x4100, at('bait'), at('bait_end'));
  new DataView(image.buffer).setUint32(at('slots'), count, true);
  image[at('period')] = program.period;
  image[at('paging')] = program.paging ? 1 : 0;
  image.set(modes.slice(0, count), at('modes'));
  for (let k = 0; k < count; k++) image.set(slots[k] as Uint8Array, AREA - kernel.origin + k * SLOT_BYTES);
  return image;
}

/** Page tables: AREA belongs to everybody; of its data one page is read-only, one is not there, one shows code. */
function addTables(image: DataView): void {
  const directory = (kernel.symbols.get('PAGE_DIRECTORY') ?? 0) - kernel.origin;
  const table = (kernel.symbols.get('PAGE_TABLE') ?? 0) - kernel.origin;
  image.setUint32(directory, (table + kernel.origin) | 7, true);
  for (let page = 0; page < 1024; page++) {
    const isUser = page >= AREA >>> 12 && page < (AREA >>> 12) + 16;
    image.setUint32(table + 4 * page, (page << 12) | (isUser ? 7 : 3), true);
  }
  const area = table + (AREA >>> 12) * 4;
  image.setUint32(area + 4 * 5, (AREA + 0x5000) | 5, true);
  image.setUint32(area + 4 * 6, 0, true);
  image.setUint32(area + 4 * 7, AREA | 7, true);
}

/** The code as a listing, for reports. */
export function listing(program: Program): string {
  const lines = [`paging ${program.paging ? 'on' : 'off'}, timer period ${program.period}`];
  let at = AREA;
  for (const s of program.sections) {
    lines.push(`${at.toString(16)}: int 0x81  ; ${MODES[s.mode]?.name}`);
    at += SLOT_BYTES;
    for (const one of s.slots) {
      for (const line of disassembleBytes(slotBytes(one, s.mode), at, MODES[s.mode]?.wide ? 4 : 2)) {
        const hex = Array.from(line.bytes, (b) => b.toString(16).padStart(2, '0')).join('');
        lines.push(`${line.eip.toString(16)}: ${hex.padEnd(22)} ${line.text}`);
      }
      at += SLOT_BYTES;
    }
  }
  return lines.join('\n');
}
