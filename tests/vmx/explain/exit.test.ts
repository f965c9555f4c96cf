/** Exits in words: values by hand from the tables of the manual's chapter on VM exits. */
import { expect, test } from 'vitest';
import { eptModel } from '../../../src/cpu/model.ts';
import { modelCapabilities, vmxCapabilities } from '../../../src/vmx/capabilities.ts';
import { EXIT } from '../../../src/vmx/exit-reasons.ts';
import { explainExit } from '../../../src/vmx/explain/exit.ts';
import { imageOfObject } from '../../../src/vmx/explain/image.ts';
import { instructionInfoText } from '../../../src/vmx/explain/instruction-info.ts';

const explain = (fields: Record<string, number | string>) => explainExit(imageOfObject(fields, vmxCapabilities()));

test('a page fault: error code and address', () => {
  const explained = explain({
    EXIT_REASON: 0,
    EXIT_QUALIFICATION: '0xc0001234',
    VM_EXIT_INTERRUPTION_INFORMATION: '0x80000b0e',
    VM_EXIT_INTERRUPTION_ERROR_CODE: 6,
    GUEST_RIP: 0x1000,
  });
  expect(explained.text).toEqual([
    'VM exit, reason 0: exception or NMI',
    '  qualification C000_1234h: linear address C000_1234h, user write, page not present',
    '  event: hardware exception 14, error code 0006h',
    '  at EIP 0000_1000h',
  ]);
});

test('a debug exception: conditions', () => {
  const info = { EXIT_REASON: 0, VM_EXIT_INTERRUPTION_INFORMATION: '0x80000301' };
  expect(explain({ ...info, EXIT_QUALIFICATION: 0x4002 }).qualification.text).toBe('breakpoint 1, single step (BS)');
});

test('REP OUTSB: port, segment, linear address', () => {
  const explained = explain({
    EXIT_REASON: 30,
    EXIT_QUALIFICATION: '0x03f80030',
    VM_EXIT_INSTRUCTION_INFORMATION: '0x00018080',
    GUEST_LINEAR_ADDRESS: 0x5000,
    VM_EXIT_INSTRUCTION_LENGTH: 2,
  });
  expect(explained).toMatchObject({ guestLinear: 0x5000, length: 2, instruction: '32-bit address, segment DS' });
});

test('an EPT violation during the delivery of an interrupt', () => {
  const explained = explain({
    EXIT_REASON: 48,
    EXIT_QUALIFICATION: 0x182,
    GUEST_PHYSICAL_ADDRESS: 0x4108,
    GUEST_LINEAR_ADDRESS: 0x4108,
    IDT_VECTORING_INFORMATION: '0x80000021',
  });
  expect(explained).toMatchObject({
    name: 'EPT_VIOLATION',
    guestPhysical: 0x4108,
    vectoring: 'external interrupt 33',
    length: null,
    entryFailed: false,
  });
});

test('an EPT violation tells what the guest allows, on processors that record it', () => {
  const fields = { EXIT_REASON: 48, EXIT_QUALIFICATION: 0x182 };
  expect(explain(fields).qualification.text).toBe(
    'write, EPT allows ---, final address of a supervisor page, read-only',
  );
  const older = explainExit(imageOfObject(fields, modelCapabilities(eptModel)));
  expect(older.qualification.text).toBe('write, EPT allows ---, final address');
});

test('a failed entry', () => {
  const explained = explain({ EXIT_REASON: '0x80000021', EXIT_QUALIFICATION: 4 });
  expect(explained.text).toEqual([
    'failed VM entry, reason 33: VM-entry failure due to invalid guest state',
    '  qualification 0000_0004h: VMCS link pointer',
    '  at EIP 0000_0000h',
  ]);
});

test.each([
  // base EBX, index ESI scaled by 4, DS, 32-bit address
  [
    EXIT.VMPTRLD,
    (3 << 23) | (6 << 18) | (3 << 15) | (1 << 7) | 2,
    'memory DS:[EBX + ESI*4 + displacement], 32-bit address',
  ],
  // no base, no index, ES, 16-bit address
  [EXIT.VMXON, (1 << 27) | (1 << 22), 'memory ES:[displacement], 16-bit address'],
  [EXIT.VMREAD, (1 << 10) | (3 << 3) | (1 << 28), 'field encoding in ECX, to EBX'],
  [EXIT.VMWRITE, (1 << 10) | (2 << 3), 'field encoding in EAX, from EDX'],
  [
    EXIT.GDTR_OR_IDTR,
    (3 << 28) | (1 << 27) | (1 << 22) | (1 << 11) | (3 << 15) | (1 << 7),
    'LIDT, memory DS:[displacement], 32-bit address, 32-bit operand',
  ],
  [EXIT.LDTR_OR_TR, (3 << 28) | (1 << 10), 'LTR, EAX'],
  [EXIT.HLT, 0x123, ''],
])('instruction information of reason %i, %i', (reason, info, text) => {
  expect(instructionInfoText(reason, info)).toBe(text);
});
