/** Checks on host state (SDM Vol. 3, "Checks on Host Control Registers, MSRs, and SSP" and the two sections that follow).
 *  The first that fails ends the entry with VM-instruction error 8.
 *
 *  Rules about canonical addresses, CR3's width and the address-space size have no row: on a processor without Intel 64
 *  these fields have 32 bits, and the controls 'host address-space size' and 'IA-32e mode guest' must be 0 (reserved bits). */
import { VM_EXIT } from '../controls.ts';
import * as F from '../fields.ts';
import { bitList, check, type EntryCheck, type EntryView } from './check.ts';
import { efer, pat, performanceControl } from './msr-fields.ts';

const REGISTERS = 'Checks on Host Control Registers, MSRs, and SSP';
const SEGMENTS = 'Checks on Host Segment and Descriptor-Table Registers';

const badCr0 = (v: EntryView) =>
  (v.capabilities.cr0Fixed0 & ~v.low(F.HOST_CR0)) | (v.low(F.HOST_CR0) & ~v.capabilities.cr0Fixed1);
const missingCr4 = (v: EntryView) => v.capabilities.cr4Fixed0 & ~v.low(F.HOST_CR4);
const excessCr4 = (v: EntryView) => v.low(F.HOST_CR4) & ~v.capabilities.cr4Fixed1;

const selectors = [
  ['cs', F.HOST_CS_SELECTOR],
  ['ss', F.HOST_SS_SELECTOR],
  ['ds', F.HOST_DS_SELECTOR],
  ['es', F.HOST_ES_SELECTOR],
  ['fs', F.HOST_FS_SELECTOR],
  ['gs', F.HOST_GS_SELECTOR],
  ['tr', F.HOST_TR_SELECTOR],
] as const;

const notNull = (name: string, field: number): EntryCheck =>
  check(`host.${name}.not-null`, SEGMENTS, [field], (v) => v.low(field) !== 0, 'must not be 0');

export const hostState: readonly EntryCheck[] = [
  check(
    'host.cr0.fixed',
    REGISTERS,
    [F.HOST_CR0],
    (v) => badCr0(v) === 0,
    (v) => `${bitList(badCr0(v))} must be 1 in VMX operation`,
  ),
  check(
    'host.cr4.must-be-one',
    REGISTERS,
    [F.HOST_CR4],
    (v) => missingCr4(v) === 0,
    (v) => `${bitList(missingCr4(v))} must be 1 in VMX operation`,
  ),
  check(
    'host.cr4.must-be-zero',
    REGISTERS,
    [F.HOST_CR4],
    (v) => excessCr4(v) === 0,
    (v) => `${bitList(excessCr4(v))} must be 0: this processor does not have the feature`,
  ),
  ...performanceControl('host', REGISTERS, F.HOST_IA32_PERF_GLOBAL_CTRL, F.VM_EXIT_CONTROLS, (v) =>
    v.exit(VM_EXIT.LOAD_IA32_PERF_GLOBAL_CTRL),
  ),
  ...pat('host', REGISTERS, F.HOST_IA32_PAT, F.VM_EXIT_CONTROLS, (v) => v.exit(VM_EXIT.LOAD_IA32_PAT)),
  ...efer('host', REGISTERS, F.HOST_IA32_EFER, F.VM_EXIT_CONTROLS, (v) => v.exit(VM_EXIT.LOAD_IA32_EFER)),
  ...selectors.map(([name, field]) =>
    check(
      `host.${name}.rpl-ti`,
      SEGMENTS,
      [field],
      (v) => (v.low(field) & 7) === 0,
      'bits 1:0 (RPL) and bit 2 (TI) must be 0',
    ),
  ),
  notNull('cs', F.HOST_CS_SELECTOR),
  notNull('tr', F.HOST_TR_SELECTOR),
  notNull('ss', F.HOST_SS_SELECTOR),
];
