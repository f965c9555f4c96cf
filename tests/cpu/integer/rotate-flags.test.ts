import { expect, test } from 'vitest';
import { ESP, FLAG_CF, FLAG_OF, FLAG_ZF } from '../../../src/base/registers.ts';
import { Processor } from '../processor.ts';

const ROL_1 = [0xc1, 0xc0, 1]; // rol eax, 1: 8000_0001h becomes 3, CF = 1, OF = 1
const ROR_4 = [0xc1, 0xc8, 4]; // ror eax, 4: 8000_0001h becomes 1800_0000h, CF = 0

/** Runs code as one block with EAX = 8000_0001h and ZF set. */
function after(...code: number[]): Processor {
  const p = new Processor();
  p.set({ eax: 0x8000_0001, ebx: 0, ecx: 0 });
  p.load(0x39, 0xc0, ...code); // cmp eax, eax
  expect(p.run(1000)).toBe('halted');
  return p;
}

const flags = (p: Processor): number => p.cpu.getFlags() & (FLAG_CF | FLAG_ZF | FLAG_OF);

test('a rotate sets CF and OF and leaves ZF, whoever looks at them', () => {
  expect(flags(after(...ROL_1, 0x89, 0xc3))).toBe(FLAG_CF | FLAG_ZF | FLAG_OF); // mov ebx, eax
  expect(after(...ROL_1, 0x83, 0xd3, 0).get('ebx')).toBe(1); // adc ebx, 0
  expect(flags(after(...ROL_1, 0x43))).toBe(FLAG_CF); // inc ebx leaves CF
  expect(flags(after(0xf9, ...ROR_4, 0x43))).toBe(0); // stc; ror; inc ebx
  expect(flags(after(...ROL_1, 0xd3, 0xe3))).toBe(FLAG_CF | FLAG_ZF | FLAG_OF); // shl ebx, cl: a count of 0 leaves them
  expect(after(...ROL_1, 0x0f, 0x92, 0xc3, 0x31, 0xc0).get('ebx')).toBe(1); // setc bl; xor eax, eax
});

test('where an instruction follows that sets all flags, they are those of that instruction', () => {
  const xor = after(...ROL_1, 0x31, 0xc3); // xor ebx, eax
  expect([xor.get('eax'), xor.get('ebx'), flags(xor)]).toEqual([3, 3, 0]);
  const add = after(...ROR_4, 0x01, 0xc3); // add ebx, eax
  expect([add.get('eax'), add.get('ebx'), flags(add)]).toEqual([0x1800_0000, 0x1800_0000, 0]);
});

test('an instruction that faults has hidden no flags', () => {
  const p = after(...ROL_1, 0x90, 0xf7, 0xf1); // nop; div ecx: #DE
  expect(p.memory.read32(p.S[ESP] + 8) & FLAG_CF).toBe(FLAG_CF); // EFLAGS as pushed
  const q = after(...ROL_1, 0x03, 0x05, 0, 0, 0xf0, 0xff); // add eax, [FFF0_0000h], which is no RAM: all ones
  expect([q.get('eax'), flags(q)]).toEqual([2, FLAG_CF]);
});
