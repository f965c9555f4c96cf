/** A block goes on behind instructions that the loop leaves to handlers, and must not where they have changed what it rests on. */

import { describe, expect, test } from 'vitest';
import { assemble } from '../../src/asm/index.ts';
import { CS, DS, EIP, SEG_BASE, SEG_LIMIT } from '../../src/base/registers.ts';
import { Machine } from '../../src/machine/machine.ts';

function started(source: string): Machine {
  const machine = new Machine({ memory: 4 << 20, contexts: 3 });
  machine.load(assemble(`bits 32\norg 100000h\nmov esp, 80000h\n${source}`).bytes);
  return machine;
}

const TABLES = `
gdt: dq 0, 00cf9b000000ffffh, 00cf93000000ffffh
     dw 0ffffh, 1000h, 9300h, 004fh  ; base 1000h, limit fffffh
gdtr: dw 31
      dd gdt
`;

describe('behind a handler', () => {
  test('the bytes that a string instruction wrote are executed', () => {
    const machine = started(`
      mov edi, here
      mov al, 43h             ; INC EBX
      mov ecx, 3
      xor ebx, ebx
      rep stosb
here: nop
      nop
      nop
      cli
      hlt`);
    machine.run();
    expect(machine.registers.ebx).toBe(3);
  });

  test('a data segment that is no longer flat counts', () => {
    const machine = started(`
      lgdt [gdtr]
      mov dword [2000h], 1
      mov dword [3000h], 2
      mov eax, 18h
      mov ds, eax
      mov ebx, [2000h]
      mov eax, 10h
      mov ds, eax
      mov ecx, [2000h]
      push 18h
      pop ds
      mov edx, [2000h]
      cli
      hlt
      ${TABLES}`);
    machine.run();
    expect(machine.cpu.S[SEG_BASE + DS]).toBe(0x1000);
    expect([machine.registers.ebx, machine.registers.ecx, machine.registers.edx]).toEqual([2, 1, 2]);
  });

  test('a page of code that another took the place of is fetched anew', () => {
    // Two tables map the page of the code: to itself, and to a copy whose second half says something else.
    const machine = started(`
      mov edi, 200000h
      mov ecx, 4096
      xor eax, eax
      rep stosd
      mov dword [200000h], 201003h
      mov dword [203000h], 202003h
      mov edi, 201000h
      mov eax, 3
l:    stosd
      add eax, 1000h
      cmp eax, 400003h
      jb l
      mov esi, 201000h
      mov edi, 202000h
      mov ecx, 1024
      rep movsd
      mov dword [202400h], 110003h
      mov esi, 100000h
      mov edi, 110000h
      mov ecx, 1024
      rep movsd
      mov byte [here - 100000h + 110000h], 4bh   ; DEC EBX
      mov eax, 200000h
      mov cr3, eax
      mov eax, cr0
      or eax, 80000000h
      mov cr0, eax
      mov eax, 203000h
      xor ebx, ebx
      mov cr3, eax
here: inc ebx
      cli
      hlt`);
    machine.run();
    expect(machine.registers.ebx | 0).toBe(-1);
  });

  test('every budget is exact', () => {
    const source = `
      lgdt [gdtr]
      mov eax, 10h
      mov ds, eax
again: cpuid
      push ds
      pop ds
      cli
      inc esi
      pushfd
      popfd
      mov eax, cr0
      cld
      lodsb
      sub esi, 1
      jmp again
      ${TABLES}`;
    const whole = started(source);
    const places: number[] = [];
    for (let n = 0; n < 60; n++) {
      whole.step();
      places.push(whole.cpu.S[EIP]);
    }
    for (let n = 1; n <= 60; n++) {
      const machine = started(source);
      machine.run({ maxInstructions: n });
      expect([machine.instructions, machine.cpu.S[EIP]]).toEqual([n, places[n - 1]]);
    }
  });

  test('the limit of CS is held against each instruction', () => {
    const machine = started('pushfd\npushfd\nnop\npushfd\nnop\nnop\nhlt');
    machine.cpu.S[SEG_LIMIT + CS] = 0x10_0009;
    machine.cpu.segmentsChanged();
    expect(machine.run().kind).toBe('triple-fault');
    expect(machine.cpu.S[EIP] >>> 0).toBe(0x10_000a);
  });
});
