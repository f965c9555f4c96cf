/** What an emitter of instruction semantics may say. A context turns it into source text: a case of the interpreter's switch
 *  (hot.ts), an out-of-line function (cold.ts), later a line of a translated region.
 *
 *  Values of 8 and 16 bits are zero-extended, 32-bit values are int32. Memory is touched before registers and flags. */
export interface EmitContext {
  /** Bytes of operand 0 (of the result). */
  readonly width: 1 | 2 | 4;
  /** Bytes of operand k. */
  widthOf(k: number): 1 | 2 | 4;
  /** Operand size attribute: 2 or 4, whatever the operands are. */
  readonly operandSize: 2 | 4;

  /** Value of operand k, in a name or a constant expression without side effects. */
  read(k: number): string;
  /** As `read`, announcing that `write` of the same operand follows. */
  modify(k: number): string;
  write(k: number, value: string): void;
  /** Offset of memory operand k. */
  address(k: number): string;

  line(code: string): void;
  /** A fresh constant holding `value`. */
  temp(value: string): string;

  /** Notes how the arithmetic flags follow. `kind` without its width. */
  lazy(kind: string | number, a: string, r: string): void;
  /** INC, DEC: all arithmetic flags but CF follow from `r`. */
  step(kind: number, r: string): void;

  /** Expression: CF as 0 or 1. */
  carry(): string;
  /** Sets CF and OF to the low bits of two expressions and leaves the other flags. */
  rotated(cf: string, of: string): void;
  /** Expression: does the condition in the opcode's low four bits hold? */
  condition(): string;
  /** Shift count of operand k (masked to five bits) and whether it can be 0 here. */
  count(k: number): { value: string; mayBeZero: boolean };

  /** Stack, by the operand size. */
  push(value: string): void;
  pop(): string;
  /** POP to operand 0, which may be memory addressed through the incremented ESP. */
  popTo(k: number): void;
  /** LEAVE. */
  leave(): void;

  /** Ends the block: relative branch to the immediate operand if `condition` holds, else on to the next instruction. */
  branch(condition: string): void;
  /** Ends the block: relative jump, pushing the return address first if `call`. */
  relative(call: boolean): void;
  /** Ends the block: jump to an offset, pushing the return address first if `call`. */
  indirect(target: string, call: boolean): void;
  /** Ends the block: near return, releasing `extra` further bytes. */
  ret(extra: string | null): void;
}

/** What an emitter of a string instruction may say besides, of one element. */
export interface ElementContext extends EmitContext {
  /** Moves the index register of operand k on by an element, in the direction that DF says. */
  advance(k: number): void;
}

/** Register-file indices as the generated text has them (base/registers.ts). */
export const R = {
  eip: 9,
  kind: 10,
  a: 11,
  r: 12,
  eflags: 13,
  context: 15,
  events: 16,
  blocking: 17,
  start: 19,
  step: 20,
} as const;
