/** Checks on guest control registers, descriptor-table registers, RIP and RFLAGS (SDM Vol. 3, "Checks on the Guest State Area").
 *
 *  Rules without a row, because the fields have 32 bits on a processor without Intel 64: canonical addresses, upper halves of
 *  CR3, DR7, RIP and bases, IA-32e mode. */
import { CR0_PE, CR0_PG, FLAG_IF, FLAG_VM } from '../../base/registers.ts';
import { INTERRUPTION_TYPE, SECONDARY, VM_ENTRY } from '../controls.ts';
import * as F from '../fields.ts';
import { bitList, check, type EntryCheck, type EntryView, SECONDARY_FIELDS } from './check.ts';
import { efer, pat, performanceControl } from './msr-fields.ts';

const CONTROL = 'Checks on Guest Control Registers, Debug Registers, and MSRs';
const TABLES = 'Checks on Guest Descriptor-Table Registers';
const FLAGS = 'Checks on Guest RIP, RFLAGS, and SSP';

const badCr0 = (v: EntryView) => {
  const free = v.secondary(SECONDARY.UNRESTRICTED_GUEST) ? CR0_PE | CR0_PG : 0;
  const { cr0Fixed0, cr0Fixed1 } = v.capabilities;
  return (cr0Fixed0 & ~free & ~v.low(F.GUEST_CR0)) | (v.low(F.GUEST_CR0) & ~cr0Fixed1);
};
const missingCr4 = (v: EntryView) => v.capabilities.cr4Fixed0 & ~v.low(F.GUEST_CR4);
const excessCr4 = (v: EntryView) => v.low(F.GUEST_CR4) & ~v.capabilities.cr4Fixed1;
const excessDebugctl = (v: EntryView) => v.low(F.GUEST_IA32_DEBUGCTL) & ~v.capabilities.debugctl;

export const guestControlRegisters: readonly EntryCheck[] = [
  check(
    'guest.cr0.fixed',
    CONTROL,
    [F.GUEST_CR0, ...SECONDARY_FIELDS],
    (v) => badCr0(v) === 0,
    (v) => `${bitList(badCr0(v))} must be 1 in VMX operation`,
  ),
  check(
    'guest.cr0.pg-pe',
    CONTROL,
    [F.GUEST_CR0],
    (v) => (v.low(F.GUEST_CR0) & CR0_PG) === 0 || (v.low(F.GUEST_CR0) & CR0_PE) !== 0,
    'bit 31 (PG) needs bit 0 (PE)',
  ),
  check(
    'guest.cr4.must-be-one',
    CONTROL,
    [F.GUEST_CR4],
    (v) => missingCr4(v) === 0,
    (v) => `${bitList(missingCr4(v))} must be 1 in VMX operation`,
  ),
  check(
    'guest.cr4.must-be-zero',
    CONTROL,
    [F.GUEST_CR4],
    (v) => excessCr4(v) === 0,
    (v) => `${bitList(excessCr4(v))} must be 0: this processor does not have the feature`,
  ),
  check(
    'guest.debugctl.reserved',
    CONTROL,
    [F.GUEST_IA32_DEBUGCTL, F.VM_ENTRY_CONTROLS],
    (v) => !v.entry(VM_ENTRY.LOAD_DEBUG_CONTROLS) || (excessDebugctl(v) === 0 && v.high(F.GUEST_IA32_DEBUGCTL) === 0),
    "with 'load debug controls' bits that IA32_DEBUGCTL does not have must be 0",
  ),
  ...performanceControl('guest', CONTROL, F.GUEST_IA32_PERF_GLOBAL_CTRL, F.VM_ENTRY_CONTROLS, (v) =>
    v.entry(VM_ENTRY.LOAD_IA32_PERF_GLOBAL_CTRL),
  ),
  ...pat('guest', CONTROL, F.GUEST_IA32_PAT, F.VM_ENTRY_CONTROLS, (v) => v.entry(VM_ENTRY.LOAD_IA32_PAT)),
  ...efer('guest', CONTROL, F.GUEST_IA32_EFER, F.VM_ENTRY_CONTROLS, (v) => v.entry(VM_ENTRY.LOAD_IA32_EFER)),
];

const tableLimit = (name: string, field: number): EntryCheck =>
  check(`guest.${name}.limit`, TABLES, [field], (v) => v.low(field) >>> 16 === 0, 'bits 31:16 must be 0');

export const guestDescriptorTables: readonly EntryCheck[] = [
  tableLimit('gdtr', F.GUEST_GDTR_LIMIT),
  tableLimit('idtr', F.GUEST_IDTR_LIMIT),
];

/** Bits 31:22, 15, 5 and 3. */
const RFLAGS_RESERVED = 0xffc0_8028 | 0;

export const guestFlags: readonly EntryCheck[] = [
  check(
    'guest.rflags.reserved',
    FLAGS,
    [F.GUEST_RFLAGS],
    (v) => (v.low(F.GUEST_RFLAGS) & RFLAGS_RESERVED) === 0,
    (v) => `${bitList(v.low(F.GUEST_RFLAGS) & RFLAGS_RESERVED)} must be 0`,
  ),
  check('guest.rflags.bit-1', FLAGS, [F.GUEST_RFLAGS], (v) => (v.low(F.GUEST_RFLAGS) & 2) !== 0, 'bit 1 must be 1'),
  check(
    'guest.rflags.vm-pe',
    FLAGS,
    [F.GUEST_RFLAGS, F.GUEST_CR0],
    (v) => (v.low(F.GUEST_RFLAGS) & FLAG_VM) === 0 || (v.low(F.GUEST_CR0) & CR0_PE) !== 0,
    'bit 17 (VM) needs CR0.PE',
  ),
  check(
    'guest.rflags.if-injection',
    FLAGS,
    [F.GUEST_RFLAGS, F.VM_ENTRY_INTERRUPTION_INFORMATION],
    (v) =>
      !v.injects || v.injectedType !== INTERRUPTION_TYPE.EXTERNAL_INTERRUPT || (v.low(F.GUEST_RFLAGS) & FLAG_IF) !== 0,
    'bit 9 (IF) must be 1 when an external interrupt is injected',
  ),
];
