/** What a field's encoding says about it, and where its value stands in the cached VMCS. Everything follows from fields.ts. */
import * as encodings from './fields.ts';

export type FieldType = 'control' | 'read-only data' | 'guest state' | 'host state';
export type FieldWidth = 16 | 32 | 64 | 'natural';

export interface Field {
  readonly name: string;
  readonly encoding: number;
  readonly type: FieldType;
  readonly width: FieldWidth;
  /** Index of its word, the low one of two for 64-bit fields, in the cached VMCS. */
  readonly word: number;
}

const TYPES: readonly FieldType[] = ['control', 'read-only data', 'guest state', 'host state'];
const WIDTHS: readonly FieldWidth[] = [16, 64, 32, 'natural'];

/** Width of a field by its encoding, bits 14:13. */
export const widthOf = (encoding: number): FieldWidth => WIDTHS[(encoding >> 13) & 3] as FieldWidth;

/** All fields, by encoding. */
export const FIELDS: readonly Field[] = numberWords(
  Object.entries(encodings)
    .map(([name, encoding]) => ({ name, encoding }))
    .sort((a, b) => a.encoding - b.encoding),
);

function numberWords(named: readonly { name: string; encoding: number }[]): Field[] {
  let word = 0;
  return named.map(({ name, encoding }) => {
    const width = widthOf(encoding);
    const field = { name, encoding, type: TYPES[(encoding >> 10) & 3] as FieldType, width, word };
    word += width === 64 ? 2 : 1;
    return field;
  });
}

const lastField = FIELDS[FIELDS.length - 1] as Field;
/** Words that the fields take in the cached VMCS. */
export const FIELD_WORDS: number = lastField.word + (lastField.width === 64 ? 2 : 1);
/** One past the highest encoding. */
export const ENCODINGS: number = lastField.encoding + 2;

/** Word of an encoding, high halves included; −1 where there is no field. */
export const WORD = new Int16Array(ENCODINGS).fill(-1);
/** Bits that a word has: FFFFh for 16-bit fields. */
export const WORD_MASK = new Int32Array(FIELD_WORDS).fill(-1);
for (const field of FIELDS) {
  WORD[field.encoding] = field.word;
  if (field.width === 64) WORD[field.encoding + 1] = field.word + 1;
  if (field.width === 16) WORD_MASK[field.word] = 0xffff;
}

/** Word of a field that exists, for code that names it. */
export const wordOf = (encoding: number): number => WORD[encoding];

const byEncoding = new Map(FIELDS.map((field) => [field.encoding, field]));

/** The field of an encoding (either half), if ringlet has it. */
export function fieldOf(encoding: number): Field | undefined {
  return byEncoding.get(widthOf(encoding) === 64 ? encoding & ~1 : encoding);
}

/** Name of a field, with its half if it is the high one; a number where there is none. */
export function fieldName(encoding: number): string {
  const field = fieldOf(encoding);
  if (field === undefined) return `field ${encoding.toString(16).toUpperCase().padStart(4, '0')}h`;
  return encoding === field.encoding ? field.name : `${field.name} (high)`;
}
