/** What is true of an operation whatever its operands are: who carries it out and which flags it touches.
 *  Reference: SDM Vol. 1, Appendix A "EFLAGS Cross-Reference", and "Flags Affected" of each instruction in Vol. 2.
 *
 *  `written` are the flags that may change, those left undefined included. */

import {
  ARITHMETIC_FLAGS,
  FLAG_AC,
  FLAG_AF,
  FLAG_CF,
  FLAG_DF,
  FLAG_ID,
  FLAG_IF,
  FLAG_IOPL,
  FLAG_NT,
  FLAG_OF,
  FLAG_PF,
  FLAG_RF,
  FLAG_SF,
  FLAG_TF,
  FLAG_VIF,
  FLAG_VIP,
  FLAG_VM,
  FLAG_ZF,
} from '../../base/registers.ts';

/** Who carries an operation out: the code generator, or the table of handlers of that name. */
export type Executor = 'emitter' | 'far' | 'system' | 'string' | 'integer' | 'vmx' | 'undefined' | 'unimplemented';

export interface SemanticsFacts {
  readonly by: Executor;
  readonly read?: number;
  readonly written?: number;
  readonly undefined?: number;
  /** A count of 0 leaves all flags alone; a count of 1 leaves OF defined. */
  readonly counted?: boolean;
  /** A handler that touches registers, flags and memory only, as emitted code does: not EIP, not the count of instructions, not what the
   *  next boundary looks at. A load of SS blocks interrupts and is none. */
  readonly quiet?: boolean;
  /** Transfers control. */
  readonly branch?: boolean;
  /** Whether it can fault apart from a memory operand. Of the emitters and integer handlers: no unless said so. */
  readonly faults?: boolean;
  /** Its M or E operand is never accessed (LEA, NOP). */
  readonly addressOnly?: boolean;
  /** LOCK is legal with a memory destination (SDM Vol. 2, "LOCK"). */
  readonly lockable?: boolean;
}

const [CF, PF, AF, ZF, SF, DF, OF] = [FLAG_CF, FLAG_PF, FLAG_AF, FLAG_ZF, FLAG_SF, FLAG_DF, FLAG_OF];
const ALL = ARITHMETIC_FLAGS;
const SYSTEM = FLAG_TF | FLAG_IF | FLAG_IOPL | FLAG_NT | FLAG_RF | FLAG_VM | FLAG_AC | FLAG_VIF | FLAG_VIP | FLAG_ID;
const WHOLE = ALL | DF | SYSTEM;
/** An event that goes through the IDT pushes EFLAGS and clears some. */
const EVENT = { branch: true, read: WHOLE, written: FLAG_TF | FLAG_IF | FLAG_NT | FLAG_RF | FLAG_VM | FLAG_AC };
const LOGIC = { written: ALL, undefined: AF };
const SHIFT = { written: ALL, undefined: AF | OF, counted: true };
const ROTATE = { written: CF | OF, undefined: OF, counted: true };
const MULTIPLY = { written: ALL, undefined: SF | ZF | AF | PF };
const BIT_TEST = { written: ALL & ~ZF, undefined: OF | SF | AF | PF };
const BIT_SCAN = { written: ALL, undefined: ALL & ~ZF };

const facts = <Name extends string>(by: Executor, table: Record<Name, Omit<SemanticsFacts, 'by'>>) =>
  Object.fromEntries(
    Object.entries<Omit<SemanticsFacts, 'by'>>(table).map(([name, f]) => [name, { by, ...f }]),
  ) as Record<Name, SemanticsFacts>;

const emitters = facts('emitter', {
  mov: {},
  lea: { addressOnly: true },
  movzx: {},
  movsx: {},
  add: { written: ALL, lockable: true },
  or: { ...LOGIC, lockable: true },
  adc: { read: CF, written: ALL, lockable: true },
  sbb: { read: CF, written: ALL, lockable: true },
  and: { ...LOGIC, lockable: true },
  sub: { written: ALL, lockable: true },
  xor: { ...LOGIC, lockable: true },
  cmp: { written: ALL },
  test: LOGIC,
  inc: { written: ALL & ~CF, lockable: true },
  dec: { written: ALL & ~CF, lockable: true },
  neg: { written: ALL, lockable: true },
  not: { lockable: true },
  xchg: { lockable: true },
  push: { faults: true },
  pop: { faults: true },
  callNear: { branch: true, faults: true },
  jmpNear: { branch: true, faults: true },
  callIndirect: { branch: true, faults: true },
  jmpIndirect: { branch: true, faults: true },
  retNear: { branch: true, faults: true },
  retNearImmediate: { branch: true, faults: true },
  jcc: { branch: true, faults: true }, // read: by its condition
  setcc: {},
  cmovcc: {},
  loop: { branch: true, faults: true },
  loope: { branch: true, faults: true, read: ZF },
  loopne: { branch: true, faults: true, read: ZF },
  jcxz: { branch: true, faults: true },
  shl: SHIFT,
  shr: SHIFT,
  sar: SHIFT,
  rol: ROTATE,
  ror: ROTATE,
  rcl: { ...ROTATE, read: CF },
  rcr: { ...ROTATE, read: CF },
  shld: SHIFT,
  shrd: SHIFT,
  imul2: MULTIPLY,
  imul3: MULTIPLY,
  mul: MULTIPLY,
  imul: MULTIPLY,
  cbw: {},
  cwd: {},
  bswap: {},
  clc: { written: CF },
  stc: { written: CF },
  cmc: { read: CF, written: CF },
  cld: { written: DF },
  std: { written: DF },
  leave: { faults: true },
  nop: { addressOnly: true },
  lahf: { read: SF | ZF | AF | PF | CF },
  sahf: { written: SF | ZF | AF | PF | CF },
});

const far = facts('far', {
  jmpFar: { branch: true },
  callFar: { branch: true },
  retFar: { branch: true },
  retFarImmediate: { branch: true },
  iret: { branch: true, read: WHOLE, written: WHOLE },
  intN: EVENT,
  int3: EVENT,
  int1: EVENT,
  into: EVENT,
  sysenter: { branch: true, written: FLAG_IF | FLAG_VM },
  sysexit: { branch: true },
  bound: {},
  loadFarPointer: {},
  movToSegment: { quiet: true },
  movFromSegment: { quiet: true },
  pushSegment: { quiet: true },
  popSegment: { quiet: true },
  lar: { written: ZF },
  lsl: { written: ZF },
  verr: { written: ZF },
  verw: { written: ZF },
  arpl: { written: ZF },
  lldt: {},
  ltr: {},
  sldt: {},
  str: {},
  lgdt: {},
  lidt: {},
  sgdt: {},
  sidt: {},
});

const system = facts('system', {
  hlt: { branch: true },
  cli: { read: FLAG_IOPL, written: FLAG_IF | FLAG_VIF },
  sti: { read: FLAG_IOPL, written: FLAG_IF | FLAG_VIF },
  clac: { written: FLAG_AC },
  stac: { written: FLAG_AC },
  pushf: { read: WHOLE },
  popf: { read: SYSTEM, written: WHOLE & ~FLAG_VM },
  cpuid: {},
  rdtsc: {},
  rdtscp: {},
  rdpmc: {},
  rdmsr: {},
  wrmsr: {},
  // Undefined by the manual, left alone by every processor: nobody may rely on either.
  movFromCr: { read: ALL, written: ALL, undefined: ALL },
  movToCr: { read: ALL, written: ALL, undefined: ALL },
  movFromDr: { read: ALL, written: ALL, undefined: ALL },
  movToDr: { read: ALL, written: ALL, undefined: ALL },
  clts: {},
  lmsw: {},
  smsw: {},
  invlpg: {},
  invd: {},
  wbinvd: {},
  in: {},
  out: {},
  pause: {},
});

const string = facts('string', {
  movs: { read: DF },
  cmps: { read: DF, written: ALL, counted: true },
  stos: { read: DF },
  lods: { read: DF },
  scas: { read: DF, written: ALL, counted: true },
  ins: { read: DF },
  outs: { read: DF },
});

const integer = facts('integer', {
  div: { written: ALL, undefined: ALL, faults: true },
  idiv: { written: ALL, undefined: ALL, faults: true },
  daa: { read: CF | AF, written: ALL, undefined: OF },
  das: { read: CF | AF, written: ALL, undefined: OF },
  aaa: { read: AF, written: ALL, undefined: OF | SF | ZF | PF },
  aas: { read: AF, written: ALL, undefined: OF | SF | ZF | PF },
  aam: { written: ALL, undefined: OF | AF | CF, faults: true },
  aad: { written: ALL, undefined: OF | AF | CF },
  enter: { faults: true },
  pusha: { faults: true },
  popa: { faults: true },
  cmpxchg: { written: ALL, lockable: true },
  cmpxchg8b: { written: ZF, lockable: true },
  xadd: { written: ALL, lockable: true },
  xlat: { faults: true },
  bt: BIT_TEST,
  bts: { ...BIT_TEST, lockable: true },
  btr: { ...BIT_TEST, lockable: true },
  btc: { ...BIT_TEST, lockable: true },
  bsf: BIT_SCAN,
  bsr: BIT_SCAN,
  salc: { read: CF },
});

/** Every operation that a row may name. */
export const semantics = {
  ...emitters,
  ...far,
  ...system,
  ...string,
  ...integer,
  /** Success and failure are told in the arithmetic flags (SDM Vol. 3, "Conventions"); an entry replaces all of EFLAGS. */
  vmx: { by: 'vmx', read: WHOLE, written: WHOLE } as SemanticsFacts,
  undefined: { by: 'undefined' } as SemanticsFacts,
  unimplemented: { by: 'unimplemented' } as SemanticsFacts,
} as const;

export type Semantics = keyof typeof semantics;
