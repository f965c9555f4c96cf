/** Cases of the interpreter's switch: forms with operands in the decoded record, 32-bit addresses, flat segments.
 *
 *  A record is a few words of C: the form's number, then the words of each operand, then what a branch needs.
 *  Operand letters: r register, h byte register (index in the byte view), q word register (index in the word view),
 *  i immediate, b memory at [base + disp], x memory at [base + index << scale + disp], c the CL register, o the constant 1,
 *  s and d elements of strings at [ESI] and [EDI]. */

import { KIND_ADD, KIND_LOGIC, KIND_SUB } from '../flags.ts';
import { type ElementContext, R } from './context.ts';
import { elements, semantics } from './semantics.ts';

export type Letter = 'r' | 'h' | 'q' | 'i' | 'b' | 'x' | 'c' | 'o' | 's' | 'd';

/** Most temporaries of a case. They are shared by all cases: a variable of its own for each would make the frame, and with it
 *  the time that the engine needs to compile the loop, ten times larger. */
export const TEMPORARIES = 16;

/** One form: which semantics, how each operand is encoded ('r4', 'b1', 'i4', …). */
export interface HotForm {
  readonly operation: string;
  readonly operands: readonly string[];
  /** Condition code of the Jcc that is fused to it, −1 if none. */
  readonly fused: number;
  /** Leaves the flags alone: for a place where the next instruction sets them without having looked. */
  readonly unseen: boolean;
}

const WORDS: Readonly<Record<Letter, number>> = { r: 1, h: 1, q: 1, i: 1, b: 2, x: 4, c: 0, o: 0, s: 0, d: 0 };
const WRITE_HALF = 1 << 20;
/** The lazy flags stand in locals of the loop; whoever else reads them looks into the register file. */
export const STORE_FLAGS = `S[${R.kind}] = fk; S[${R.a}] = fa; S[${R.r}] = fr; S[${R.step}] = fs;`;
export const LOAD_FLAGS = `fk = S[${R.kind}]; fa = S[${R.a}]; fr = S[${R.r}]; fs = S[${R.step}];`;

/** Name by which the block builder finds a form. */
export function hotName(form: HotForm): string {
  const tail = form.fused >= 0 ? `_j${form.fused.toString(16)}` : form.unseen ? '_unseen' : '';
  return [form.operation, ...form.operands].join('_') + tail;
}

/** Words of the record before those of a branch: the number and the operands. */
export function operandWords(form: HotForm): number {
  return Math.max(
    2, // room for the record that replaces a stale one
    form.operands.reduce((sum, o) => sum + WORDS[o[0] as Letter], 1),
  );
}

class HotContext implements ElementContext {
  readonly lines: string[] = [];
  readonly operandSize = 4;
  /** Set once the case has transferred control itself. */
  ended = false;
  readonly #form: HotForm;
  readonly #at: number[] = [];
  readonly #slots = new Map<number, string>();
  readonly #prefix: string;
  /** What a fused branch tests. */
  #compared: { kind: number; a: string; b: string; r: string } | null = null;
  #b = '0';
  #names = 0;
  #accesses = 0;

  constructor(form: HotForm, prefix: string) {
    this.#form = form;
    this.#prefix = prefix;
    let at = 1;
    for (const operand of form.operands) {
      this.#at.push(at);
      at += WORDS[operand[0] as Letter];
    }
  }

  get width(): 1 | 2 | 4 {
    return this.widthOf(0);
  }

  widthOf(k: number): 1 | 2 | 4 {
    const operand = this.#form.operands[k];
    return operand === undefined ? 4 : (Number(operand[1]) as 1 | 2 | 4);
  }

  #letter(k: number): Letter {
    return (this.#form.operands[k] as string)[0] as Letter;
  }

  #word(k: number, n = 0): string {
    return `S[p + ${(this.#at[k] as number) + n}]`;
  }

  line(code: string): void {
    this.lines.push(code);
  }

  get temporaries(): number {
    return this.#names;
  }

  name(): string {
    return `${this.#prefix}${this.#names++}`;
  }

  temp(value: string): string {
    const name = this.name();
    this.line(`${name} = ${value};`);
    return name;
  }

  #memory(k: number): boolean {
    return 'bxsd'.includes(this.#letter(k));
  }

  #register(k: number): string {
    switch (this.#letter(k)) {
      case 'r':
        return `S[${this.#word(k)}]`;
      case 'h':
        return `S8[${this.#word(k)}]`;
      case 'q':
        return `S16[${this.#word(k)}]`;
      case 'c':
        return 'S8[4]';
      default:
        throw new Error('not a register');
    }
  }

  address(k: number): string {
    if (this.#letter(k) === 's') return 'S[6]';
    if (this.#letter(k) === 'd') return 'S[7]';
    if (this.#letter(k) === 'b') return `(S[${this.#word(k)}] + ${this.#word(k, 1)}) | 0`;
    return `(S[${this.#word(k)}] + (S[${this.#word(k, 1)}] << ${this.#word(k, 2)}) + ${this.#word(k, 3)}) | 0`;
  }

  read(k: number): string {
    const value = this.#value(k);
    if (k === 1) this.#b = value;
    return value;
  }

  #value(k: number): string {
    const letter = this.#letter(k);
    if (letter === 'i') return this.temp(this.#word(k));
    if (letter === 'o') return '1';
    return this.#memory(k) ? this.load(this.address(k), this.widthOf(k)) : this.temp(this.#register(k));
  }

  /** Translates a linear address by the fast tables: afterwards \`a ^ e\` is its place in memory. One table entry, one test;
   *  what does not pass leaves the switch for the slow path, with nothing changed yet. */
  #translate(address: string, width: number, half: 0 | typeof WRITE_HALF): void {
    this.line(`a = ${address}; e = S[B + ${half === 0 ? '' : `${half} + `}(a >>> 12)];`);
    const test = width === 1 ? 'e & 1' : `(e | a) & ${width - 1}`;
    // Only the first access of an instruction is tried again after a fill; a second one runs out of line.
    const want = (half === 0 ? 0 : 1) | (this.#accesses++ === 0 ? 0 : 2);
    this.line(`if ((${test}) !== 0) { w = ${want}; break; }`);
  }

  load(address: string, width: number): string {
    this.#translate(address, width, 0);
    return this.temp(view(width, 'a ^ e'));
  }

  store(address: string, value: string, width: number): void {
    this.#translate(address, width, WRITE_HALF);
    this.line(`${view(width, 'a ^ e')} = ${value};`);
  }

  modify(k: number): string {
    if (!this.#memory(k)) return this.read(k);
    const width = this.widthOf(k);
    this.#translate(this.address(k), width, WRITE_HALF);
    const slot = this.temp(index(width, 'a ^ e'));
    this.#slots.set(k, slot);
    return this.temp(`${array(width)}[${slot}]`);
  }

  write(k: number, value: string): void {
    if (!this.#memory(k)) {
      this.line(`${this.#register(k)} = ${value};`);
      return;
    }
    const width = this.widthOf(k);
    const slot = this.#slots.get(k);
    if (slot === undefined) this.store(this.address(k), value, width);
    else this.line(`${array(width)}[${slot}] = ${value};`);
  }

  lazy(kind: string | number, a: string, r: string): void {
    if (typeof kind === 'number') this.#compared = { kind, a, b: this.#b, r };
    const code = { 1: 0, 2: 1, 4: 2 }[this.width];
    const whole = typeof kind === 'number' ? `${kind + code}` : `${kind} + ${code}`;
    this.line(`fk = ${whole}; fa = ${a} | 0; fr = ${r} | 0;`);
  }

  step(kind: number, r: string): void {
    this.#compared = { kind: -1, a: '0', b: '0', r };
    const code = { 1: 0, 2: 1, 4: 2 }[this.width];
    this.line(`fk = (fk & 255) | ${kind | (code << 8)}; fs = ${r} | 0;`);
  }

  /** The word behind the operands holds the condition code. */
  condition(): string {
    this.line(STORE_FLAGS);
    return `condition(S, S[p + ${operandWords(this.#form)}])`;
  }

  carry(): string {
    this.line(STORE_FLAGS);
    return 'carry(S)';
  }

  rotated(cf: string, of: string): void {
    if (this.#form.unseen) return;
    this.line(STORE_FLAGS);
    this.line(`setCarryOverflow(S, ${cf}, ${of}); fk = 0;`);
  }

  /** The builder masks the count and makes no record of this kind for 0. */
  count(k: number): { value: string; mayBeZero: boolean } {
    if (this.#letter(k) === 'o') return { value: '1', mayBeZero: false };
    if (this.#letter(k) === 'i') return { value: this.temp(this.#word(k)), mayBeZero: false };
    return { value: this.temp(`${this.#register(k)} & 31`), mayBeZero: true };
  }

  advance(k: number): void {
    const width = this.widthOf(k);
    // DF is bit 10: it becomes twice the width.
    this.line(`${this.address(k)} += ${width} - ((S[${R.eflags}] >> ${{ 1: 9, 2: 8, 4: 7 }[width]}) & ${2 * width});`);
  }

  push(value: string): void {
    this.store('(S[4] - 4) | 0', value, 4);
    this.line('S[4] = a;');
  }

  pop(): string {
    const value = this.load('S[4]', 4);
    this.line('S[4] = a + 4;');
    return value;
  }

  popTo(k: number): void {
    this.write(k, this.pop());
  }

  leave(): void {
    const value = this.load('S[5]', 4);
    this.line(`S[4] = a + 4; S[5] = ${value};`);
  }

  // ---- ends of blocks; words behind the operands: cost, then link of the target, then link of the next instruction ----

  branch(condition: string): void {
    const at = operandWords(this.#form) + (this.#form.operation === 'jcc' ? 1 : 0);
    this.line(`n = (n - S[p + ${at}]) | 0; p = ${condition} ? S[p + ${at + 1}] : S[p + ${at + 2}];`);
    this.#leave();
  }

  #leave(): void {
    this.line('if (n < 0) break run; continue;');
    this.ended = true;
  }

  /** Words: cost, link of the target, and for a call the offset of the return address from P. */
  relative(call: boolean): void {
    const at = operandWords(this.#form);
    if (call) this.push(`(P + S[p + ${at + 2}]) | 0`);
    this.line(`n = (n - S[p + ${at}]) | 0; p = S[p + ${at + 1}];`);
    this.#leave();
  }

  indirect(target: string, call: boolean): void {
    const at = operandWords(this.#form);
    if (call) this.push(`(P + S[p + ${at + 1}]) | 0`);
    this.#goTo(target, `S[p + ${at}]`);
  }

  ret(extra: string | null): void {
    const target = this.pop();
    if (extra !== null) this.line(`S[4] += ${extra};`);
    this.#goTo(target, `S[p + ${operandWords(this.#form)}]`);
  }

  /** Stays in the page when the target is in it and known; else through the dispatcher. */
  #goTo(target: string, cost: string): void {
    this.line(`n = (n - ${cost}) | 0;`);
    const q = this.temp(`(${target} & -4096) === P ? E[${target} & 4095] : 0`);
    this.line(`if (${q} !== 0 && n >= 0) { p = ${q}; continue; }`);
    this.line(`S[${R.eip}] = ${target}; p = -1; if (n < 0) break run; continue run;`);
    this.ended = true;
  }

  /** The condition of a fused Jcc, straight from what was compared; null if it cannot be said so. */
  fusedCondition(cc: number): string | null {
    const c = this.#compared;
    if (c === null) return null;
    const test = direct(c, cc & ~1, this.width);
    if (test === null) return null;
    return (cc & 1) === 0 ? test : negate(test);
  }
}

const array = (width: number): string => (width === 4 ? 'M' : width === 2 ? 'M16' : 'M8');
const index = (width: number, at: string): string => (width === 4 ? `(${at}) >> 2` : width === 2 ? `(${at}) >> 1` : at);
const view = (width: number, at: string): string => `${array(width)}[${index(width, at)}]`;

const OPPOSITE: Readonly<Record<string, string>> = { '===': '!==', '<': '>=', '<=': '>' };
const negate = (test: string): string => test.replace(/ (===|<=|<) /, (_, o: string) => ` ${OPPOSITE[o]} `);

/** Condition `cc` (even) as one comparison. `a` and `b` are zero-extended when they are bytes or words. */
function direct(c: { kind: number; a: string; b: string; r: string }, cc: number, width: number): string | null {
  const top = (v: string): string => (width === 4 ? v : `(${v} << ${32 - 8 * width})`);
  const unsigned = (v: string): string => (width === 4 ? `(${v} >>> 0)` : v);
  if (cc === 8) return `${top(c.r)} < 0`;
  if (c.kind === KIND_SUB) {
    if (cc === 2) return `${unsigned(c.a)} < ${unsigned(c.b)}`;
    if (cc === 4) return `${c.a} === ${c.b}`;
    if (cc === 6) return `${unsigned(c.a)} <= ${unsigned(c.b)}`;
    if (cc === 12) return `${top(c.a)} < ${top(c.b)}`;
    if (cc === 14) return `${top(c.a)} <= ${top(c.b)}`;
    return null;
  }
  if (cc === 4) return `${top(c.r)} === 0`;
  if (c.kind === KIND_LOGIC) {
    if (cc === 12) return `${top(c.r)} < 0`;
    if (cc === 14) return `${top(c.r)} <= 0`;
  }
  if (c.kind === KIND_ADD && cc === 2) return `${unsigned(c.r)} < ${unsigned(c.a)}`;
  return null;
}

/** Source of one case, without `case N:`. Throws where a fused condition cannot be expressed. */
export function hotCase(form: HotForm): string {
  const emit = semantics[form.operation] ?? elements[form.operation];
  if (emit === undefined) throw new Error(`no semantics ${form.operation}`);
  const context = new HotContext(form, 't');
  emit(context);
  if (form.fused >= 0) {
    const condition = context.fusedCondition(form.fused);
    if (condition === null) throw new Error(`${hotName(form)} cannot be fused`);
    context.branch(condition);
  }
  if (!context.ended) {
    const condition = form.operation === 'setcc' || form.operation === 'cmovcc' ? 1 : 0;
    context.line(`p = (p + ${operandWords(form) + condition}) | 0; continue;`);
  }
  if (context.temporaries > TEMPORARIES) throw new Error(`${hotName(form)} needs more temporaries`);
  return context.lines.join('\n');
}
