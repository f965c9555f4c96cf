/** Out-of-line forms: one function an operand form, taking the decoded instruction. They make every segment check, so they
 *  serve 16-bit code, segments that are not flat, and whatever is too rare for the loop. */

import { type EmitContext, R } from './context.ts';
import { type OperandShape, operandShape } from './operands.ts';
import { semantics } from './semantics.ts';

const bits = (width: number): number => 8 * width;

class ColdContext implements EmitContext {
  readonly lines: string[] = [];
  readonly operandSize: 2 | 4;
  readonly #operands: readonly OperandShape[];
  readonly #memory: boolean;
  /** Name of the linear address of each memory operand, once computed. */
  readonly #linear = new Map<number, string>();
  #names = 0;

  constructor(codes: readonly string[], size: 2 | 4, memory: boolean) {
    this.operandSize = size;
    this.#operands = codes.map((code) => operandShape(code, size));
    this.#memory = memory;
  }

  get width(): 1 | 2 | 4 {
    return this.#operands[0]?.width ?? this.operandSize;
  }

  widthOf(k: number): 1 | 2 | 4 {
    return this.#operands[k]?.width ?? this.operandSize;
  }

  line(code: string): void {
    this.lines.push(code);
  }

  temp(value: string): string {
    const name = `t${this.#names++}`;
    this.line(`const ${name} = ${value};`);
    return name;
  }

  #isMemory(k: number): boolean {
    const place = this.#operands[k]?.place;
    return place === 'O' || place === 'M' || (place === 'E' && this.#memory);
  }

  /** Linear address of memory operand k, checked for writing if it is going to be written. */
  #address(k: number, write: boolean): string {
    const known = this.#linear.get(k);
    if (known !== undefined) return known;
    const width = this.widthOf(k);
    const name = this.temp(
      this.#operands[k]?.place === 'O'
        ? `x.segmentCheck(i.segment, i.immediate, ${width}, ${write})`
        : `x.linearAddress(i, ${width}, ${write})`,
    );
    this.#linear.set(k, name);
    return name;
  }

  #register(k: number): string {
    const { place, width } = this.#operands[k] as OperandShape;
    const number = { E: 'i.rm', G: 'i.reg', Z: '(i.opcode & 7)', AL: '0', rAX: '0', CL: '1' }[place as 'E'];
    if (width === 4) return `S[${number}]`;
    if (width === 2) return `S16[${number} << 1]`;
    if (place === 'AL') return 'S8[0]';
    if (place === 'CL') return 'S8[4]';
    return `S8[byteRegister(${number})]`;
  }

  read(k: number): string {
    const { place, width } = this.#operands[k] as OperandShape;
    if (place === 'I') return width === 4 ? 'i.immediate' : `(i.immediate & ${2 ** bits(width) - 1})`;
    if (place === '1') return '1';
    if (this.#isMemory(k)) return this.temp(`m.read${bits(width)}(${this.#address(k, false)})`);
    return this.temp(this.#register(k));
  }

  modify(k: number): string {
    if (!this.#isMemory(k)) return this.read(k);
    return this.temp(`m.readForWrite${bits(this.widthOf(k))}(${this.#address(k, true)})`);
  }

  write(k: number, value: string): void {
    const width = this.widthOf(k);
    if (this.#isMemory(k)) this.line(`m.write${bits(width)}(${this.#address(k, true)}, ${value});`);
    else this.line(`${this.#register(k)} = ${value};`);
  }

  address(_k: number): string {
    return 'x.effectiveAddress(i)';
  }

  lazy(kind: string | number, a: string, r: string): void {
    const code = { 1: 0, 2: 1, 4: 2 }[this.width];
    const whole = typeof kind === 'number' ? `${kind + code}` : `${kind} + ${code}`;
    this.line(`S[${R.kind}] = ${whole}; S[${R.a}] = ${a}; S[${R.r}] = ${r};`);
  }

  step(kind: number, r: string): void {
    const code = { 1: 0, 2: 1, 4: 2 }[this.width];
    this.line(`S[${R.kind}] = (S[${R.kind}] & 255) | ${kind | (code << 8)}; S[${R.step}] = ${r};`);
  }

  carry(): string {
    return 'carry(S)';
  }

  rotated(cf: string, of: string): void {
    this.line(`setCarryOverflow(S, ${cf}, ${of});`);
  }

  condition(): string {
    return 'condition(S, i.opcode & 15)';
  }

  count(k: number): { value: string; mayBeZero: boolean } {
    if (this.#operands[k]?.place === '1') return { value: '1', mayBeZero: false };
    return { value: this.temp(`${this.read(k)} & 31`), mayBeZero: true };
  }

  push(value: string): void {
    this.line(`x.push${bits(this.operandSize)}(${value});`);
  }

  pop(): string {
    return this.temp(`x.pop${bits(this.operandSize)}()`);
  }

  popTo(k: number): void {
    if (!this.#isMemory(k)) {
      this.write(k, this.pop());
      return;
    }
    // The address is computed with ESP already incremented (SDM, POP); a fault must leave ESP as it was.
    this.line('const esp = S[4];');
    const value = this.pop();
    this.line('try {');
    this.write(k, value);
    this.line('} catch (fault) { S[4] = esp; throw fault; }');
  }

  leave(): void {
    const width = this.operandSize;
    this.line('const mask = x.stackMask;');
    const value = this.temp(`m.read${bits(width)}(x.segmentCheck(2, S[5] & mask, ${width}, false))`);
    this.line(`S[4] = (S[4] & ~mask) | ((S[5] + ${width}) & mask);`);
    this.line(width === 4 ? `S[5] = ${value};` : `S16[10] = ${value};`);
  }

  #offset(value: string): string {
    return this.operandSize === 4 ? `(${value}) | 0` : `(${value}) & 0xffff`;
  }

  branch(condition: string): void {
    this.line(`if (${condition}) x.jump(${this.#offset(`S[${R.eip}] + i.immediate`)});`);
  }

  relative(call: boolean): void {
    this.indirect(this.temp(this.#offset(`S[${R.eip}] + i.immediate`)), call);
  }

  indirect(target: string, call: boolean): void {
    if (call) {
      this.line(`x.checkTarget(${target});`);
      this.push(`S[${R.eip}]`);
      this.line(`S[${R.eip}] = ${target};`);
    } else this.line(`x.jump(${target});`);
  }

  ret(extra: string | null): void {
    const width = this.operandSize;
    const target = this.temp(`m.read${bits(width)}(x.segmentCheck(2, S[4] & x.stackMask, ${width}, false))`);
    this.line(`x.jump(${target});`);
    this.line(`x.adjustStack(${extra === null ? width : `${width} + ${extra}`});`);
  }
}

/** Source of one out-of-line function. */
export function coldFunction(
  name: string,
  operation: string,
  operands: readonly string[],
  size: 2 | 4,
  memory: boolean,
): string {
  const emit = semantics[operation];
  if (emit === undefined) throw new Error(`no semantics ${operation}`);
  const context = new ColdContext(operands, size, memory);
  emit(context);
  const body = context.lines.join('\n  ');
  const uses = (word: string): boolean => new RegExp(`\\b${word}\\b`).test(body);
  const head = [
    uses('S') ? 'const S = x.S;' : '',
    uses('S8') ? 'const S8 = x.S8;' : '',
    uses('S16') ? 'const S16 = x.S16;' : '',
    uses('m') ? 'const m = x.mmu;' : '',
  ].filter((line) => line !== '');
  const parameters = uses('i') ? 'x: Cpu, i: Instruction' : body === '' ? '' : 'x: Cpu';
  return `function ${name}(${parameters}): void {\n  ${[...head, body].join('\n  ')}\n}\n`;
}
