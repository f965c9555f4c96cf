/** The arithmetic reference of test386.asm, recorded on a 386. A line tells opcode, mnemonic, width, registers and flags before
 *  and after; which operands and constants the opcode has is the test program's matter and stands in test386-code.ts. */
import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { EAX, EDX, EIP, ESP } from '../../src/base/registers.ts';
import { ALL_FLAGS, compareFlags } from './flags.ts';
import { VectorMachine } from './machine.ts';
import { type Outcome, SetReport } from './report.ts';
import { DATA, encode, printedFlags } from './test386-code.ts';

const TABLES = 0x1000;
const HANDLER = 0x2000;
const CODE = 0x6000;
const STACK = 0x4000;
const HLT = 0xf4;

export interface Line {
  readonly text: string;
  /** In hexadecimal; empty for the decimal adjustments. */
  readonly opcode: string;
  readonly mnemonic: string;
  readonly width: 'B' | 'W' | 'D';
  readonly before: Registers;
  readonly after: Registers;
  readonly divideError: boolean;
}

interface Registers {
  readonly eax: number;
  readonly edx: number;
  readonly flags: number;
}

export function runTest386(file: string): SetReport {
  const report = new SetReport('test386');
  const text = gunzipSync(readFileSync(file)).toString('latin1');
  const lines = text.split('\n').filter((l) => l.trim() !== '');
  const parsed = lines.map(parse);
  const sizes = new Map<string, number>();
  for (const l of parsed) sizes.set(shape(l), (sizes.get(shape(l)) ?? 0) + 1);

  const machine = new VectorMachine(0x1_0000);
  machine.memory.write8(HANDLER, HLT);
  machine.flat(TABLES, HANDLER);
  const seen = new Map<string, number>();
  const placed = new Map<string, number>();
  for (const l of parsed) {
    const n = seen.get(shape(l)) ?? 0;
    seen.set(shape(l), n + 1);
    const bytes = encode(l, n >= (sizes.get(shape(l)) ?? 0) / 2);
    report.add(shape(l), `${l.text.trim()} [${hexBytes(bytes)}]`, runLine(machine, l, place(machine, placed, bytes)));
  }
  return report;
}

const shape = (l: Line): string => `${l.opcode} ${l.mnemonic} ${l.width}`.trim();

function parse(text: string): Line {
  const m = /^(?:([0-9A-F]+) )?(\w+) (?:([BWD]) )?(EAX=.*?PS=....)( #DE)? (EAX=.*PS=....)/.exec(text);
  if (m === null) throw new Error(`cannot read line: ${text}`);
  const before = registers(m[4], 0);
  return {
    text,
    opcode: m[1] ?? '',
    mnemonic: m[2].toUpperCase(),
    width: (m[3] ?? 'B') as Line['width'],
    before,
    after: registers(m[6], before.edx),
    divideError: m[5] !== undefined,
  };
}

function registers(text: string, edx: number): Registers {
  const value = (name: string, otherwise: number): number => {
    const m = new RegExp(`${name}=([0-9A-F]+)`).exec(text);
    return m === null ? otherwise : Number.parseInt(m[1], 16);
  };
  return { eax: value('EAX', 0), edx: value('EDX', edx), flags: value('PS', 0) };
}

/** Where these bytes stand in memory, a HLT behind them. */
function place(machine: VectorMachine, placed: Map<string, number>, bytes: number[]): number {
  const key = hexBytes(bytes);
  let at = placed.get(key);
  if (at === undefined) {
    at = CODE + placed.size * 32;
    for (const [k, b] of [...bytes, HLT].entries()) machine.memory.write8(at + k, b);
    placed.set(key, at);
  }
  return at;
}

function runLine(machine: VectorMachine, l: Line, at: number): Outcome {
  const { S, memory, cpu } = machine;
  S.fill(0, 0, 8);
  S[EAX] = l.before.eax;
  S[EDX] = l.before.edx;
  S[ESP] = STACK;
  memory.write32(DATA, l.before.edx | 0);
  const stuck = machine.execute(at, l.before.flags);
  const differences: string[] = stuck === null ? [] : [stuck];
  const check = (what: string, actual: number, wanted: number): void => {
    if (actual >>> 0 !== wanted >>> 0) differences.push(`${what} ${hex(actual)} instead of ${hex(wanted)}`);
  };
  check('#DE', Number(S[EIP] === HANDLER + 1), Number(l.divideError));
  check('eax', S[EAX], l.after.eax);
  check('edx', S[EDX], l.after.edx);
  const { difference } = compareFlags(cpu.getFlags() & printedFlags(l), l.after.flags, ALL_FLAGS, ALL_FLAGS);
  if (difference !== null) differences.push(difference);
  return { differences, forgiven: [] };
}

const hexBytes = (bytes: readonly number[]): string => bytes.map((b) => b.toString(16).padStart(2, '0')).join(' ');
const hex = (n: number): string => `${(n >>> 0).toString(16).toUpperCase()}h`;
