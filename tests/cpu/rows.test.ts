import { CodeExt, Decoder, DecoderOptions, RflagsBits } from 'iced-x86';
import { describe, expect, test } from 'vitest';
import { FLAG_AF, FLAG_CF, FLAG_DF, FLAG_OF, FLAG_PF, FLAG_SF, FLAG_ZF } from '../../src/base/registers.ts';
import { decode } from '../../src/cpu/decode.ts';
import { coversOpcode, takesModrm } from '../../src/cpu/decode-tables.ts';
import { canFault, type Instruction } from '../../src/cpu/instruction.ts';
import { rows, semantics } from '../../src/cpu/opcodes/index.ts';
import type { Row } from '../../src/cpu/rows.ts';

const nameOf = (row: Row): string =>
  `${row.map}:${row.opcode.toString(16)} ${row.mnemonic} ${row.operands.join()}`.trim();
const among = (...names: string[]): ((row: Row) => boolean) => {
  const set = new Set(names);
  return (row) => set.has(row.semantics);
};

const COMPARED_FLAGS = [
  [RflagsBits.OF, FLAG_OF],
  [RflagsBits.SF, FLAG_SF],
  [RflagsBits.ZF, FLAG_ZF],
  [RflagsBits.AF, FLAG_AF],
  [RflagsBits.CF, FLAG_CF],
  [RflagsBits.PF, FLAG_PF],
  [RflagsBits.DF, FLAG_DF],
] as const;
const MASK = COMPARED_FLAGS.reduce((sum, [, ours]) => sum | ours, 0);
const eflags = (bits: number): number =>
  COMPARED_FLAGS.reduce((sum, [theirs, ours]) => sum | (bits & theirs ? ours : 0), 0);

/** A byte string for a row: register operands where the row allows them, else a direct address. */
function sample(row: Row): Uint8Array {
  const rm = row.form === 'memory' ? 0x05 : 0xc0;
  const modrm = typeof row.form === 'number' ? row.form : rm | (Math.max(row.extension, 0) << 3);
  const escapes = row.map === 1 ? [] : row.map === 2 ? [0x0f] : [0x0f, 0x38];
  const prefixes = row.prefix === 0 ? [] : [row.prefix];
  return Uint8Array.from([...prefixes, ...escapes, row.opcode, modrm, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2]);
}

/** What iced says of the same bytes. */
function facts(row: Row) {
  const options = DecoderOptions.ForceReservedNop | DecoderOptions.NoMPFX_0FBC | DecoderOptions.NoMPFX_0FBD;
  const decoder = new Decoder(32, sample(row), options);
  const i = decoder.decode();
  const code = CodeExt.opCode(i.code);
  const result = {
    read: eflags(i.rflagsRead),
    written: eflags(i.rflagsModified),
    undefined: eflags(i.rflagsUndefined),
    lockable: code.canUseLockPrefix,
    repeatable: code.canUseRepPrefix,
    privileged: code.cpl0 && !code.cpl3,
    realMode: code.realMode,
    exits: code.intelVmExit || code.intelMayVmExit,
    stack: code.isStackInstruction,
  };
  code.free();
  i.free();
  decoder.free();
  return result;
}

/** Rows of which `ours` and `theirs` say different things. */
function differences(
  of: readonly Row[],
  ours: (row: Row) => unknown,
  theirs: (f: ReturnType<typeof facts>) => unknown,
) {
  return of.flatMap((row) => {
    const [a, b] = [ours(row), theirs(facts(row))];
    return a === b ? [] : [`${nameOf(row)}: ${a}, iced ${b}`];
  });
}

describe('the rows and iced-x86 agree', () => {
  test('on the flags written and on those left undefined', () => {
    // An entry to another context replaces EFLAGS; iced counts the arithmetic flags only.
    const others = rows.filter((row) => row.semantics !== 'vmx');
    expect(
      differences(
        others,
        (row) => row.flagsWritten & MASK,
        (f) => f.written,
      ),
    ).toEqual([]);
    expect(
      differences(
        others,
        (row) => row.flagsUndefined & MASK,
        (f) => f.undefined,
      ),
    ).toEqual([]);
  });

  test('on the flags read, apart from those that merely survive', () => {
    const survive = among(
      'movFromCr',
      'movToCr',
      'movFromDr',
      'movToDr',
      'vmx',
      'intN',
      'int1',
      'int3',
      'into',
      'iret',
    );
    const counted = among('shl', 'shr', 'sar', 'rol', 'ror', 'rcl', 'rcr', 'shld', 'shrd', 'cmps', 'scas');
    const plain = rows.filter((row) => !survive(row));
    const isCounted = (row: Row) => counted(row) && row.operands[1] !== '1';
    const read = (row: Row) => row.flagsRead & MASK;
    expect(
      differences(
        plain.filter((row) => !isCounted(row)),
        read,
        (f) => f.read,
      ),
    ).toEqual([]);
    expect(differences(plain.filter(isCounted), read, (f) => f.read | f.written)).toEqual([]);
  });

  test('on LOCK and REP', () => {
    expect(
      differences(
        rows,
        (row) => row.lockable || undefined,
        (f) => f.lockable || undefined,
      ),
    ).toEqual([]);
    expect(
      differences(
        rows,
        (row) => row.repeatable,
        (f) => f.repeatable,
      ),
    ).toEqual([]);
  });

  test('on what asks for privilege, for protected mode, and may leave a virtual machine', () => {
    // VMX instructions leave a virtual machine before anything else is looked at: the monitor makes their checks. CLAC and STAC
    // raise #UD instead of #GP(0), SYSEXIT does where CPUID does not show it.
    const others = rows.filter((row) => !['vmx', 'clac', 'stac', 'sysexit'].includes(row.semantics));
    const privilege = (row: Row) => row.privilege?.includes('cpl0') ?? false;
    expect(differences(others, privilege, (f) => f.privileged)).toEqual([]);
    expect(
      differences(
        others,
        (row) => !row.privilege?.includes('protected'),
        (f) => f.realMode,
      ),
    ).toEqual([]);
    // These leave by the event that they raise or the task switch that they turn out to be.
    const later = among('bound', 'int1', 'int3', 'intN', 'into', 'undefined', 'callFar', 'jmpFar', 'iret');
    const direct = rows.filter((row) => !later(row));
    expect(
      differences(
        direct,
        (row) => row.exits !== null,
        (f) => f.exits,
      ),
    ).toEqual([]);
  });

  test('on what uses the stack and so may fault', () => {
    const stack = rows.filter((row) => facts(row).stack);
    expect(stack.length).toBeGreaterThan(30);
    expect(stack.filter((row) => !row.mayFault).map(nameOf)).toEqual([]);
  });
});

describe('the rows', () => {
  test('claim every encoding once', () => {
    const twice: string[] = [];
    for (const map of [1, 2, 3])
      for (let opcode = 0; opcode < 256; opcode++) {
        const here = rows.filter((row) => coversOpcode(row, map, opcode));
        for (let modrm = 0; modrm < 256; modrm++) {
          const claims = here.filter((row) => takesModrm(row, modrm)).map((row) => row.prefix);
          if (new Set(claims).size !== claims.length) twice.push(`${map}:${opcode.toString(16)} ${modrm.toString(16)}`);
        }
      }
    expect(twice).toEqual([]);
  });

  test('use every operation, and only known ones', () => {
    const used = new Set(rows.map((row) => row.semantics));
    expect([...used].sort()).toEqual(Object.keys(semantics).sort());
  });

  test('mean what their mnemonic says', () => {
    const others: Readonly<Record<string, string>> = {
      MOV: 'mov movToSegment movFromSegment movToCr movFromCr movToDr movFromDr',
      PUSH: 'push pushSegment',
      POP: 'pop popSegment',
      CALL: 'callNear callIndirect callFar',
      JMP: 'jmpNear jmpIndirect jmpFar',
      RET: 'retNear retNearImmediate',
      RETF: 'retFar retFarImmediate',
      IMUL: 'imul imul2 imul3',
      INT: 'intN',
      SAL: 'shl',
      HINT_NOP: 'nop',
      UD2: 'undefined',
    };
    const meaning = (row: Row): string => {
      const name = row.mnemonic.split('/')[0] as string;
      if (row.feature !== '') return 'unimplemented';
      if (/^(VM|INVEPT|INVVPID)/.test(name)) return 'vmx';
      if (/^L[DEFGS]S$/.test(name)) return 'loadFarPointer';
      if (/^(J|SET|CMOV)(N?[OSP]|B|AE|N?E|BE|A|L|GE|LE|G)$/.test(name)) return 'jcc setcc cmovcc';
      if (/^(MOVS|CMPS|STOS|LODS|SCAS|INS|OUTS)[BW]$/.test(name)) return name.slice(0, -1).toLowerCase();
      return others[name] ?? name.toLowerCase();
    };
    const wrong = rows.filter((row) => !meaning(row).split(' ').includes(row.semantics));
    expect(wrong.map((row) => `${nameOf(row)}: ${row.semantics}`)).toEqual([]);
  });

  test('name a feature exactly where it is missing', () => {
    for (const row of rows)
      expect([nameOf(row), row.feature !== '']).toEqual([nameOf(row), row.semantics === 'unimplemented']);
  });

  test('end a block where control may go elsewhere', () => {
    const ends = rows.filter((row) => row.endsBlock && !/vmx|undefined|unimplemented/.test(row.semantics));
    const names = ends.map((row) => row.mnemonic.replace(/^J(?!MP|CXZ).*/, 'Jcc').replace(/\/.*/, ''));
    expect(new Set(names)).toEqual(
      new Set([
        ...['Jcc', 'JMP', 'CALL', 'RET', 'RETF', 'LOOP', 'LOOPE', 'LOOPNE', 'JCXZ'],
        ...['INT', 'INT1', 'INT3', 'INTO', 'IRET', 'HLT', 'SYSENTER', 'SYSEXIT'],
      ]),
    );
    for (const row of rows.filter((r) => /vmx|undefined|unimplemented/.test(r.semantics)))
      expect([nameOf(row), row.endsBlock]).toEqual([nameOf(row), true]);
  });

  test('call faultless only what touches neither memory nor privilege', () => {
    const harmless = rows.filter((row) => !row.mayFault);
    const memory = harmless.filter((row) => row.operands.some((o) => /^[EMOXY]|Mw/.test(o)));
    expect(new Set(memory.map((row) => row.semantics))).toEqual(new Set(['lea', 'nop']));
    expect(harmless.filter((row) => row.privilege !== null).map(nameOf)).toEqual([]);
  });

  test.each([
    ['01 d8', false, 'add eax, ebx'],
    ['01 18', true, 'add [eax], ebx'],
    ['f7 f1', true, 'div ecx'],
    ['f7 e1', false, 'mul ecx'],
    ['8d 00', false, 'lea eax, [eax]'],
    ['ff f0', true, 'push eax'],
    ['0f 01 e0', true, 'smsw eax'],
    ['a1 00 00 00 00', true, 'mov eax, [0]'],
    ['0f a2', false, 'cpuid'],
  ])('%s can fault: %s (%s)', (hex, expected) => {
    const bytes = Uint8Array.from(hex.split(' ').map((b) => Number.parseInt(b, 16)));
    expect(canFault(decode(bytes, 0, bytes.length, 4) as Instruction)).toBe(expected);
  });
});
