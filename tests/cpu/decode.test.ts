import { Mnemonic, OpKind, Register } from 'iced-x86';
import { describe, expect, test } from 'vitest';
import { ZERO } from '../../src/base/registers.ts';
import { decode } from '../../src/cpu/decode.ts';
import type { Instruction } from '../../src/cpu/instruction.ts';
import { runs } from '../effort.ts';
import { encodingsOfAllRows, generator, Reference, SLOT } from './iced.ts';

const CODE_SIZES = [2, 4] as const;
const at = (hex: string, codeSize: 2 | 4 = 4) => {
  const bytes = Uint8Array.from(hex.split(' ').map((b) => Number.parseInt(b, 16)));
  return decode(bytes, 0, bytes.length, codeSize);
};
const legalLength = (i: ReturnType<typeof decode>): number =>
  typeof i === 'string' || i.row.semantics === 'undefined' ? 0 : i.length;

/** What iced says of the memory operand and the immediates, in our terms. */
function operandsOf(reference: Reference): unknown {
  const i = reference.instruction;
  const register = (r: Register): number => {
    if (r === Register.None) return ZERO;
    return r >= Register.EAX ? r - Register.EAX : r - Register.AX;
  };
  const kinds = Array.from({ length: i.opCount }, (_, n) => i.opKind(n));
  const memory = kinds.includes(OpKind.Memory) && i.mnemonic !== Mnemonic.Xlatb; // its memory operand is implicit here
  return {
    memory: memory
      ? {
          base: register(i.memoryBase),
          index: register(i.memoryIndex),
          scale: i.memoryIndex === Register.None ? 0 : Math.log2(i.memoryIndexScale),
          displacement: Number(BigInt.asIntN(32, i.memoryDisplacement)),
          segment: i.memorySegment - Register.ES,
        }
      : null,
    immediates: kinds.flatMap((kind, n): number[] => {
      switch (kind) {
        case OpKind.Immediate8:
        case OpKind.Immediate16:
        case OpKind.Immediate32:
        case OpKind.Immediate8to32:
          return [Number(BigInt.asIntN(32, i.immediate(n)))];
        case OpKind.Immediate8_2nd:
          return [i.immediate8_2nd];
        case OpKind.Immediate8to16:
          return [Number(BigInt.asUintN(16, i.immediate(n)))];
        case OpKind.NearBranch16:
          return [(i.nearBranch16 - i.length) & 0xffff];
        case OpKind.NearBranch32:
          return [(i.nearBranch32 - i.length) | 0];
        case OpKind.FarBranch16:
          return [i.farBranch16, i.farBranchSelector];
        case OpKind.FarBranch32:
          return [i.farBranch32 | 0, i.farBranchSelector];
        default:
          return [];
      }
    }),
  };
}

function operandsOfOurs(i: Instruction): unknown {
  const has = (...codes: string[]): boolean => i.row.operands.some((o) => codes.includes(o));
  const immediates = [];
  if (has('1')) immediates.push(1);
  if (has('Jb', 'Jz')) immediates.push(i.operandSize === 2 ? i.immediate & 0xffff : i.immediate);
  else if (has('Ap')) immediates.push(i.immediate, i.immediate2);
  else if (has('Ib', 'sIb', 'Iw', 'Iv', 'Iz')) immediates.push(i.immediate);
  if (i.row.mnemonic === 'ENTER') immediates.push(i.immediate2);
  const { base, index, scale, segment } = i;
  const displacement = i.addressSize === 2 ? i.displacement & 0xffff : i.displacement;
  return { memory: i.memory ? { base, index, scale, displacement, segment } : null, immediates };
}

/** Decodes every string both ways; the first differences, as text. */
function compare(bytes: Uint8Array, codeSize: 2 | 4, operands = true): string[] {
  const reference = new Reference(bytes, codeSize);
  const found: string[] = [];
  for (let start = 0; start + SLOT <= bytes.length && found.length < 20; start += SLOT) {
    const theirs = reference.lengthAt(start);
    const ours = decode(bytes, start, start + SLOT, codeSize);
    const say = (what: string) =>
      found.push(
        `${Buffer.from(bytes.subarray(start, start + SLOT)).toString('hex')} in ${codeSize * 8} bits: ${what}`,
      );
    if (legalLength(ours) !== theirs) {
      say(
        `${legalLength(ours)} bytes (${typeof ours === 'string' ? ours : ours.row.mnemonic}), iced ${theirs} (${reference.instruction})`,
      );
    } else if (operands && theirs > 0 && typeof ours !== 'string') {
      const [a, b] = [JSON.stringify(operandsOfOurs(ours)), JSON.stringify(operandsOf(reference))];
      if (a !== b) say(`${ours.row.mnemonic} ${a}, iced ${b}`);
    }
  }
  reference.free();
  return found;
}

const PREFIXES = [[], [0x66], [0x67], [0xf0], [0xf2], [0xf3], [0x66, 0xf3], [0xf2, 0x66], [0x2e], [0x65, 0x66, 0x67]];

describe('the decoder and iced-x86 agree', () => {
  test.each(CODE_SIZES)('on every form that the rows claim, under all kinds of prefixes (code size %i)', (codeSize) => {
    expect(compare(encodingsOfAllRows(0x5eed, PREFIXES), codeSize)).toEqual([]);
  });

  test.each(CODE_SIZES)('on every opcode of the three maps, claimed or not (code size %i)', (codeSize) => {
    const heads: number[][] = [];
    for (const escapes of [[], [0x0f], [0x0f, 0x38], [0x0f, 0x3a]])
      for (const prefix of [[], [0x66], [0xf2], [0xf3], [0xf0]])
        for (let n = 0; n < 0x1_0000; n++) heads.push([...prefix, ...escapes, n >> 8, n & 0xff]);
    const bytes = new Uint8Array(heads.length * SLOT).fill(0x24);
    heads.forEach((head, n) => {
      bytes.set(head, n * SLOT);
    });
    expect(compare(bytes, codeSize, false)).toEqual([]);
  });

  test.each(CODE_SIZES)('on random strings, half of them with random prefixes (code size %i)', (codeSize) => {
    const random = generator(0xc0ffee);
    const bytes = Uint8Array.from({ length: runs(30_000) * SLOT }, () => random() >>> 24);
    const prefixes = [0x66, 0x67, 0xf0, 0xf2, 0xf3, 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x0f];
    for (let start = 0; start < bytes.length; start += 2 * SLOT)
      for (let n = random() & 3; n >= 0; n--) bytes[start + n] = prefixes[random() % prefixes.length] as number;
    expect(compare(bytes, codeSize)).toEqual([]);
  });
});

describe('the decoder', () => {
  const summary = (i: ReturnType<typeof at>) => (typeof i === 'string' ? i : `${i.row.mnemonic} ${i.length}`);

  test('says that an instruction is truncated wherever it is cut, and reads nothing behind its end', () => {
    const bytes = encodingsOfAllRows(0xcafe, [[0x65, 0x67]]);
    for (let start = 0; start < bytes.length; start += 17 * SLOT) {
      const i = decode(bytes, start, start + SLOT, 4) as Instruction;
      if (i.row.semantics === 'undefined') continue;
      for (let end = start; end < start + i.length; end++) expect(decode(bytes, start, end, 4)).toBe('truncated');
      expect(decode(bytes, start, start + i.length, 4)).toEqual(i);
    }
  });

  test('takes 15 bytes and not 16', () => {
    const prefixed = (count: number) => [...new Array(count).fill('66'), '90'].join(' ');
    expect(summary(at(prefixed(14)))).toBe('NOP 15');
    expect(summary(at(prefixed(15)))).toBe('tooLong');
    expect(summary(at(`${new Array(11).fill('2e').join(' ')} 05 01 02 03 04`))).toBe('tooLong');
    expect(summary(at(new Array(15).fill('f3').join(' ')))).toBe('tooLong');
    expect(summary(at(new Array(14).fill('f3').join(' ')))).toBe('truncated');
  });

  test('lets the last prefix of each kind win', () => {
    expect(at('2e 65 f2 f3 a4')).toMatchObject({ segment: 5, segmentOverride: true, rep: 0xf3 });
    expect(at('65 f3 36 f2 a6')).toMatchObject({ segment: 2, rep: 0xf2 });
  });

  test.each([
    ['f0 01 c0', 'LOCK with a register destination'],
    ['f0 03 00', 'LOCK with a memory source'],
    ['f0 90', 'LOCK NOP'],
    ['f0 0f a3 00', 'LOCK BT, which writes nothing'],
    ['8e c8', 'MOV to CS'],
    ['8e f0', 'MOV to a segment register that does not exist'],
    ['0f 22 c8', 'MOV to CR1'],
    ['0f 20 e8', 'MOV from CR5'],
    ['8d c0', 'LEA of a register'],
    ['0f c7 c8', 'CMPXCHG8B of a register'],
    ['c4 c0', 'LES of a register'],
    ['62 c0', 'BOUND of a register'],
    ['0f 01 f8', 'INVLPG of a register'],
    ['66 0f 01 c2', 'VMLAUNCH with an operand-size prefix'],
    ['f2 0f c7 30', 'VMPTRLD with F2'],
    ['0f 38 80 00', 'INVEPT without its 66'],
    ['0f 05', 'SYSCALL'],
    ['0f 77', 'EMMS'],
    ['0f aa', 'RSM'],
    ['ff f8', 'group 5 /7'],
  ])('takes %s for undefined: %s', (bytes) => {
    expect(at(bytes)).toMatchObject({ row: { mnemonic: 'UD', semantics: 'undefined' } });
  });

  test.each([
    ['f3 0f c7 30', 'VMXON 4'],
    ['66 0f c7 30', 'VMCLEAR 4'],
    ['0f c7 30', 'VMPTRLD 3'],
    ['f3 66 0f c7 30', 'VMXON 5'],
    ['0f c7 38', 'VMPTRST 3'],
    ['0f 01 c2', 'VMLAUNCH 3'],
    ['0f 78 c8', 'VMREAD 3'],
    ['66 0f 38 81 08', 'INVVPID 5'],
    ['f3 90', 'PAUSE 2'],
    ['f2 90', 'NOP 2'],
    ['f3 91', 'XCHG 2'],
    ['f3 0f bc c1', 'BSF 4'],
    ['f0 0f c7 0b', 'CMPXCHG8B 4'],
    ['0f 22 00', 'MOV 3'],
    ['0f 1f 84 00 00 00 00 00', 'NOP 8'],
    ['d9 c0', 'FLD 2'],
  ])('takes %s for %s bytes', (bytes, expected) => {
    expect(summary(at(bytes))).toBe(expected);
  });

  test('treats the rm operand of MOV CR as a register whatever mod says', () => {
    expect(at('0f 22 04')).toMatchObject({ length: 3, memory: false, reg: 0, rm: 4 });
  });

  test('extends immediates as a register of their size would read', () => {
    expect(at('83 c0 ff')).toMatchObject({ immediate: -1 });
    expect(at('66 83 c0 ff')).toMatchObject({ immediate: 0xffff });
    expect(at('80 c0 ff')).toMatchObject({ immediate: 0xff });
    expect(at('b8 fe ff ff ff')).toMatchObject({ immediate: -2 });
    expect(at('b8 fe ff', 2)).toMatchObject({ immediate: 0xfffe });
    expect(at('eb fe')).toMatchObject({ immediate: -2 });
    expect(at('e9 fd ff', 2)).toMatchObject({ immediate: -3 });
    expect(at('ea 78 56 34 12 08 00')).toMatchObject({ immediate: 0x12345678, immediate2: 8 });
    expect(at('a1 00 10 00 80')).toMatchObject({
      memory: true,
      immediate: 0x80001000 | 0,
      displacement: 0x80001000 | 0,
    });
  });
});
