/** How a decoded instruction becomes a record: which form of the loop, out-of-line form or handler, and which words. */

import { byteRegister, FLAG_CF, FLAG_OF, ZERO } from '../base/registers.ts';
import { HOT_FORMS } from './forms.generated.ts';
import { type OperandShape, operandShape } from './generate/operands.ts';
import { canFault, type Instruction } from './instruction.ts';
import { FIRST_HOT } from './records.ts';
import type { Row } from './rows.ts';

/** Semantics that have a form in the loop at all. */
const inLoop = new Set(HOT_FORMS.map(([name]) => name.split('_')[0]));

const numbers = new Map(HOT_FORMS.map(([name], k) => [name, FIRST_HOT + k]));

/** A form of the loop that fits an instruction. */
export interface HotPlan {
  /** Record number. */
  readonly number: number;
  /** Name without suffix, for finding the fused forms. */
  readonly name: string;
  readonly operands: readonly OperandShape[];
  /** Words of number and operands. */
  readonly words: number;
  /** Record numbers with a fused Jcc, by condition code; −1 where there is none. */
  readonly fused: readonly number[];
  /** Record number for where CF and OF are set again before anybody sees them; −1 if there is none. */
  readonly unseen: number;
}

const letterOf = (o: OperandShape, i: Instruction): string => {
  switch (o.place) {
    case 'E':
    case 'M':
      if (i.memory) return i.index === ZERO ? 'b' : 'x';
      return o.width === 1 ? 'h' : o.width === 2 ? 'q' : 'r';
    case 'O':
      return 'b';
    case 'G':
    case 'Z':
    case 'AL':
    case 'rAX':
      return o.width === 1 ? 'h' : o.width === 2 ? 'q' : 'r';
    case 'CL':
      return 'c';
    case 'X':
      return 's';
    case 'Y':
      return 'd';
    default:
      return 'i';
  }
};

/** Shifts and rotates take their count as an immediate, also where the code says 1. */
const COUNTED = new Set(['shl', 'shr', 'sar', 'rol', 'ror']);

function nameOf(i: Instruction, operands: readonly OperandShape[]): string {
  const { semantics } = i.row;
  const parts = operands
    .filter((o) => o.place !== 'J')
    .map(
      (o, k) =>
        `${letterOf(o, i)}${COUNTED.has(semantics) && k === 1 ? (o.place === 'CL' ? 1 : operands[0]?.width) : o.width}`,
    );
  // Immediates of byte operations are written i1; a sign-extended byte that widens is i4 already.
  return [semantics, ...parts].join('_');
}

const FAR_BRANCH = 1 << 24;
const CF_OF = FLAG_CF | FLAG_OF;

const plans = new Map<Row, (HotPlan | null)[]>();

/** The loop's form for an instruction in flat 32-bit mode; null if it has none. */
export function hotPlan(i: Instruction): HotPlan | null {
  // Other address sizes and segments that may not be flat are the checked forms' matter.
  if (i.memory && (i.addressSize !== 4 || i.segment > 3 || i.segment === 1)) return null;
  if (
    i.lock ||
    (i.row.operands.some((o) => o.startsWith('O')) && (i.addressSize !== 4 || i.segment > 3 || i.segment === 1))
  )
    return null;
  // Of the string instructions the loop has single elements.
  if (i.row.repeatable && (i.rep !== 0 || i.addressSize !== 4 || i.segment > 3 || i.segment === 1)) return null;
  // A place beside a record holds 26 bits of offset (code-cache.ts): longer branches go out of line.
  if (i.row.operands[0]?.[0] === 'J' && Math.abs(i.immediate) >= FAR_BRANCH) return null;
  const key = (i.operandSize === 4 ? 1 : 0) | (i.memory ? 2 : 0) | (i.index === ZERO ? 4 : 0);
  let known = plans.get(i.row);
  if (known === undefined) {
    known = [];
    plans.set(i.row, known);
  }
  let plan = known[key];
  if (plan === undefined) {
    plan = findPlan(i);
    known[key] = plan;
  }
  return plan;
}

/** Semantics whose width is not told by an operand: only their 32-bit form stands in the loop. */
const BY_OPERAND_SIZE = new Set([
  'push',
  'pop',
  'leave',
  'cwd',
  'cbw',
  'jcc',
  'jmpNear',
  'callNear',
  'jmpIndirect',
  'callIndirect',
  'retNear',
  'retNearImmediate',
]);

function findPlan(i: Instruction): HotPlan | null {
  const { row } = i;
  if (!inLoop.has(row.semantics)) return null;
  if (BY_OPERAND_SIZE.has(row.semantics) && i.operandSize !== 4) return null;
  // RET n releases 16 bits' worth; the count is an immediate like any other.
  const operands = row.operands.map((o) =>
    operandShape(o === 'Iw' && row.semantics === 'retNearImmediate' ? 'Id' : o, i.operandSize),
  );
  const name = nameOf(i, operands);
  const number = numbers.get(name);
  if (number === undefined) return null;
  return {
    number,
    name,
    operands: operands.filter((o) => o.place !== 'J'),
    words: (HOT_FORMS[number - FIRST_HOT] as readonly [string, number])[1],
    fused: Array.from({ length: 16 }, (_, cc) => numbers.get(`${name}_j${cc.toString(16)}`) ?? -1),
    unseen: numbers.get(`${name}_unseen`) ?? -1,
  };
}

/** Whether `i` sets CF and OF without having looked at them, and cannot fault, when somebody else would. */
export const hidesFlags = (i: Instruction): boolean =>
  !canFault(i) && (i.row.flagsRead & CF_OF) === 0 && (i.row.flagsWritten & CF_OF) === CF_OF;

/** Writes the operand words of `i` to `words` from `start` on. */
export function writeOperands(plan: HotPlan, i: Instruction, words: Int32Array, start: number): void {
  let at = start;
  for (let k = 0; k < plan.operands.length; k++) {
    const { place, width } = plan.operands[k] as OperandShape;
    if ((place === 'E' || place === 'M') && i.memory) {
      words[at++] = i.base;
      if (i.index !== ZERO) {
        words[at++] = i.index;
        words[at++] = i.scale;
      }
      words[at++] = i.displacement;
    } else if (place === 'O') {
      words[at++] = ZERO;
      words[at++] = i.immediate;
    } else if (place === 'I') {
      words[at++] = COUNTED.has(i.row.semantics) ? i.immediate & 31 : width === 1 ? i.immediate & 0xff : i.immediate;
    } else if (place === '1') {
      words[at++] = 1;
    } else if (place !== 'CL' && place !== 'X' && place !== 'Y') {
      const register = place === 'E' || place === 'M' ? i.rm : place === 'G' ? i.reg : place === 'Z' ? i.opcode & 7 : 0;
      words[at++] = width === 1 ? byteRegister(register) : width === 2 ? register << 1 : register;
    }
  }
}

/** Whether the loop can take a shift or rotate of this count: 0 changes nothing and goes out of line. */
export const countIsPlain = (i: Instruction): boolean =>
  !COUNTED.has(i.row.semantics) || i.row.operands[1] !== 'Ib' || (i.immediate & 31) !== 0;
