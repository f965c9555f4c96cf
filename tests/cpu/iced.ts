/** The independent decoder that ours is compared with: iced-x86, cut down to the processor of this model. */

import { Code, CpuidFeature, Decoder, DecoderOptions, Instruction as IcedInstruction, Mnemonic } from 'iced-x86';
import { rows } from '../../src/cpu/opcodes/index.ts';
import type { Row } from '../../src/cpu/rows.ts';

/** What a Pentium Pro with VMX and SMAP knows, in the words of iced. */
const FEATURES: ReadonlySet<CpuidFeature> = new Set([
  CpuidFeature.INTEL8086,
  CpuidFeature.INTEL186,
  CpuidFeature.INTEL286,
  CpuidFeature.INTEL386,
  CpuidFeature.INTEL486,
  CpuidFeature.CPUID,
  CpuidFeature.CX8,
  CpuidFeature.CMOV,
  CpuidFeature.MSR,
  CpuidFeature.TSC,
  CpuidFeature.RDTSCP,
  CpuidFeature.RDPMC,
  CpuidFeature.SEP,
  CpuidFeature.MULTIBYTENOP,
  CpuidFeature.PAUSE,
  CpuidFeature.FPU,
  CpuidFeature.FPU287,
  CpuidFeature.FPU387,
  CpuidFeature.VMX,
  CpuidFeature.INVEPT,
  CpuidFeature.INVVPID,
  CpuidFeature.SMAP,
]);

/** Younger instructions took encodings that a Pentium Pro reads otherwise: ask for the old reading. */
const OPTIONS =
  DecoderOptions.ForceReservedNop | // 0F 18 to 0F 1F are NOPs: no prefetch, MPX, CET
  DecoderOptions.NoMPFX_0FBC | // F3 0F BC is BSF, not TZCNT
  DecoderOptions.NoMPFX_0FBD | // F3 0F BD is BSR, not LZCNT
  DecoderOptions.NoWbnoinvd; // F3 0F 09 is WBINVD

/** Where the model differs from iced on purpose. Each is a reading of the manual, not a convenience. */
export const DIFFERENCES: readonly { readonly mnemonic: Mnemonic; readonly why: string }[] = [
  { mnemonic: Mnemonic.Ud0, why: 'exists in order to raise #UD; the model has no row for 0F FF' },
  { mnemonic: Mnemonic.Ud1, why: 'exists in order to raise #UD; the model has no row for 0F B9' },
  { mnemonic: Mnemonic.Ud2, why: 'exists in order to raise #UD; the row of 0F 0B says so' },
];
const EXPECTED_ILLEGAL = new Set(DIFFERENCES.map((d) => d.mnemonic));

export const SLOT = 16;

/** Decodes one string of a buffer in which every SLOT bytes a new one starts. Use `free` at the end. */
export class Reference {
  readonly #decoder: Decoder;
  readonly instruction: IcedInstruction = new IcedInstruction();
  readonly #known = new Map<Code, boolean>();

  constructor(bytes: Uint8Array, codeSize: 2 | 4) {
    this.#decoder = new Decoder(codeSize * 8, bytes, OPTIONS);
  }

  /** Length of the instruction, 0 if it is illegal on this processor. */
  lengthAt(position: number): number {
    this.#decoder.position = position;
    this.#decoder.ip = 0n;
    this.#decoder.decodeOut(this.instruction);
    return this.#legal() ? this.instruction.length : 0;
  }

  #legal(): boolean {
    const { code } = this.instruction;
    if (code === Code.INVALID) return false;
    let known = this.#known.get(code);
    if (known === undefined) {
      known =
        !EXPECTED_ILLEGAL.has(this.instruction.mnemonic) &&
        [...this.instruction.cpuidFeatures()].every((f) => FEATURES.has(f));
      this.#known.set(code, known);
    }
    return known;
  }

  free(): void {
    this.instruction.free();
    this.#decoder.free();
  }
}

/** xorshift32: the same strings in every run. */
export function generator(seed: number): () => number {
  let x = seed;
  return () => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return x >>> 0;
  };
}

/** Every register form and the kinds of memory forms: no displacement, SIB, disp8, disp16/32, direct. */
const RMS = [0x00, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x40, 0x44, 0x45, 0x46, 0x80, 0x84, 0x86];
const SIBS = [0x00, 0x25, 0x64, 0xa5, 0xed, 0x9c];

/** Byte strings that reach a row: opcode, and all its ModRM bytes up to the choice of registers. */
function* encodings(row: Row): Generator<readonly number[]> {
  const escapes = row.map === 1 ? [] : row.map === 2 ? [0x0f] : [0x0f, 0x38];
  const last = row.operands.some((o) => o.startsWith('Z')) ? row.opcode + 7 : row.opcode;
  for (let opcode = row.opcode; opcode <= last; opcode++) {
    for (let reg = 0; reg < 0x40; reg += 8) {
      for (let rm = 0; rm < 8; rm++) yield [...escapes, opcode, 0xc0 | reg | rm];
      for (const rm of RMS) for (const sib of (rm & 7) === 4 ? SIBS : [0x91]) yield [...escapes, opcode, reg | rm, sib];
    }
  }
}

/** Every encoding of every row behind each of the prefixes, filled up to SLOT bytes with seeded noise. */
export function encodingsOfAllRows(seed: number, prefixes: readonly (readonly number[])[]): Uint8Array {
  const distinct = new Map<string, readonly number[]>();
  for (const row of rows) for (const encoding of encodings(row)) distinct.set(encoding.join(), encoding);
  const random = generator(seed);
  const bytes = Uint8Array.from({ length: distinct.size * prefixes.length * SLOT }, () => random() >>> 24);
  let start = 0;
  for (const encoding of distinct.values())
    for (const prefix of prefixes) {
      bytes.set(prefix, start);
      bytes.set(encoding, start + prefix.length);
      start += SLOT;
    }
  return bytes;
}
