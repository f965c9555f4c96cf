/** A VMCS as a value: what the functions of this folder explain. It may come from a processor, from a file, or from somebody's log,
 *  so fields may be unknown, and values may be wider than a 32-bit processor's fields. */
import { InvalidInput, type Unvalidated } from '../../base/errors.ts';
import type { U64 } from '../../base/int.ts';
import { record } from '../../base/validate.ts';
import type { VmxCapabilities } from '../capabilities.ts';
import { type CheckMemory, EntryView } from '../checks/check.ts';
import { FIELD_WORDS, FIELDS, type Field, WORD, WORD_MASK, widthOf } from '../field-table.ts';

/** No region has this address; the pointer of a VMCS whose address nobody told. */
const NOWHERE = -1;

/** The fields of one VMCS, and what is needed to judge them. */
export class VmcsImage {
  readonly words = new Int32Array(FIELD_WORDS);
  readonly capabilities: VmxCapabilities;
  /** Host-physical memory, where there is some to look at. */
  readonly memory: CheckMemory | null;
  /** Physical address of the region, −1 if unknown. */
  readonly pointer: number;
  readonly #known = new Set<number>();
  /** Values that do not fit the field of a 32-bit processor. */
  readonly #wide = new Map<number, U64>();
  /** Values of fields that ringlet does not have. */
  readonly #foreign = new Map<number, U64>();

  constructor(capabilities: VmxCapabilities, memory: CheckMemory | null = null, pointer: number = NOWHERE) {
    this.capabilities = capabilities;
    this.memory = memory;
    this.pointer = pointer;
  }

  /** Sets a field by its full encoding; a field that ringlet does not have is kept apart. */
  set(encoding: number, lo: number, hi = 0): void {
    const word = WORD[encoding] ?? -1;
    if (word < 0) {
      this.#foreign.set(encoding, { lo, hi });
      return;
    }
    this.words[word] = lo & WORD_MASK[word];
    this.#known.add(encoding);
    if (widthOf(encoding) === 64) this.words[word + 1] = hi;
    else if (hi !== 0) this.#wide.set(encoding, { lo, hi });
    else this.#wide.delete(encoding);
  }

  knows(encoding: number): boolean {
    return this.#known.has(encoding);
  }

  /** Value beyond 32 bits of a field that has only 32 here. */
  wide(encoding: number): U64 | undefined {
    return this.#wide.get(encoding);
  }

  /** Fields that ringlet does not have, by encoding. */
  get foreign(): ReadonlyMap<number, U64> {
    return this.#foreign;
  }

  /** A field of up to 32 bits or the low half of a 64-bit one, an int32 pattern; 0 if unknown. */
  low(encoding: number): number {
    return this.words[WORD[encoding]];
  }

  value(field: Field): U64 {
    const wide = this.#wide.get(field.encoding);
    if (wide !== undefined) return wide;
    return { lo: this.words[field.word], hi: field.width === 64 ? this.words[field.word + 1] : 0 };
  }

  /** The words as entry checks see them; `words` instead of the own ones to try a change. */
  view(words: Int32Array = this.words): EntryView {
    return new EntryView(words, this.pointer, this.capabilities, this.memory ?? { read32: () => 0 });
  }
}

/** The image of a VMCS that a processor holds. All fields are known. */
export function imageOfWords(
  words: Int32Array,
  capabilities: VmxCapabilities,
  memory: CheckMemory | null = null,
  pointer: number = NOWHERE,
): VmcsImage {
  const image = new VmcsImage(capabilities, memory, pointer);
  for (const field of FIELDS)
    image.set(field.encoding, words[field.word], field.width === 64 ? words[field.word + 1] : 0);
  return image;
}

/** `0x8000_0021`, `80000021h`, `33`, or a number, as halves. */
function parseValue(value: unknown, where: string): U64 {
  const text = typeof value === 'number' ? (value < 0 ? value >>> 0 : value).toString() : value;
  const plain = typeof text === 'string' ? text.replaceAll('_', '').toLowerCase() : '';
  const digits = /^([0-9a-f]+)h$/.exec(plain)?.[1];
  const literal = digits === undefined ? plain : `0x${digits}`;
  if (!/^(0x[0-9a-f]{1,16}|[0-9]{1,20})$/.test(literal))
    throw new InvalidInput(`${where}: ${JSON.stringify(value)} is no number: write 33, "0x21" or "21h"`);
  const number = BigInt(literal);
  if (number >> 64n) throw new InvalidInput(`${where}: ${literal} has more than 64 bits`);
  return { lo: Number(number & 0xffff_ffffn) | 0, hi: Number(number >> 32n) | 0 };
}

const BY_NAME = new Map(FIELDS.map((field) => [field.name, field.encoding]));

/** Encoding of a field by its name (GUEST_CR0) or number (0x6800); −1 if it is neither. */
export function encodingOf(name: string): number {
  const byName = BY_NAME.get(name.toUpperCase());
  if (byName !== undefined) return byName;
  const digits = /^0x([0-9a-f]{1,4})$|^([0-9a-f]{1,4})h$/i.exec(name);
  return digits === null ? -1 : Number.parseInt(digits[1] ?? digits[2], 16) & ~1;
}

/** A VMCS from a plain object, field name (or encoding) to value. Fields that it does not name are 0 unless `partial`, when they are
 *  unknown. Throws InvalidInput. */
export function imageOfObject(
  object: Unvalidated<Readonly<Record<string, number | string>>>,
  capabilities: VmxCapabilities,
  options: { readonly partial?: boolean; readonly where?: string } = {},
): VmcsImage {
  const where = options.where ?? 'VMCS';
  const image = new VmcsImage(capabilities);
  if (options.partial !== true) for (const field of FIELDS) image.set(field.encoding, 0);
  for (const [name, value] of Object.entries(record(object, where))) {
    const encoding = encodingOf(name);
    if (encoding < 0)
      throw new InvalidInput(
        `${where}: there is no field ${JSON.stringify(name)}: use a name of docs/vmx-conformance.md`,
      );
    const { lo, hi } = parseValue(value, `${where}.${name}`);
    const width = widthOf(encoding);
    if (width === 16 && ((lo & ~0xffff) !== 0 || hi !== 0))
      throw new InvalidInput(`${where}.${name}: the field has 16 bits`);
    if (width === 32 && hi !== 0) throw new InvalidInput(`${where}.${name}: the field has 32 bits`);
    image.set(encoding, lo, hi);
  }
  return image;
}

/** The VMCS as a plain object that `imageOfObject` reads: only what is known. */
export function objectOfImage(image: VmcsImage): Record<string, string> {
  const object: Record<string, string> = {};
  const text = ({ lo, hi }: U64): string => `0x${((BigInt(hi >>> 0) << 32n) | BigInt(lo >>> 0)).toString(16)}`;
  for (const field of FIELDS) if (image.knows(field.encoding)) object[field.name] = text(image.value(field));
  for (const [encoding, value] of image.foreign) object[`0x${encoding.toString(16).padStart(4, '0')}`] = text(value);
  return object;
}
