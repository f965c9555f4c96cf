/** Semantics of the simple instructions, each written once (SDM Vol. 2). */

import {
  KIND_ADD,
  KIND_LOGIC,
  KIND_MUL,
  KIND_SAR,
  KIND_SHL,
  KIND_SHR,
  KIND_SHRD,
  KIND_SUB,
  STEP_DEC,
  STEP_INC,
} from '../flags.ts';
import { type ElementContext, type EmitContext, R } from './context.ts';

export type Emit = (x: EmitContext) => void;

/** Sign-extends a zero-extended value of `width` bytes. */
const signed = (value: string, width: number): string =>
  width === 4 ? value : `((${value} << ${32 - 8 * width}) >> ${32 - 8 * width})`;

const binary =
  (kind: number, formula: (a: string, b: string) => string, writes: boolean): Emit =>
  (x) => {
    const a = writes ? x.modify(0) : x.read(0);
    const b = x.read(1);
    const r = x.temp(formula(a, b));
    if (writes) x.write(0, r);
    x.lazy(kind, a, r);
  };

/** ADC, SBB: with a carry the kind is the next family (ADD + 4 = ADC, SUB + 4 = SBB). */
const withCarry =
  (kind: number, sign: '+' | '-'): Emit =>
  (x) => {
    const a = x.modify(0);
    const b = x.read(1);
    const c = x.temp(x.carry());
    const r = x.temp(`(${a} ${sign} ${b} ${sign} ${c}) | 0`);
    x.write(0, r);
    x.lazy(`${kind} + (${c} << 2)`, a, r);
  };

const step =
  (kind: number, delta: string): Emit =>
  (x) => {
    const r = x.temp(`(${x.modify(0)} ${delta}) | 0`);
    x.write(0, r);
    x.step(kind, r);
  };

/** Runs `body` unless the count is 0, which changes nothing. */
function counted(x: EmitContext, k: number, body: (count: string) => void): void {
  const c = x.count(k);
  if (c.mayBeZero) x.line(`if (${c.value} !== 0) {`);
  body(c.value);
  if (c.mayBeZero) x.line('}');
}

const shift =
  (kind: number, operator: '<<' | '>>>' | '>>'): Emit =>
  (x) => {
    const operand = x.modify(0);
    counted(x, 1, (c) => {
      const a = operator === '>>' ? signed(operand, x.width) : operand;
      const r = x.temp(`${a} ${operator} ${c}`);
      const before = x.temp(`${a} ${operator} (${c} - 1)`);
      x.write(0, r);
      x.lazy(kind, before, r);
    });
  };

/** ROL, ROR: only CF and OF change (SDM: OF as for a count of 1). */
const rotate =
  (left: boolean): Emit =>
  (x) => {
    const a = x.modify(0);
    const bits = 8 * x.width;
    counted(x, 1, (c) => {
      const n = bits === 32 ? c : x.temp(`${c} & ${bits - 1}`);
      const [up, down] = left ? [n, `(${bits} - ${n})`] : [`(${bits} - ${n})`, n];
      const rotated = `(${a} << ${up}) | (${a} >>> ${down})`;
      const r = x.temp(bits === 32 ? rotated : `(${rotated}) & ${2 ** bits - 1}`);
      x.write(0, r);
      if (left) x.rotated(r, `(${r} >>> ${bits - 1}) ^ ${r}`);
      else x.rotated(`${r} >>> ${bits - 1}`, `(${r} >>> ${bits - 1}) ^ (${r} >>> ${bits - 2})`);
    });
  };

const rotateThroughCarry =
  (helper: string): Emit =>
  (x) => {
    const a = x.modify(0);
    counted(x, 1, (c) => x.write(0, x.temp(`${helper}(S, ${a}, ${c}, ${8 * x.width})`)));
  };

/** SHLD, SHRD. For 16 bits, counts above 16 shift the pattern operand:source:operand, as processors do. */
const doubleShift =
  (left: boolean): Emit =>
  (x) => {
    const a = x.modify(0);
    const b = x.read(1);
    counted(x, 2, (c) => {
      if (x.width === 4) {
        const r = x.temp(left ? `(${a} << ${c}) | (${b} >>> (32 - ${c}))` : `(${a} >>> ${c}) | (${b} << (32 - ${c}))`);
        const before = x.temp(left ? `${a} << (${c} - 1)` : `${a} >>> (${c} - 1)`);
        x.write(0, r);
        x.lazy(left ? KIND_SHL : KIND_SHRD, before, r);
      } else {
        const pair = x.temp(left ? `(${a} << 16) | ${b}` : `(${b} << 16) | ${a}`);
        const at = (n: string): string =>
          left
            ? `(${n} <= 16 ? (${pair} << ${n}) >>> 16 : ((${b} << 16) | ${a}) << (${n} - 16) >>> 16)`
            : `(${n} <= 16 ? ${pair} >>> ${n} : ((${a} << 16) | ${b}) >>> (${n} - 16)) & 0xffff`;
        const r = x.temp(at(c));
        const before = x.temp(at(`(${c} - 1)`));
        x.write(0, r);
        x.lazy(left ? KIND_SHL : KIND_SHRD, before, r);
      }
    });
  };

/** MUL, IMUL with one operand: AX, DX:AX, EDX:EAX. */
const multiply =
  (isSigned: boolean): Emit =>
  (x) => {
    const b = x.read(0);
    if (x.width === 4) {
      const a = x.temp('S[0]');
      const low = x.temp(`Math.imul(${a}, ${b})`);
      const high = x.temp(`${isSigned ? 'mulHighSigned' : 'mulHighUnsigned'}(${a}, ${b})`);
      x.line(`S[0] = ${low}; S[2] = ${high};`);
      x.lazy(KIND_MUL, isSigned ? `${high} === (${low} >> 31) ? 0 : 1` : `${high} === 0 ? 0 : 1`, low);
    } else if (x.width === 2) {
      const product = isSigned ? `${signed('S16[0]', 2)} * ${signed(b, 2)}` : `S16[0] * ${b}`;
      const r = x.temp(`(${product}) | 0`);
      x.line(`S16[0] = ${r}; S16[4] = ${r} >>> 16;`);
      x.lazy(KIND_MUL, isSigned ? `${r} === ${signed(r, 2)} ? 0 : 1` : `(${r} >>> 16) === 0 ? 0 : 1`, r);
    } else {
      const r = x.temp(isSigned ? `${signed('S8[0]', 1)} * ${signed(b, 1)}` : `S8[0] * ${b}`);
      x.line(`S16[0] = ${r};`);
      x.lazy(KIND_MUL, isSigned ? `${r} === ${signed(r, 1)} ? 0 : 1` : `(${r} >>> 8) === 0 ? 0 : 1`, r);
    }
  };

/** IMUL with two or three operands. */
const multiplyTo =
  (first: number, second: number): Emit =>
  (x) => {
    const a = x.read(first);
    const b = x.read(second);
    if (x.width === 4) {
      const r = x.temp(`Math.imul(${a}, ${b})`);
      x.write(0, r);
      x.lazy(KIND_MUL, `${a} * ${b} === ${r} ? 0 : 1`, r);
    } else {
      const r = x.temp(`${signed(a, 2)} * ${signed(b, 2)}`);
      x.write(0, r);
      x.lazy(KIND_MUL, `${r} === ${signed(r, 2)} ? 0 : 1`, r);
    }
  };

export const semantics: Readonly<Record<string, Emit>> = {
  mov: (x) => x.write(0, x.read(1)),
  lea: (x) => x.write(0, x.address(1)),
  movzx: (x) => x.write(0, x.read(1)),
  movsx: (x) => x.write(0, signed(x.read(1), x.widthOf(1))),
  xchg: (x) => {
    const a = x.modify(0);
    const b = x.temp(x.read(1));
    x.write(0, b);
    x.write(1, a);
  },

  add: binary(KIND_ADD, (a, b) => `(${a} + ${b}) | 0`, true),
  sub: binary(KIND_SUB, (a, b) => `(${a} - ${b}) | 0`, true),
  cmp: binary(KIND_SUB, (a, b) => `(${a} - ${b}) | 0`, false),
  and: binary(KIND_LOGIC, (a, b) => `${a} & ${b}`, true),
  or: binary(KIND_LOGIC, (a, b) => `${a} | ${b}`, true),
  xor: binary(KIND_LOGIC, (a, b) => `${a} ^ ${b}`, true),
  test: binary(KIND_LOGIC, (a, b) => `${a} & ${b}`, false),
  adc: withCarry(KIND_ADD, '+'),
  sbb: withCarry(KIND_SUB, '-'),
  inc: step(STEP_INC, '+ 1'),
  dec: step(STEP_DEC, '- 1'),
  neg: (x) => {
    const r = x.temp(`-${x.modify(0)} | 0`);
    x.write(0, r);
    x.lazy(KIND_SUB, '0', r);
  },
  not: (x) => x.write(0, `~${x.modify(0)}`),

  shl: shift(KIND_SHL, '<<'),
  shr: shift(KIND_SHR, '>>>'),
  sar: shift(KIND_SAR, '>>'),
  rol: rotate(true),
  ror: rotate(false),
  rcl: rotateThroughCarry('rotateLeftThroughCarry'),
  rcr: rotateThroughCarry('rotateRightThroughCarry'),
  shld: doubleShift(true),
  shrd: doubleShift(false),
  mul: multiply(false),
  imul: multiply(true),
  imul2: multiplyTo(0, 1),
  imul3: multiplyTo(1, 2),

  push: (x) => x.push(x.read(0)),
  pop: (x) => x.popTo(0),
  leave: (x) => x.leave(),

  setcc: (x) => x.write(0, `${x.condition()} ? 1 : 0`),
  cmovcc: (x) => {
    const value = x.read(1);
    x.line(`if (${x.condition()}) {`);
    x.write(0, value);
    x.line('}');
  },

  jcc: (x) => x.branch(x.condition()),
  jmpNear: (x) => x.relative(false),
  callNear: (x) => x.relative(true),
  jmpIndirect: (x) => x.indirect(x.read(0), false),
  callIndirect: (x) => x.indirect(x.read(0), true),
  retNear: (x) => x.ret(null),
  retNearImmediate: (x) => x.ret(x.read(0)),
  // The counter is as wide as an address (SDM, LOOP).
  loop: (x) => x.branch('countDown(x, i, true)'),
  loope: (x) => x.branch('countDown(x, i, condition(S, 4))'),
  loopne: (x) => x.branch('countDown(x, i, !condition(S, 4))'),
  jcxz: (x) => x.branch('(i.addressSize === 4 ? S[1] : S16[2]) === 0'),

  cbw: (x) => x.line(x.operandSize === 4 ? 'S[0] = (S16[0] << 16) >> 16;' : 'S16[0] = (S8[0] << 24) >> 24;'),
  cwd: (x) => x.line(x.operandSize === 4 ? 'S[2] = S[0] >> 31;' : 'S16[4] = (S16[0] << 16) >> 31;'),
  bswap: (x) => {
    const a = x.modify(0);
    x.write(0, `(${a} << 24) | ((${a} & 0xff00) << 8) | ((${a} >>> 8) & 0xff00) | (${a} >>> 24)`);
  },
  clc: (x) => x.line(`S[${R.eflags}] = settleFlags(S) & ~1;`),
  stc: (x) => x.line(`S[${R.eflags}] = settleFlags(S) | 1;`),
  cmc: (x) => x.line(`S[${R.eflags}] = settleFlags(S) ^ 1;`),
  cld: (x) => x.line(`S[${R.eflags}] &= ~0x400;`),
  std: (x) => x.line(`S[${R.eflags}] |= 0x400;`),
  lahf: (x) => x.line('S8[1] = (readFlags(S) & 0xd5) | 2;'),
  sahf: (x) => x.line(`S[${R.eflags}] = (settleFlags(S) & ~0xd5) | (S8[1] & 0xd5);`),
  nop: () => {},
};

/** String instructions without a prefix, for the loop; out of line they and the repeated ones are handlers (cpu/string). */
export const elements: Readonly<Record<string, (x: ElementContext) => void>> = {
  movs: (x) => {
    x.write(0, x.read(1));
    x.advance(1);
    x.advance(0);
  },
  stos: (x) => {
    x.write(0, x.read(1));
    x.advance(0);
  },
  lods: (x) => {
    x.write(0, x.read(1));
    x.advance(1);
  },
  scas: (x) => {
    binary(KIND_SUB, (a, b) => `(${a} - ${b}) | 0`, false)(x);
    x.advance(1);
  },
};
