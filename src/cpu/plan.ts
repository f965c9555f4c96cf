/** How a decoded instruction becomes a record: which form of the loop, and which words. All that does not depend on the bytes behind the
 *  opcode is worked out once for each row, operand size and kind of operand. */

import { byteRegister, CS, DS, FLAG_CF, FLAG_OF, ZERO } from '../base/registers.ts';
import { HOT_FORMS } from './forms.generated.ts';
import { type OperandShape, operandShape } from './generate/operands.ts';
import { canFault, type Instruction } from './instruction.ts';
import { FIRST_HOT } from './records.ts';

/** Semantics that have a form in the loop at all. */
const inLoop = new Set(HOT_FORMS.map(([name]) => name.split('_')[0]));

const numbers = new Map(HOT_FORMS.map(([name], k) => [name, FIRST_HOT + k]));

/** What the words of an operand are made of. */
export const SLOT_BASE = 0; // base, displacement
export const SLOT_INDEX = 1; // base, index, scale, displacement
export const SLOT_OFFSET = 2; // ZERO, address
export const SLOT_IMMEDIATE = 3;
export const SLOT_IMMEDIATE8 = 4;
export const SLOT_COUNT = 5;
export const SLOT_ONE = 6;
/** Register in ModRM.rm, ModRM.reg, the opcode, or register 0; of 4, 2 and 1 bytes. */
export const SLOT_RM = 8;
export const SLOT_REG = 12;
export const SLOT_OPCODE = 16;
export const SLOT_ACCUMULATOR = 20;

/** What follows the operands in a record. */
export const TAIL_NONE = 0;
export const TAIL_CONDITION = 1; // condition code
export const TAIL_JCC = 2; // condition code, cost, two links
export const TAIL_JMP = 3; // cost, link
export const TAIL_CALL = 4; // cost, link, return offset
export const TAIL_CALL_INDIRECT = 5; // cost, return offset
export const TAIL_COST = 6;

const TAILS: Readonly<Record<string, number>> = {
  setcc: TAIL_CONDITION,
  cmovcc: TAIL_CONDITION,
  jcc: TAIL_JCC,
  jmpNear: TAIL_JMP,
  callNear: TAIL_CALL,
  callIndirect: TAIL_CALL_INDIRECT,
  jmpIndirect: TAIL_COST,
  retNear: TAIL_COST,
  retNearImmediate: TAIL_COST,
};

/** A form of the loop that fits an instruction. */
export interface HotPlan {
  /** Record number. */
  readonly number: number;
  readonly slots: readonly number[];
  /** Words of number and operands. */
  readonly words: number;
  readonly tail: number;
  /** Record numbers with a fused Jcc, by condition code, −1 where there is none; null if there are none at all. */
  readonly fused: readonly number[] | null;
  /** Record number for where CF and OF are set again before anybody sees them; −1 if there is none. */
  readonly unseen: number;
  /** Sets CF and OF without having looked at them, and cannot fault, when somebody else would. */
  readonly hides: boolean;
  readonly endsBlock: boolean;
  /** A string instruction: of these the loop has single elements in flat segments. */
  readonly element: boolean;
  /** The target is relative to EIP. */
  readonly relative: boolean;
  /** A shift or rotate by an immediate. */
  readonly counted: boolean;
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

/** Slots of one operand. */
function slotsOf({ place, width }: OperandShape, i: Instruction): number[] {
  const register = (slot: number): number[] => [slot + (width === 4 ? 0 : width)];
  switch (place) {
    case 'E':
    case 'M':
      return i.memory ? [i.index === ZERO ? SLOT_BASE : SLOT_INDEX] : register(SLOT_RM);
    case 'O':
      return [SLOT_OFFSET];
    case 'I':
      return [COUNTED.has(i.row.semantics) ? SLOT_COUNT : width === 1 ? SLOT_IMMEDIATE8 : SLOT_IMMEDIATE];
    case '1':
      return [SLOT_ONE];
    case 'G':
      return register(SLOT_REG);
    case 'Z':
      return register(SLOT_OPCODE);
    case 'AL':
    case 'rAX':
      return register(SLOT_ACCUMULATOR);
    default:
      return [];
  }
}

const FAR_BRANCH = 1 << 24;
const CF_OF = FLAG_CF | FLAG_OF;

/** By row, operand size and kind of operand; undefined: not asked for yet. */
const plans: (HotPlan | null | undefined)[] = [];

/** The loop's form for an instruction in flat 32-bit mode; null if it has none. */
export function hotPlan(i: Instruction): HotPlan | null {
  const key = (i.row.number << 3) | (i.operandSize === 4 ? 1 : 0) | (i.memory ? 2 : 0) | (i.index === ZERO ? 4 : 0);
  let plan = plans[key];
  if (plan === undefined) {
    while (plans.length <= key) plans.push(undefined);
    plan = findPlan(i);
    plans[key] = plan;
  }
  if (plan === null || i.lock) return null;
  // Other address sizes and segments that may not be flat are the checked forms' matter.
  if ((i.memory || plan.element) && (i.addressSize !== 4 || i.segment > DS || i.segment === CS)) return null;
  if (plan.element && i.rep !== 0) return null;
  // A place beside a record holds 26 bits of offset (code-cache.ts): longer branches go out of line.
  if (plan.relative && Math.abs(i.immediate) >= FAR_BRANCH) return null;
  // A count of 0 changes nothing.
  if (plan.counted && (i.immediate & 31) === 0) return null;
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
  const fused = Array.from({ length: 16 }, (_, cc) => numbers.get(`${name}_j${cc.toString(16)}`) ?? -1);
  return {
    number,
    slots: operands.flatMap((o) => slotsOf(o, i)),
    words: (HOT_FORMS[number - FIRST_HOT] as readonly [string, number])[1],
    tail: TAILS[row.semantics] ?? TAIL_NONE,
    fused: fused.some((n) => n >= 0) ? fused : null,
    unseen: numbers.get(`${name}_unseen`) ?? -1,
    hides: !canFault(i) && (row.flagsRead & CF_OF) === 0 && (row.flagsWritten & CF_OF) === CF_OF,
    endsBlock: row.endsBlock,
    element: row.repeatable,
    relative: row.operands[0]?.[0] === 'J',
    counted: COUNTED.has(row.semantics) && row.operands[1] === 'Ib',
  };
}

/** Writes the operand words of `i` to `words` from `start` on. */
export function writeOperands(slots: readonly number[], i: Instruction, words: Int32Array, start: number): void {
  let at = start;
  for (let k = 0; k < slots.length; k++) {
    const slot = slots[k] as number;
    switch (slot) {
      case SLOT_BASE:
        words[at++] = i.base;
        words[at++] = i.displacement;
        break;
      case SLOT_INDEX:
        words[at++] = i.base;
        words[at++] = i.index;
        words[at++] = i.scale;
        words[at++] = i.displacement;
        break;
      case SLOT_OFFSET:
        words[at++] = ZERO;
        words[at++] = i.immediate;
        break;
      case SLOT_IMMEDIATE:
        words[at++] = i.immediate;
        break;
      case SLOT_IMMEDIATE8:
        words[at++] = i.immediate & 0xff;
        break;
      case SLOT_COUNT:
        words[at++] = i.immediate & 31;
        break;
      case SLOT_ONE:
        words[at++] = 1;
        break;
      default: {
        const place = slot & ~3;
        const register =
          place === SLOT_RM ? i.rm : place === SLOT_REG ? i.reg : place === SLOT_OPCODE ? i.opcode & 7 : 0;
        words[at++] = (slot & 3) === 0 ? register : (slot & 3) === 2 ? register << 1 : byteRegister(register);
      }
    }
  }
}
