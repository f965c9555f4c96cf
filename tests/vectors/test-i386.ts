/** Output of QEMU's test-i386 on a real x86 processor: `op A= B= R= CCIN= CC=` and a few other shapes. */
import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { EAX, EBX, ECX, EDX, EIP, ESP } from '../../src/base/registers.ts';
import { ALL_FLAGS, compareFlags, FLAGS } from './flags.ts';
import { VectorMachine } from './machine.ts';
import { type Outcome, SetReport, type Skip } from './report.ts';

const { CF, PF, ZF, SF, OF } = FLAGS;

const TABLES = 0x1000;
const HANDLER = 0x2000;
const CODE = 0x6000;
const DATA = 0x5000;
const STACK = 0x4000;
const HLT = 0xf4;

const ALU = ['add', 'or', 'adc', 'sbb', 'and', 'sub', 'xor', 'cmp'];
const SHIFTS = ['rol', 'ror', 'rcl', 'rcr', 'shl', 'shr', '', 'sar'];
const GROUP_3 = ['', '', 'not', 'neg', 'mul', 'imul', 'div', 'idiv'];
const BIT_TESTS: Record<string, number> = { bt: 0xa3, bts: 0xab, btr: 0xb3, btc: 0xbb };
const DECIMAL: Record<string, number[]> = {
  daa: [0x27],
  das: [0x2f],
  aaa: [0x37],
  aas: [0x3f],
  aam: [0xd4, 10],
  aad: [0xd5, 10],
};

/** The values of a line by their names, and the instruction that it is about. */
interface Line {
  readonly text: string;
  readonly op: string;
  readonly size: 1 | 2 | 4;
  readonly immediate: boolean;
  readonly values: ReadonlyMap<string, number>;
}

/** What to run: bytes, registers before, registers after, and the flags that the program printed. */
interface Case {
  readonly code: number[];
  readonly before: readonly (readonly [number, number])[];
  readonly after: readonly (readonly [number, number])[];
  readonly printed: number;
}

export function runTestI386(file: string): SetReport {
  const report = new SetReport('test-i386');
  const machine = new VectorMachine(0x1_0000);
  machine.memory.write8(HANDLER, HLT);
  machine.flat(TABLES, HANDLER);
  for (const text of gunzipSync(readFileSync(file)).toString('latin1').split('\n')) {
    if (text.trim() === '') continue;
    const l = parse(text);
    report.add(l.op, text, runLine(machine, l));
  }
  return report;
}

function parse(text: string): Line {
  const word = text.split(/\s+/)[0].replace(':', '');
  const values = new Map<string, number>();
  for (const [, name, value] of text.matchAll(/(\w+)=([0-9a-f]+)/g)) {
    if (value.length > 8) {
      values.set(`${name}High`, Number.parseInt(value.slice(0, -8), 16));
      values.set(name, Number.parseInt(value.slice(-8), 16));
    } else values.set(name, Number.parseInt(value, 16));
  }
  const whole = word in DECIMAL || word === 'cmpxchg8b';
  const size = whole ? 4 : ({ b: 1, w: 2, l: 4 } as const)[word.slice(-1) as 'b' | 'w' | 'l'];
  return { text, op: whole ? word : word.slice(0, -1), size, immediate: / im /.test(text), values };
}

/** Registers A to C of a line go to EAX, EBX, ECX; wide products and dividends to EDX:EAX. */
function toCase(l: Line): Case | null {
  const v = (name: string): number => l.values.get(name) ?? 0;
  const prefix = l.size === 2 ? [0x66] : [];
  const wide = l.size === 1 ? 0 : 1;
  const a = [EAX, v('A')] as const;
  const result = [EAX, v('R')] as const;
  const plain = { before: [a, [EBX, v('B')]] as const, after: [result], printed: ALL_FLAGS };

  if (l.op in DECIMAL) return { ...plain, code: DECIMAL[l.op], printed: decimalFlags(l.op) };
  if (l.op === 'cmpxchg8b') return null;
  if (ALU.includes(l.op)) return { ...plain, code: [...prefix, (ALU.indexOf(l.op) << 3) | wide, 0xd8] };
  if (l.op === 'inc' || l.op === 'dec')
    return { ...plain, code: [...prefix, 0xfe | wide, l.op === 'inc' ? 0xc0 : 0xc8] };
  if (l.op in BIT_TESTS) return { ...plain, code: [...prefix, 0x0f, BIT_TESTS[l.op], 0xd8], printed: CF };
  if (SHIFTS.includes(l.op)) {
    const before = [a, [ECX, v('B')]] as const;
    return {
      before,
      after: [result],
      code: [...prefix, 0xd2 | wide, 0xc0 | (SHIFTS.indexOf(l.op) << 3)],
      printed: shiftFlags(l, v('B')),
    };
  }
  if (l.op === 'shld' || l.op === 'shrd') {
    const before = [a, [EBX, v('B')], [ECX, v('C')]] as const;
    return {
      before,
      after: [result],
      code: [...prefix, 0x0f, l.op === 'shld' ? 0xa5 : 0xad, 0xd8],
      printed: shiftFlags(l, v('C')),
    };
  }
  if (!GROUP_3.includes(l.op)) return null;
  const printed = { div: 0, idiv: 0, mul: CF | OF, imul: CF | OF }[l.op] ?? ALL_FLAGS;
  const code = [...prefix, 0xf6 | wide, 0xc0 | (GROUP_3.indexOf(l.op) << 3)];
  if (l.op === 'not' || l.op === 'neg') return { ...plain, code, printed };
  code[code.length - 1] |= EBX;
  if (l.immediate) {
    // A is the constant, B the source; the result starts as 0. The recorded flags are 0 even where the product
    // does not fit: the program lost them.
    const constant = [v('A'), v('A') >> 8, v('A') >> 16, v('A') >> 24].slice(0, l.size).map((b) => b & 0xff);
    return { before: [[EBX, v('B')]], after: [result], code: [...prefix, 0x69, 0xc3, ...constant], printed: 0 };
  }
  if (!l.values.has('AH')) {
    return { ...plain, code: l.op === 'imul' && l.size > 1 ? [...prefix, 0x0f, 0xaf, 0xc3] : code, printed };
  }
  return {
    before: [
      [EDX, v('AH')],
      [EAX, v('AL')],
      [EBX, v('B')],
    ],
    after: [
      [EDX, v('RH')],
      [EAX, v('RL')],
    ],
    code,
    printed,
  };
}

function decimalFlags(op: string): number {
  if (op === 'daa' || op === 'das') return ALL_FLAGS & ~OF;
  return op === 'aaa' || op === 'aas' ? CF | FLAGS.AF : PF | ZF | SF;
}

/** The program leaves AF out, and OF where the count is not 1. */
function shiftFlags(l: Line, count: number): number {
  const rotate = /^r/.test(l.op);
  return (rotate ? ALL_FLAGS & ~FLAGS.AF : CF | PF | ZF | SF | OF) & (count === 1 ? -1 : ~OF);
}

function runLine(machine: VectorMachine, l: Line): Outcome | Skip {
  if (l.op === 'cmpxchg8b') return runCompareExchange(machine, l);
  const bits = l.size * 8;
  if (/^sh[lr]d$/.test(l.op) && (l.values.get('C') ?? 0) % 32 > bits) {
    return { skip: 'SHLD and SHRD by more than the operand size leave everything undefined' };
  }
  const c = toCase(l);
  if (c === null) return { skip: `no encoding for ${l.op}` };
  return runCase(machine, c, l.values.get('CCIN') ?? 0, l.values.get('CC') ?? 0);
}

/** `cmpxchg8b: eax edx op1 CC` shows results only; the operands are the program's constants. */
function runCompareExchange(machine: VectorMachine, l: Line): Outcome {
  const v = (name: string): number => l.values.get(name) ?? 0;
  const equal = (v('CC') & ZF) !== 0;
  const { memory } = machine;
  const [low, high] = equal ? [0x6789_abcd, 0x0001_2345] : [0x6542_3456, 0x000f_bca7];
  memory.write32(DATA, low);
  memory.write32(DATA + 4, high);
  const outcome = runCase(
    machine,
    {
      // The comparand is (EDX:EAX) = 0001_2345_6789_abcd, the new value (ECX:EBX) = 0006_5324_3243_2434
      before: [
        [EDX, 0x0001_2345],
        [EAX, 0x6789_abcd],
        [ECX, 0x0006_5324],
        [EBX, 0x3243_2434],
      ],
      after: [
        [EDX, v('edx')],
        [EAX, v('eax')],
      ],
      code: [0x0f, 0xc7, 0x0d, DATA & 0xff, DATA >> 8, 0, 0],
      printed: ALL_FLAGS,
    },
    0,
    v('CC'),
  );
  const differences = [...outcome.differences];
  if (memory.read32(DATA) >>> 0 !== v('op1') || memory.read32(DATA + 4) >>> 0 !== v('op1High'))
    differences.push('memory');
  return { ...outcome, differences };
}

function runCase(machine: VectorMachine, c: Case, flagsIn: number, flagsOut: number): Outcome {
  const { S, memory, cpu } = machine;
  for (const [k, b] of [...c.code, HLT].entries()) memory.write8(CODE + k, b);
  S.fill(0, 0, 8);
  S[ESP] = STACK;
  for (const [register, value] of c.before) S[register] = value;
  const stuck = machine.execute(CODE, flagsIn);
  const differences: string[] = stuck === null ? [] : [stuck];
  if (S[EIP] === HANDLER + 1) differences.push('raised an exception');
  for (const [register, value] of c.after) {
    if (S[register] >>> 0 !== value)
      differences.push(`register ${register} is ${hex(S[register])} instead of ${hex(value)}`);
  }
  const { difference } = compareFlags(cpu.getFlags() & c.printed, flagsOut, ALL_FLAGS, ALL_FLAGS);
  if (difference !== null) differences.push(difference);
  return {
    differences: differences.map((d) => `${d} after ${c.code.map((b) => b.toString(16)).join(' ')}`),
    forgiven: [],
  };
}

const hex = (n: number): string => `${(n >>> 0).toString(16).toUpperCase()}h`;
