import { expect, test } from 'vitest';
import { REGISTER_FILE_WORDS, SYSENTER_EIP } from '../../../src/base/registers.ts';
import {
  cpuid,
  cr4Mask,
  defaultModel,
  type Feature,
  type ProcessorModel,
  plainModel,
  processorModel,
} from '../../../src/cpu/model.ts';
import { type MsrOwner, readMsr, restoreMsrs, saveMsrs, tscHalves, writeMsr } from '../../../src/cpu/msr.ts';

const text = (...words: number[]): string =>
  String.fromCharCode(...new Uint8Array(Int32Array.from(words).buffer)).replace(/\0.*/, '');

const owner = (now = 0, model: ProcessorModel = defaultModel): MsrOwner => ({
  S: new Int32Array(REGISTER_FILE_WORDS),
  model,
  monitor: null,
  mmu: { selectContext: () => {} },
  msrs: new Map(),
  tscOffset: 0,
  now: () => now,
});

test('CPUID leaf 0 spells the vendor in EBX, EDX, ECX', () => {
  const r = cpuid(defaultModel, 0, 0);
  expect(text(r.ebx, r.edx, r.ecx)).toBe('GenuineIntel');
  expect(r.eax).toBe(0xa);
  expect(cpuid(plainModel, 0, 0).eax).toBe(1);
});

test('CPUID leaf 1 shows family 6 and exactly the features that exist', () => {
  const r = cpuid(defaultModel, 1, 0);
  expect(r.eax).toBe(0x619);
  // DE 2, PSE 3, TSC 4, MSR 5, PAE 6, CX8 8, SEP 11, PGE 13, CMOV 15, PAT 16 (SDM Vol. 2, "Feature Information Returned in the EDX Register")
  expect(r.edx).toBe(0x0001_a97c);
  expect(r.ecx).toBe(0x20);
  expect(cpuid(plainModel, 1, 0).ecx).toBe(0);
});

test('CPUID leaf 8000_0008h holds the address widths, and leaves that are too high yield the highest basic leaf', () => {
  expect(cpuid(defaultModel, 0x8000_0008 | 0, 0).eax).toBe(0x2024);
  expect(cpuid(plainModel, 7, 0)).toEqual(cpuid(plainModel, 1, 0));
  expect(cpuid(plainModel, 0x8000_0009 | 0, 0)).toEqual(cpuid(plainModel, 1, 0));
});

test('CPUID leaf 0Ah: version 2, two counters of 40 bits, and none of the seven architectural events', () => {
  expect(cpuid(defaultModel, 0xa, 0)).toEqual({ eax: 0x0728_0202, ebx: 0x7f, ecx: 0, edx: 0 });
});

test('RDTSCP is claimed by leaf 8000_0001h of the models that have it', () => {
  expect(cpuid(defaultModel, 0x8000_0001 | 0, 0).edx & (1 << 27)).not.toBe(0);
  expect(cpuid(processorModel('p6-vmx-first'), 0x8000_0001 | 0, 0).edx & (1 << 27)).toBe(0);
});

test('IA32_PAT takes the memory types that there are', () => {
  const cpu = owner();
  expect(readMsr(cpu, 0x277)).toEqual({ lo: 0x0007_0406, hi: 0x0007_0406 });
  expect(writeMsr(cpu, 0x277, 0x0001_0406, 0x0504_0706)).toBe(true);
  expect(writeMsr(cpu, 0x277, 0x0002_0406, 0)).toBe(false);
  expect(writeMsr(cpu, 0x277, 6, 0x0300_0000)).toBe(false);
  expect(writeMsr(cpu, 0x277, 8, 0)).toBe(false);
  expect(readMsr(owner(0, plainModel), 0x277)).toBeNull();
});

test('SMEP and SMAP show in leaf 7, sub-leaf 0, NX in leaf 8000_0001h', () => {
  expect(cpuid(defaultModel, 7, 0)).toEqual({ eax: 0, ebx: (1 << 7) | (1 << 20), ecx: 0, edx: 0 });
  expect(cpuid(defaultModel, 7, 1).ebx).toBe(0);
  expect(cpuid(defaultModel, 0x8000_0001 | 0, 5).edx & (1 << 20)).toBe(1 << 20);
  expect(cpuid(plainModel, 0x8000_0001 | 0, 0).edx).toBe(0);
});

test('IA32_EFER holds NXE and nothing else, and only with NX', () => {
  const cpu = owner();
  expect(readMsr(cpu, 0xc000_0080)).toEqual({ lo: 0, hi: 0 });
  for (const [lo, hi] of [
    [1, 0],
    [0x100, 0],
    [0x400, 0],
    [0x801, 0],
    [0x800, 1],
  ] as const)
    expect(writeMsr(cpu, 0xc000_0080, lo, hi)).toBe(false);
  expect(writeMsr(cpu, 0xc000_0080, 0x800, 0)).toBe(true);
  expect(readMsr(cpu, 0xc000_0080)).toEqual({ lo: 0x800, hi: 0 });
  const plain = owner(0, plainModel);
  expect(readMsr(plain, 0xc000_0080)).toBeNull();
  expect(writeMsr(plain, 0xc000_0080, 0, 0)).toBe(false);
});

test('the brand string is ringlet', () => {
  const r = cpuid(defaultModel, 0x8000_0002 | 0, 0);
  expect(text(r.eax, r.ebx, r.ecx, r.edx)).toBe('ringlet');
});

test('CR4 bits follow from the features', () => {
  expect(cr4Mask(defaultModel)).toBe(0x30_21bc); // TSD DE PSE PAE PGE PCE VMXE SMEP SMAP
  expect(cr4Mask(plainModel)).toBe(0x01bc);
});

test('a model that does not exist is refused with the names of those that do', () => {
  expect(() => processorModel('z80')).toThrow(
    "no processor model 'z80'; there are: p6-vmx, p6-vmx-first, p6-vmx-ept, p6-vmx-pml, p6",
  );
});

test('the time-stamp counter counts from what was written, whose high half is dropped', () => {
  const cpu = owner(1000);
  expect(writeMsr(cpu, 0x10, 0x8000_0000 | 0, 0x77)).toBe(true);
  expect(readMsr({ ...cpu, now: () => 1005 }, 0x10)).toEqual({ lo: 0x8000_0005 | 0, hi: 0 });
});

test('a time-stamp counter that an offset made negative wraps modulo 2^64', () => {
  expect(tscHalves(-1)).toEqual({ lo: -1, hi: -1 });
  expect(tscHalves(0x1_0000_0000 * 5 + 7)).toEqual({ lo: 7, hi: 5 });
});

test('registers that the model does not have, and bits that a register does not have, are refused', () => {
  const cpu = owner();
  expect(readMsr(owner(0, plainModel), 0x174)).toBeNull();
  expect(writeMsr(owner(0, plainModel), 0x174, 1, 0)).toBe(false);
  expect(readMsr(cpu, 0x12345)).toBeNull();
  expect(writeMsr(cpu, 0x8b, 1, 0)).toBe(false);
  expect(writeMsr(cpu, 0x8b, 0, 0)).toBe(true);
});

test('SYSENTER registers stand in the register file where the model has them', () => {
  const cpu = owner(0, { ...defaultModel, features: new Set<Feature>(['SEP']) });
  expect(writeMsr(cpu, 0x176, 0x1234, 0)).toBe(true);
  expect(cpu.S[SYSENTER_EIP]).toBe(0x1234);
  expect(readMsr(cpu, 0x176)).toEqual({ lo: 0x1234, hi: 0 });
});

test('saved registers come back, and damaged state is refused', () => {
  const all = { lo: -1, hi: -1 };
  const model = { ...defaultModel, msrs: [{ index: 0x277, name: 'IA32_PAT', reset: { lo: 6, hi: 7 }, writable: all }] };
  const cpu = owner(0, model);
  expect(readMsr(cpu, 0x277)).toEqual({ lo: 6, hi: 7 });
  writeMsr(cpu, 0x277, 5, 0x0706_0504);
  const state = JSON.parse(JSON.stringify(saveMsrs(cpu)));
  const other = owner(0, model);
  restoreMsrs(other, state);
  expect(readMsr(other, 0x277)).toEqual({ lo: 5, hi: 0x0706_0504 });
  expect(() => restoreMsrs(other, [{ index: 0x277, lo: 0.5, hi: 0 }])).toThrow('msrs[0].lo');
  expect(() => restoreMsrs(other, [{ index: 0x276, lo: 0, hi: 0 }])).toThrow('has no register 276h');
});
