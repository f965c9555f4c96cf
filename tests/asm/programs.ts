/** Random programs: labels, jumps both ways, data, macros, alignment, both code sizes. */

import type { Form } from '../../src/asm/forms.ts';
import { type Bits, everyForm, type Random, sample } from './generator.ts';

const FORMS = everyForm();
const reachesFar = (form: Form): boolean => form.slots.every((s) => s.role !== 'J' || s.bytes !== 1 || form.relaxed);
const JUMPS = FORMS.filter(({ form }) => form.slots[0]?.role === 'J' && reachesFar(form));
const LOOPS = FORMS.filter(({ form }) => !reachesFar(form));
const OTHERS = FORMS.filter(({ form }) => form.slots[0]?.role !== 'J');

/** What every batch of programs begins with. */
export const MACROS = `
%macro save 1-*
%rep %0
        push %1
%rotate 1
%endrep
%endmacro
%macro spin 2
        mov %1, %2
%%again: dec %1
        jnz %%again
%endmacro
%macro say 1+
        jmp %%over
%%text: db %1, 0
%%over: mov si, %%text - $$
%endmacro
%define TWICE(x) ((x) * 2)
%define PICK(a, b) (a) + TWICE(b)
%assign SERIAL 0
`;

const PREFIXED = [
  'rep movsb', 'rep movsd', 'repe cmpsw', 'repne scasb', 'a16 rep stosd', 'a32 lodsw', 'es lodsb', 'cs movsd', 'rep insb',
  'lock inc dword [bx]', 'lock add [esi], eax', 'lock cmpxchg [ebx], ecx', 'o16 pushf', 'o32 pushf', 'o32 iret', 'o32 retf',
  'a16 xlatb', 'a32 jmp short $+2', 'o16 nop', 'o32 lgdt [bx]', 'repne', 'lock', 'fs xlatb', 'ss mov al, [bx]', 'o32 ret',
]; // biome-ignore format: a table

const STRINGS = ["'abc'", '"it\'s"', '`a\\n\\x7f\\0`', "'x'", '"hello, world"', "'ab' , 'cd'"];

class Program {
  readonly lines: string[] = [];
  readonly #r: Random;
  readonly #name: string;
  readonly #labels: string[];
  #bits: Bits;
  #loops = 0;

  constructor(r: Random, name: string, labels: number) {
    this.#r = r;
    this.#name = name;
    this.#bits = r.pick([16, 32] as const);
    this.#labels = Array.from({ length: labels }, (_, n) => `${name}_${n}`);
  }

  build(length: number): string[] {
    this.lines.push(`bits ${this.#bits}`, 'align 4');
    const places = this.#labels.map((label) => ({ label, at: this.#r.below(length) }));
    for (let n = 0; n < length; n++) {
      for (const { label, at } of places)
        if (at === n) this.lines.push(this.#r.chance(80) ? `${label}:` : `${label}: nop`);
      this.#line();
    }
    return this.lines;
  }

  #line(): void {
    const r = this.#r;
    const kind = r.below(100);
    if (kind < 50) this.#instruction(OTHERS);
    else if (kind < 75) this.#instruction(JUMPS);
    else if (kind < 80) this.#loop();
    else if (kind < 88) this.lines.push(this.#data());
    else if (kind < 91) this.lines.push(r.pick(PREFIXED));
    else if (kind < 97) this.#special();
    else {
      this.#bits = (48 - this.#bits) as Bits;
      this.lines.push(r.pick([`bits ${this.#bits}`, `[bits ${this.#bits}]`, `BITS ${this.#bits}`]));
    }
  }

  #instruction(forms: typeof FORMS): void {
    const { name, form } = this.#r.pick(forms);
    const { text } = sample(this.#r, this.#bits, name, form, this.#labels);
    this.lines.push(this.#r.chance(4) ? `times ${this.#r.below(4)} ${text}` : text);
  }

  #loop(): void {
    const { name, form } = this.#r.pick(LOOPS);
    const label = `.${this.#name}_loop${this.#loops++}`;
    this.lines.push(`${label}:`);
    this.#instruction(OTHERS);
    const short = form.slots[0]?.distance === 'short' ? 'short ' : '';
    const counter = form.slots[1]?.only;
    this.lines.push(`${name.toLowerCase()} ${short}${label}${counter ? `, ${counter}` : ''}`);
  }

  #expression(): string {
    const r = this.#r;
    const [a, b] = [r.pick(this.#labels), r.pick(this.#labels)];
    return r.pick([
      a, `${a}+${r.below(200)}`, `${b}-${a}`, '$', `$-${a}`, '$-$$', `${a}-$$`, String(r.below(65536)), `-${r.below(200)}`,
      `PICK(${r.below(9)}, ${r.below(9)})`, `(${a}-${b})*${r.below(5)}`, `1<<${r.below(31)}`, `${r.below(999)} / ${1 + r.below(9)}`,
      `~${r.below(255)}`, `${r.below(99)} % ${1 + r.below(9)}`, `${r.below(9)} > ${r.below(9)}`,
    ]); // biome-ignore format: a table
  }

  #data(): string {
    const r = this.#r;
    const name = r.pick(['dw', 'dd', 'dq', 'db']);
    const items = Array.from({ length: 1 + r.below(3) }, () =>
      r.chance(30) ? r.pick(STRINGS) : name === 'db' ? String(r.below(256)) : this.#expression(),
    );
    return `${r.chance(20) ? `times ${r.below(5)} ` : ''}${name} ${items.join(', ')}`;
  }

  #special(): void {
    const r = this.#r;
    const word = this.#bits === 16 ? 'ax' : 'eax';
    this.lines.push(
      ...r.pick([
        [`align ${1 << r.below(6)}`],
        [`align ${1 << r.below(5)}, db 0xcc`],
        [`alignb ${1 << r.below(4)}`],
        [`resb ${r.below(20)}`, `resd ${r.below(3)}`],
        [`times ${r.below(200)} db 0x90`],
        [`${this.#name}_equ${this.lines.length} equ ${this.#expression()}`],
        [`save ${word}, cx`, 'pushf'],
        [`spin ${word}, ${r.below(200)}`],
        [`say ${r.pick(STRINGS)}`],
        ['%rep 3', `add ${word}, SERIAL`, '%assign SERIAL SERIAL+1', '%endrep'],
        [`%if SERIAL % 2`, 'inc cx', '%else', 'dec cx', '%endif'],
        [`%ifdef ${this.#name}`, 'hlt', '%elifndef NOWHERE', `%define ${this.#name} 1`, 'cli', '%endif'],
        ['%xdefine STEP SERIAL', 'db STEP & 0xff'],
        [`mov ${word}, ${this.#expression()}`],
        [`mov ${word}, [${r.pick(this.#labels)}-${r.pick(this.#labels)}+bx]`.replace('bx', this.#bits === 16 ? 'bx' : 'ebx')],
      ]),
    ); // biome-ignore format: a table
  }
}

/** One program; labels begin with `name`, so programs can stand in one file. */
export const randomProgram = (r: Random, name: string): string[] =>
  new Program(r, name, 2 + r.below(8)).build(10 + r.below(40));

/** Several programs in one source. */
export function randomBatch(r: Random, count: number): string {
  const programs = Array.from({ length: count }, (_, n) => randomProgram(r, `p${n}`));
  const origin = r.chance(50) ? `org ${r.pick(['0x100', '0x7c00', '0x100000'])}\n` : '';
  return `${origin}${MACROS}${programs.map((lines) => lines.join('\n')).join('\n')}\n`;
}
