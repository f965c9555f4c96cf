import { expect, test } from 'vitest';
import { CPL, CR0, CR2, CR4, EFLAGS, EIP, INTERRUPTIBILITY } from '../../../src/base/registers.ts';
import { CODE, DATA, HANDLERS, Processor } from '../processor.ts';

const UD = 6;
const GP = 13;
const IF = 0x200;
const RDTSC = [0x0f, 0x31];
const MOV_CR0_EAX = [0x0f, 0x22, 0xc0];
const MOV_CR4_EAX = [0x0f, 0x22, 0xe0];

test('CPUID fills four registers', () => {
  const p = new Processor();
  p.set({ eax: 0, ecx: 0 });
  p.execute1(0x0f, 0xa2);
  expect([p.get('ebx'), p.get('edx'), p.get('ecx')]).toEqual([0x756e_6547, 0x4965_6e69, 0x6c65_746e]);
});

test('RDTSC counts retired instructions', () => {
  const p = new Processor();
  p.execute1(...RDTSC, 0x89, 0xc3, 0x90, ...RDTSC); // rdtsc; mov ebx, eax; nop; rdtsc
  expect(p.get('eax') - p.get('ebx')).toBe(3);
});

test('RDTSC is refused in ring 3 while CR4.TSD is set', () => {
  const p = new Processor();
  p.enterRing3();
  expect(p.execute1(...RDTSC)).toBe(GP); // the HLT behind it
  expect(p.S[EIP]).toBe(HANDLERS + GP + 1);
  p.S[CR4] = 4;
  p.enterRing3();
  expect(p.memory.read32(p.S[4] + 4)).toBe(CODE + 2); // it was the HLT that faulted
  expect(p.execute1(...RDTSC)).toBe(GP);
  expect(p.memory.read32(p.S[4] + 4)).toBe(CODE); // now it is RDTSC
});

test('writing the time-stamp counter sets it', () => {
  const p = new Processor();
  p.set({ ecx: 0x10, eax: 5000, edx: 1 });
  p.execute1(0x0f, 0x30, ...RDTSC); // wrmsr; rdtsc
  expect([p.get('eax'), p.get('edx')]).toEqual([5001, 0]);
});

test('an MSR that does not exist raises #GP(0)', () => {
  const p = new Processor();
  p.set({ ecx: 0xc000_0081 | 0 });
  expect(p.execute1(0x0f, 0x32)).toBe(GP);
  expect(p.execute1(0x0f, 0x30)).toBe(GP);
});

test('privileged instructions raise #GP(0) in ring 3', () => {
  const privileged = [
    [0xf4],
    [0x0f, 0x06],
    [0x0f, 0x08],
    [0x0f, 0x09],
    [0x0f, 0x20, 0xc0],
    [0x0f, 0x22, 0xd8],
    [0x0f, 0x01, 0xf0],
    [0x0f, 0x01, 0x38],
    [0x0f, 0x30],
    [0x0f, 0x32],
    [0xfa],
    [0xfb],
  ];
  for (const code of privileged) {
    const p = new Processor();
    p.set({ eax: DATA });
    p.enterRing3();
    p.load(0x90, ...code);
    expect(p.execute1(0x90, ...code)).toBe(GP);
    expect(p.memory.read32(p.S[4] + 4)).toBe(CODE + 1);
    expect(p.errorCode).toBe(0);
  }
});

test('MOV to CR0 refuses paging without protection and NW without CD, and ignores bits that do not exist', () => {
  const p = new Processor();
  p.set({ eax: 0x8000_0010 | 0 });
  expect(p.execute1(...MOV_CR0_EAX)).toBe(GP);
  p.set({ eax: 0x2000_0011 });
  expect(p.execute1(...MOV_CR0_EAX)).toBe(GP);
  p.set({ eax: 0x7ff0_ff01 & ~0x2000_0000 });
  expect(p.execute1(...MOV_CR0_EAX)).toBeNull();
  expect(p.S[CR0]).toBe(0x4000_0011); // ET is always 1
});

test('MOV to CR4 refuses bits that the model does not have', () => {
  const p = new Processor();
  p.set({ eax: 0x90 });
  expect(p.execute1(...MOV_CR4_EAX)).toBeNull();
  expect(p.S[CR4]).toBe(0x90);
  for (const bit of [1, 2, 0x40, 0x200, 0x40_0000]) {
    p.set({ eax: bit });
    expect(p.execute1(...MOV_CR4_EAX)).toBe(GP);
  }
});

test('a control register that does not exist raises #UD', () => {
  const p = new Processor();
  expect(p.execute1(0x0f, 0x20, 0xc8)).toBe(UD); // mov eax, cr1
  expect(p.execute1(0x0f, 0x22, 0xe8)).toBe(UD); // mov cr5, eax
});

test('CR2 holds what was written', () => {
  const p = new Processor();
  p.set({ eax: 0x1234_5678 });
  p.execute1(0x0f, 0x22, 0xd0, 0x0f, 0x20, 0xd3);
  expect([p.S[CR2], p.get('ebx')]).toEqual([0x1234_5678, 0x1234_5678]);
});

test('LMSW sets the low bits but never clears PE; CLTS clears TS; SMSW shows them', () => {
  const p = new Processor();
  p.set({ eax: 0xfffe });
  p.execute1(0x0f, 0x01, 0xf0); // lmsw ax
  expect(p.S[CR0]).toBe(0x1f);
  p.set({ ebx: -1 });
  p.execute1(0x66, 0x0f, 0x01, 0xe3); // smsw bx
  expect(p.get('ebx')).toBe(0xffff_001f);
  p.execute1(0x0f, 0x06); // clts
  expect(p.S[CR0]).toBe(0x17);
});

test('STI lets interrupts in only after the next instruction', () => {
  const p = new Processor();
  p.load(0xfb, 0x90, 0x90); // sti; nop; nop
  expect(p.run(1)).toBe('budget');
  expect(p.S[INTERRUPTIBILITY] & 1).toBe(1);
  p.run(1);
  expect(p.S[INTERRUPTIBILITY] & 1).toBe(0);
});

test('a pending interrupt arrives after the instruction that follows STI', () => {
  const p = new Processor();
  p.cpu.setInterruptLine(true); // the controller answers with vector 0
  p.load(0xfb, 0x40, 0x40); // sti; inc eax; inc eax
  p.run(10);
  expect(p.get('eax')).toBe(1);
  expect(p.S[EIP]).toBe(HANDLERS + 1);
});

test('POPF in ring 3 changes IF only up to IOPL, and IOPL never', () => {
  const everything = [0x68, 0xd5, 0x7e, 0x04, 0x00, 0x9d]; // push dword 47ed5h (not TF); popfd
  const p = new Processor();
  p.enterRing3(0);
  p.execute1(...everything);
  expect(p.memory.read32(p.S[4] + 12) & 0x4_7fd5).toBe(0x4_4cd5);
  const q = new Processor();
  q.enterRing3(3);
  q.execute1(...everything);
  expect(q.memory.read32(q.S[4] + 12) & 0x4_7fd5).toBe(0x4_7ed5);
});

test('POPF in ring 0 sets everything that exists', () => {
  const p = new Processor();
  p.execute1(0x6a, 0xff, 0x81, 0x24, 0x24, 0xff, 0xfe, 0xff, 0xff, 0x9d); // push −1; and dword [esp], ~100h; popfd
  expect(p.S[EFLAGS]).toBe(0x24_7ed7);
});

test('16-bit POPF leaves the upper flags alone', () => {
  const p = new Processor();
  p.cpu.setFlags(0x24_0002);
  p.execute1(0x66, 0x68, 0x00, 0x02, 0x66, 0x9d); // push word 200h; popf
  expect(p.S[EFLAGS]).toBe(0x24_0202);
  expect(p.S[EFLAGS] & IF).toBe(IF);
});

test('ports in ring 3 need IOPL or a clear bit for each byte in the TSS', () => {
  const ports = (iopl: number, bitmap: number[], ...code: number[]): number => {
    const p = new Processor();
    p.set({ edx: 0x0f });
    p.enterRing3(iopl, bitmap);
    p.execute1(...code); // ends with a fault in any case: HLT behind it
    return p.memory.read32(p.S[4] + 4) - CODE;
  };
  const IN_AL_DX = [0xec];
  const IN_EAX_DX = [0xed];
  expect(ports(3, [], ...IN_AL_DX)).toBe(1);
  expect(ports(0, [], ...IN_AL_DX)).toBe(0);
  expect(ports(0, [0xff, 0x7f, 0xff], ...IN_AL_DX)).toBe(1);
  expect(ports(0, [0xff, 0x7f, 0xff], ...IN_EAX_DX)).toBe(0);
  expect(ports(0, [0xff, 0x7f, 0xf8], ...IN_EAX_DX)).toBe(1);
  expect(ports(0, [0xff, 0x7f], ...IN_AL_DX)).toBe(0); // the byte behind the bit must be within the limit, too
});

test('IN and OUT use the size of the instruction', () => {
  const p = new Processor();
  const log: string[] = [];
  p.cpu.ports.add(0x80, 4, {
    widestAccess: 4,
    read: (_, size) => (size === 4 ? 0x8765_4321 : 0xffff_ff99),
    write: (offset, value, size) => void log.push(`${offset} ${value.toString(16)} ${size}`),
  });
  p.set({ eax: 0x1111_1111, edx: 0x82 });
  p.execute1(0xe4, 0x80); // in al, 80h
  expect(p.get('eax')).toBe(0x1111_1199);
  p.execute1(0xe5, 0x80);
  expect(p.get('eax')).toBe(0x8765_4321);
  p.execute1(0xee, 0x66, 0xef, 0xe7, 0x80); // out dx, al; out dx, ax; out 80h, eax
  expect(log).toEqual(['2 21 1', '2 4321 2', '0 87654321 4']);
});

test('without VMX its instructions do not exist', () => {
  const p = new Processor();
  p.cpu.monitor = null;
  expect(p.execute1(0x0f, 0x01, 0xc1)).toBe(UD); // vmcall
  expect(p.execute1(0xf3, 0x0f, 0xc7, 0x30)).toBe(UD); // vmxon [eax]
});

test('entering protected mode leaves the privilege level at 0', () => {
  const p = new Processor();
  p.realMode({ cs: 0, ss: 0, ds: 0, es: 0 });
  p.set({ eax: 0x11, esp: 0x7000 });
  p.execute1(...MOV_CR0_EAX);
  expect([p.S[CR0], p.S[CPL]]).toEqual([0x11, 0]);
});
