import { expect, test } from 'vitest';
import { controlNames, PRIMARY } from '../../src/vmx/controls.ts';
import { EXIT, exitReasonName, exitReasonText, vmErrorText } from '../../src/vmx/exit-reasons.ts';
import { decodeQualification, interruptionText } from '../../src/vmx/qualification.ts';

// Qualifications by hand from the tables of the manual.
test.each([
  [EXIT.TASK_SWITCH, 0x8000_0028, 'to 0028h by JMP'],
  [EXIT.TASK_SWITCH, 0x4000_0010, 'to 0010h by IRET'],
  [EXIT.CR_ACCESS, 0x0000_0300, 'MOV CR0, EBX'],
  [EXIT.CR_ACCESS, 0x0000_0713, 'MOV EDI, CR3'],
  [EXIT.CR_ACCESS, 0x0000_0020, 'CLTS'],
  [EXIT.CR_ACCESS, 0xbeef_0070, 'LMSW BEEFh from memory'],
  [EXIT.MOV_DR, 0x0000_0107, 'MOV DR7, ECX'],
  [EXIT.IO_INSTRUCTION, 0x03f8_0000, 'OUT 8 bits, port 03F8h'],
  [EXIT.IO_INSTRUCTION, 0x01f0_0039, 'REP INS 16 bits, port 01F0h'],
  [EXIT.EPT_VIOLATION, 0x0000_0184, 'fetch, EPT allows ---, final address'],
  [EXIT.EPT_VIOLATION, 0x0000_0382, 'write, EPT allows ---, final address of a user page, read-only'],
  [
    EXIT.EPT_VIOLATION,
    0x0000_0da9,
    'read, EPT allows R-X, final address of a supervisor page, writable, execute-disable',
  ],
  [EXIT.EPT_VIOLATION, 0x0000_0e81, 'read, EPT allows ---, guest paging structure'],
  [EXIT.EPT_VIOLATION, 0x0000_008b, 'read write, EPT allows R--, guest paging structure'],
  [EXIT.INVLPG, 0xc000_1000 | 0, 'linear address C000_1000h'],
  [EXIT.HLT, 0, ''],
  [0x8000_0021, 4, 'VMCS link pointer'],
  [0x8000_0022, 3, 'entry 3 of the MSR-load area'],
])('reason %i, qualification %i', (reason, qualification, text) => {
  expect(decodeQualification(reason, qualification).text).toBe(text);
});

test('the parts of an I/O qualification are there by name', () => {
  expect(decodeQualification(EXIT.IO_INSTRUCTION, 0x0060_004b).parts).toEqual({
    size: 4,
    input: true,
    string: false,
    rep: false,
    immediate: true,
    port: 0x60,
  });
});

test('every exit reason has a text and a name', () => {
  for (const [name, reason] of Object.entries(EXIT)) {
    expect(exitReasonText(reason)).not.toMatch(/^exit reason/);
    expect(exitReasonName(reason)).toBe(name);
  }
  expect(exitReasonText(0x8000_0021)).toBe('VM-entry failure due to invalid guest state');
  expect(exitReasonText(35)).toBe('exit reason 35');
});

test('events, controls and errors in words', () => {
  expect(interruptionText(0x8000_0b0e, 2)).toBe('hardware exception 14, error code 0002h');
  expect(interruptionText(0x0000_0b0e, 2)).toBe('');
  expect(controlNames(PRIMARY, (PRIMARY.HLT_EXITING | PRIMARY.ACTIVATE_SECONDARY_CONTROLS | 2) >>> 0)).toEqual([
    'bit 1',
    'HLT_EXITING',
    'ACTIVATE_SECONDARY_CONTROLS',
  ]);
  expect(vmErrorText(7)).toBe('VM entry with invalid control field(s)');
});
