/** SingleStepTests 80286: tests captured from a real 286 in real mode, run on this processor. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { EIP, FS, SEG_SELECTOR, SS_ } from '../../src/base/registers.ts';
import { decode } from '../../src/cpu/decode.ts';
import type { Instruction } from '../../src/cpu/instruction.ts';
import { ALL_FLAGS, compareFlags } from './flags.ts';
import { VectorMachine } from './machine.ts';
import { type MooRegister, type MooTest, readMoo } from './moo.ts';
import { type Outcome, SetReport, type Skip } from './report.ts';

/** 1 MiB and the 64 KiB above it that real-mode addresses reach while A20 is open. */
const MEMORY = 0x11_0000;
/** Bits 12 to 15 of FLAGS are always 0 on a 286 in real mode; a 386 has IOPL and NT there. */
const FLAGS_286 = 0x0fff;

/** The 286 raises exception 13 where the 386 raises 12, for accesses beyond the limit of the stack segment. */
const STACK_FAULT = 12;
const PROTECTION_FAULT = 13;

const GENERAL: readonly MooRegister[] = ['ax', 'cx', 'dx', 'bx', 'sp', 'bp', 'si', 'di'];
const SEGMENTS: readonly MooRegister[] = ['es', 'cs', 'ss', 'ds'];

type Registers = Record<MooRegister, number>;

export function runSst286(folder: string): SetReport {
  const report = new SetReport('sst286');
  const machine = new VectorMachine(MEMORY);
  for (const file of readdirSync(folder).filter((f) => f.endsWith('.MOO.gz'))) {
    const opcode = file.replace('.MOO.gz', '');
    for (const test of readMoo(gunzipSync(readFileSync(join(folder, file))))) {
      report.add(opcode, describe(test), runTest(machine, test));
    }
  }
  return report;
}

function describe(test: MooTest): string {
  const bytes = [...test.bytes].map((b) => b.toString(16).padStart(2, '0')).join(' ');
  const registers = Object.entries(test.initial.registers).map(([name, value]) => `${name}=${hex(value)}`);
  return `#${test.index} ${test.name} [${bytes}] ${registers.join(' ')}`;
}

/** Differences between the processors that are no failures, known before the test runs. */
function incomparable(i: Instruction, test: MooTest): string | null {
  if (i.length > 10) return '286: an instruction of more than 10 bytes raises #GP, here of more than 15';
  if (i.row.semantics === 'unimplemented') return `unimplemented: ${i.row.feature}`;
  if (i.lock && i.row.semantics === 'undefined') return '386: LOCK is legal with few instructions only';
  if ((i.opcode === 0x8c || i.opcode === 0x8e) && i.reg >= FS) return '386: there are FS and GS';
  return ((test.initial.registers.flags ?? 0) & 0x100) !== 0
    ? 'single step: the trap comes behind the instruction'
    : null;
}

function runTest(machine: VectorMachine, test: MooTest): Outcome | Skip {
  const i = decode(test.bytes, 0, test.bytes.length, 2);
  if (typeof i === 'string') return { skip: `not an instruction: ${i}` };
  const skip = incomparable(i, test);
  if (skip !== null) return { skip };

  const { memory, S } = machine;
  const initial = test.initial.registers as Registers;
  for (const [at, value] of test.final.memory) memory.write8(at, ~value & 0xff); // what nobody writes must not pass by luck
  for (const [at, value] of test.initial.memory) memory.write8(at, value);
  if (test.exception?.vector === PROTECTION_FAULT && usesStackSegment(i)) {
    memory.write32(STACK_FAULT * 4, memory.read32(PROTECTION_FAULT * 4));
  }
  machine.realMode(initial);
  for (const [r, name] of GENERAL.entries()) S[r] = initial[name];

  const stuck = machine.execute(initial.ip, initial.flags & FLAGS_286);
  if (stuck?.startsWith('unimplemented')) return { skip: stuck };
  return compare(machine, test, i, stuck);
}

/** The memory operand lies in SS, or the instruction pushes or pops. */
const usesStackSegment = (i: Instruction): boolean =>
  i.segment === SS_ || (!i.memory && !STRING_INSTRUCTIONS.includes(i.row.semantics)) || i.opcode === 0xff;

function compare(machine: VectorMachine, test: MooTest, i: Instruction, stuck: string | null): Outcome {
  const { S, memory, cpu } = machine;
  const differences: string[] = stuck === null ? [] : [stuck];
  const rules = new Set<string>();
  const expected = { ...test.initial.registers, ...test.final.registers } as Registers;
  const check = (what: string, actual: number, wanted: number, rule: string | null = null): void => {
    if (actual === wanted) return;
    if (rule !== null) rules.add(rule);
    else differences.push(`${what} ${hex(actual)} instead of ${hex(wanted)}`);
  };
  const defined = FLAGS_286 & ~(i.row.flagsUndefined & ALL_FLAGS);
  const checkFlags = (what: string, actual: number, wanted: number): void => {
    const { difference, forgiven } = compareFlags(actual, wanted, defined, FLAGS_286);
    if (difference !== null) differences.push(`${what}${difference}`);
    for (const flag of forgiven) rules.add(`${flag} undefined after ${i.row.mnemonic}`);
  };

  for (const [r, name] of GENERAL.entries()) {
    check(
      name,
      S[r],
      expected[name],
      test.exception !== null && STRING_REGISTERS.includes(name) ? stringRule(i) : null,
    );
  }
  for (const [s, name] of SEGMENTS.entries()) check(name, S[SEG_SELECTOR + s], expected[name]);
  check('ip', S[EIP], expected.ip, S[EIP] === 0x1_0000 && expected.ip === 0 ? BEYOND_LIMIT : null);
  checkFlags('', cpu.getFlags(), expected.flags);

  const flagsAt = test.exception === null ? -2 : pushedFlagsAt(test.initial.registers as Registers);
  for (const [at, wanted] of test.final.memory) {
    if (at !== flagsAt && at !== flagsAt + 1) check(`byte at ${hex(at)}`, memory.read8(at), wanted);
  }
  if (test.exception !== null) {
    const byte = (at: number): number => test.final.memory.find(([a]) => a === at)?.[1] ?? memory.read8(at);
    checkFlags('pushed ', memory.read16(flagsAt), byte(flagsAt) | (byte(flagsAt + 1) << 8));
  }
  return { differences, forgiven: [...rules] };
}

const BEYOND_LIMIT = '286: IP wraps from FFFFh to 0; 386: EIP goes on to 10000h';

const STRING_REGISTERS: readonly MooRegister[] = ['cx', 'si', 'di'];
const STRING_INSTRUCTIONS = ['movs', 'cmps', 'stos', 'lods', 'scas', 'ins', 'outs'];
const stringRule = (i: Instruction): string | null =>
  STRING_INSTRUCTIONS.includes(i.row.semantics)
    ? '286: a string instruction that faults has moved its registers already; 386: it can be restarted'
    : null;

/** The frame of an exception begins with FLAGS. (The address that a test names is that of the last byte if SP is odd.) */
const pushedFlagsAt = (initial: Registers): number => initial.ss * 16 + ((initial.sp - 2) & 0xffff);

const hex = (n: number): string => `${(n >>> 0).toString(16).toUpperCase()}h`;
