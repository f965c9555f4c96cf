/** Checks on VMX controls (SDM Vol. 3, "Checks on VMX Controls"). The first that fails ends the entry with VM-instruction error 7. */
import { hex } from '../../base/int.ts';
import { CR0_PE } from '../../base/registers.ts';
import { type ControlWord, EPT_CAP, type VmxCapabilities } from '../capabilities.ts';
import {
  controlNames,
  INTERRUPTION_ERROR_CODE,
  INTERRUPTION_TYPE,
  PIN_BASED,
  PRIMARY,
  SECONDARY,
  VM_ENTRY,
  VM_EXIT,
} from '../controls.ts';
import * as F from '../fields.ts';
import {
  bitList,
  check,
  type EntryCheck,
  type EntryView,
  fits32,
  SECONDARY_FIELDS,
  withinPhysicalWidth,
} from './check.ts';
import { memoryControls } from './memory-controls.ts';

const EXECUTION = 'VM-Execution Control Fields';
const EXIT = 'VM-Exit Control Fields';
const ENTRY = 'VM-Entry Control Fields';

/** Reserved bits of a control word against its capability MSR: two rows. */
function reservedBits(
  id: string,
  section: string,
  field: number,
  names: Readonly<Record<string, number>>,
  word: (c: VmxCapabilities) => ControlWord,
): EntryCheck[] {
  const missing = (v: EntryView) => word(v.capabilities).allowed0 & ~v.low(field);
  const excess = (v: EntryView) => v.low(field) & ~word(v.capabilities).allowed1;
  return [
    check(
      `${id}.must-be-one`,
      section,
      [field],
      (v) => missing(v) === 0,
      (v) => `${bitList(missing(v))} must be 1`,
    ),
    check(
      `${id}.must-be-zero`,
      section,
      [field],
      (v) => excess(v) === 0,
      (v) => `this processor does not offer ${controlNames(names, excess(v)).join(', ')}: must be 0`,
    ),
  ];
}

/** A structure that a control makes the processor use: aligned to 4 KiB and below 4 GiB. */
function pageAddress(id: string, field: number, control: number, controlName: string): EntryCheck[] {
  const fields = [field, F.PRIMARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS];
  const used = (v: EntryView) => v.primary(control);
  return [
    check(
      `${id}.aligned`,
      EXECUTION,
      fields,
      (v) => !used(v) || (v.low(field) & 0xfff) === 0,
      `with '${controlName}' bits 11:0 of the address must be 0`,
    ),
    check(
      `${id}.width`,
      EXECUTION,
      fields,
      (v) => !used(v) || fits32(v, field),
      `with '${controlName}' the address must lie below 4 GiB`,
    ),
  ];
}

/** An area of MSR entries: address and last byte. */
function msrArea(id: string, section: string, address: number, count: number): EntryCheck[] {
  const fields = [address, count];
  const used = (v: EntryView) => v.low(count) !== 0;
  const end = (v: EntryView) => (v.low(address) >>> 0) + (v.low(count) >>> 0) * 16;
  return [
    check(`${id}.aligned`, section, fields, (v) => !used(v) || (v.low(address) & 15) === 0, 'bits 3:0 must be 0'),
    check(`${id}.width`, section, fields, (v) => !used(v) || fits32(v, address), 'the address must lie below 4 GiB'),
    check(
      `${id}.end`,
      section,
      fields,
      (v) => !used(v) || end(v) <= 0x1_0000_0000,
      (v) => `the last of ${v.low(count) >>> 0} entries must lie below 4 GiB`,
    ),
  ];
}

const PRIMARY_FIELD = F.PRIMARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS;
const tprShadow = (v: EntryView) => v.primary(PRIMARY.USE_TPR_SHADOW);
const apicAccesses = (v: EntryView) => v.secondary(SECONDARY.VIRTUALIZE_APIC_ACCESSES);
const delivery = (v: EntryView) => v.secondary(SECONDARY.VIRTUAL_INTERRUPT_DELIVERY);
/** The priority class of the virtual TPR, bits 7:4 of byte 80h of the virtual-APIC page. */
const virtualTprClass = (v: EntryView) => (v.memory.read32((v.low(F.VIRTUAL_APIC_ADDRESS) >>> 0) + 0x80) >> 4) & 15;

/** A secondary control that works on the virtual-APIC page. */
const needsTprShadow = (id: string, control: number, name: string): EntryCheck =>
  check(
    `execution.${id}.tpr-shadow`,
    EXECUTION,
    [F.SECONDARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS, PRIMARY_FIELD],
    (v) => tprShadow(v) || !v.secondary(control),
    `'${name}' needs 'use TPR shadow'`,
  );

/** Rules about the virtual APIC. */
const virtualApic: readonly EntryCheck[] = [
  ...pageAddress('execution.virtual-apic', F.VIRTUAL_APIC_ADDRESS, PRIMARY.USE_TPR_SHADOW, 'use TPR shadow'),
  check(
    'execution.tpr-threshold.reserved',
    EXECUTION,
    [F.TPR_THRESHOLD, ...SECONDARY_FIELDS],
    (v) => !tprShadow(v) || delivery(v) || v.low(F.TPR_THRESHOLD) >>> 4 === 0,
    "with 'use TPR shadow' and without 'virtual-interrupt delivery' bits 31:4 must be 0",
  ),
  check(
    'execution.tpr-threshold.vtpr',
    EXECUTION,
    [F.TPR_THRESHOLD, F.VIRTUAL_APIC_ADDRESS, ...SECONDARY_FIELDS],
    (v) => !tprShadow(v) || apicAccesses(v) || delivery(v) || (v.low(F.TPR_THRESHOLD) & 15) <= virtualTprClass(v),
    (v) => `bits 3:0 must not exceed bits 7:4 of the virtual TPR, which are ${virtualTprClass(v)}`,
    { volatile: true },
  ),
  needsTprShadow('x2apic-mode', SECONDARY.VIRTUALIZE_X2APIC_MODE, 'virtualize x2APIC mode'),
  needsTprShadow('apic-registers', SECONDARY.APIC_REGISTER_VIRTUALIZATION, 'APIC-register virtualization'),
  needsTprShadow('virtual-interrupts', SECONDARY.VIRTUAL_INTERRUPT_DELIVERY, 'virtual-interrupt delivery'),
  check(
    'execution.virtual-interrupts.external',
    EXECUTION,
    [F.PIN_BASED_VM_EXECUTION_CONTROLS, ...SECONDARY_FIELDS],
    (v) => !delivery(v) || v.pin(PIN_BASED.EXTERNAL_INTERRUPT_EXITING),
    "'virtual-interrupt delivery' needs 'external-interrupt exiting'",
  ),
  check(
    'execution.x2apic-mode.apic-accesses',
    EXECUTION,
    [F.SECONDARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS, PRIMARY_FIELD],
    (v) => !apicAccesses(v) || !v.secondary(SECONDARY.VIRTUALIZE_X2APIC_MODE),
    "'virtualize x2APIC mode' and 'virtualize APIC accesses' must not both be 1",
  ),
  check(
    'execution.apic-access.aligned',
    EXECUTION,
    [F.APIC_ACCESS_ADDRESS, ...SECONDARY_FIELDS],
    (v) => !apicAccesses(v) || (v.low(F.APIC_ACCESS_ADDRESS) & 0xfff) === 0,
    "with 'virtualize APIC accesses' bits 11:0 of the address must be 0",
  ),
  check(
    'execution.apic-access.width',
    EXECUTION,
    [F.APIC_ACCESS_ADDRESS, ...SECONDARY_FIELDS],
    (v) => !apicAccesses(v) || fits32(v, F.APIC_ACCESS_ADDRESS),
    "with 'virtualize APIC accesses' the address must lie below 4 GiB",
  ),
];

const ept = (v: EntryView) => v.secondary(SECONDARY.ENABLE_EPT);
const eptp = [F.EPT_POINTER, ...SECONDARY_FIELDS];

export const executionControls: readonly EntryCheck[] = [
  ...reservedBits('execution.pin-based', EXECUTION, F.PIN_BASED_VM_EXECUTION_CONTROLS, PIN_BASED, (c) => c.pinBased),
  ...reservedBits(
    'execution.primary',
    EXECUTION,
    F.PRIMARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS,
    PRIMARY,
    (c) => c.primary,
  ),
  check(
    'execution.secondary.must-be-zero',
    EXECUTION,
    [F.SECONDARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS, F.PRIMARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS],
    (v) => !v.secondary(~v.capabilities.secondary.allowed1),
    (v) => {
      const excess = v.low(F.SECONDARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS) & ~v.capabilities.secondary.allowed1;
      return `this processor does not offer ${controlNames(SECONDARY, excess).join(', ')}: must be 0`;
    },
  ),
  check(
    'execution.cr3-targets',
    EXECUTION,
    [F.CR3_TARGET_COUNT],
    (v) => v.low(F.CR3_TARGET_COUNT) >>> 0 <= v.capabilities.cr3Targets,
    (v) => `must not exceed ${v.capabilities.cr3Targets}, the number of CR3-target values`,
  ),
  ...pageAddress('execution.io-bitmap-a', F.IO_BITMAP_A_ADDRESS, PRIMARY.USE_IO_BITMAPS, 'use I/O bitmaps'),
  ...pageAddress('execution.io-bitmap-b', F.IO_BITMAP_B_ADDRESS, PRIMARY.USE_IO_BITMAPS, 'use I/O bitmaps'),
  ...pageAddress('execution.msr-bitmap', F.MSR_BITMAP_ADDRESS, PRIMARY.USE_MSR_BITMAPS, 'use MSR bitmaps'),
  ...virtualApic,
  check(
    'execution.virtual-nmis',
    EXECUTION,
    [F.PIN_BASED_VM_EXECUTION_CONTROLS],
    (v) => v.pin(PIN_BASED.NMI_EXITING) || !v.pin(PIN_BASED.VIRTUAL_NMIS),
    "'virtual NMIs' must be 0 while 'NMI exiting' is 0",
  ),
  check(
    'execution.nmi-window',
    EXECUTION,
    [F.PRIMARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS, F.PIN_BASED_VM_EXECUTION_CONTROLS],
    (v) => v.pin(PIN_BASED.VIRTUAL_NMIS) || !v.primary(PRIMARY.NMI_WINDOW_EXITING),
    "'NMI-window exiting' must be 0 while 'virtual NMIs' is 0",
  ),
  check(
    'execution.vpid',
    EXECUTION,
    [F.VIRTUAL_PROCESSOR_IDENTIFIER, ...SECONDARY_FIELDS],
    (v) => !v.secondary(SECONDARY.ENABLE_VPID) || v.low(F.VIRTUAL_PROCESSOR_IDENTIFIER) !== 0,
    "must not be 0 with 'enable VPID': VPID 0 is the host's",
  ),
  check(
    'execution.eptp.memory-type',
    EXECUTION,
    eptp,
    (v) => {
      const type = v.low(F.EPT_POINTER) & 7;
      const offered = v.capabilities.eptVpid.lo;
      return (
        !ept(v) ||
        (type === 0 && (offered & EPT_CAP.MEMORY_TYPE_UC) !== 0) ||
        (type === 6 && (offered & EPT_CAP.MEMORY_TYPE_WB) !== 0)
      );
    },
    (v) => `bits 2:0 (memory type) must be 0 (UC) or 6 (WB) as offered, they are ${v.low(F.EPT_POINTER) & 7}`,
  ),
  check(
    'execution.eptp.walk-length',
    EXECUTION,
    eptp,
    (v) => !ept(v) || ((v.low(F.EPT_POINTER) >> 3) & 7) === 3,
    (v) => `bits 5:3 must be 3 (a page walk of 4 levels), they are ${(v.low(F.EPT_POINTER) >> 3) & 7}`,
  ),
  check(
    'execution.eptp.accessed-dirty',
    EXECUTION,
    eptp,
    (v) => !ept(v) || (v.low(F.EPT_POINTER) & 0x40) === 0 || (v.capabilities.eptVpid.lo & EPT_CAP.ACCESSED_DIRTY) !== 0,
    'bit 6 must be 0: this processor has no accessed and dirty flags for EPT',
  ),
  check(
    'execution.eptp.reserved',
    EXECUTION,
    eptp,
    (v) => !ept(v) || (v.low(F.EPT_POINTER) & 0xf80) === 0,
    'bits 11:7 must be 0',
  ),
  check(
    'execution.eptp.width',
    EXECUTION,
    eptp,
    (v) =>
      !ept(v) ||
      withinPhysicalWidth({ lo: v.low(F.EPT_POINTER), hi: v.high(F.EPT_POINTER) }, v.capabilities.physicalAddressBits),
    (v) => `bits 63:${v.capabilities.physicalAddressBits} must be 0`,
  ),
  check(
    'execution.unrestricted-guest',
    EXECUTION,
    [F.SECONDARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS, F.PRIMARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS],
    (v) => !v.secondary(SECONDARY.UNRESTRICTED_GUEST) || ept(v),
    "'unrestricted guest' needs 'enable EPT'",
  ),
  check(
    'execution.tsc-multiplier',
    EXECUTION,
    [F.TSC_MULTIPLIER, ...SECONDARY_FIELDS],
    (v) => !v.secondary(SECONDARY.USE_TSC_SCALING) || v.low(F.TSC_MULTIPLIER) !== 0 || v.high(F.TSC_MULTIPLIER) !== 0,
    "must not be 0 with 'use TSC scaling'",
  ),
  ...memoryControls,
];

export const exitControls: readonly EntryCheck[] = [
  ...reservedBits('exit', EXIT, F.VM_EXIT_CONTROLS, VM_EXIT, (c) => c.exit),
  check(
    'exit.save-preemption-timer',
    EXIT,
    [F.VM_EXIT_CONTROLS, F.PIN_BASED_VM_EXECUTION_CONTROLS],
    (v) => v.pin(PIN_BASED.ACTIVATE_VMX_PREEMPTION_TIMER) || !v.exit(VM_EXIT.SAVE_VMX_PREEMPTION_TIMER_VALUE),
    "'save VMX-preemption timer value' must be 0 while 'activate VMX-preemption timer' is 0",
  ),
  ...msrArea('exit.msr-store', EXIT, F.VM_EXIT_MSR_STORE_ADDRESS, F.VM_EXIT_MSR_STORE_COUNT),
  ...msrArea('exit.msr-load', EXIT, F.VM_EXIT_MSR_LOAD_ADDRESS, F.VM_EXIT_MSR_LOAD_COUNT),
];

const INFO = F.VM_ENTRY_INTERRUPTION_INFORMATION;
const T = INTERRUPTION_TYPE;
/** Exceptions that push an error code: #DF #TS #NP #SS #GP #PF #AC. */
const WITH_ERROR_CODE = (1 << 8) | (1 << 10) | (1 << 11) | (1 << 12) | (1 << 13) | (1 << 14) | (1 << 17);
const deliversErrorCode = (v: EntryView) => (v.low(INFO) & INTERRUPTION_ERROR_CODE) !== 0;
const realMode = (v: EntryView) => v.secondary(SECONDARY.UNRESTRICTED_GUEST) && (v.low(F.GUEST_CR0) & CR0_PE) === 0;
const wantsErrorCode = (v: EntryView) =>
  v.injectedType === T.HARDWARE_EXCEPTION &&
  v.injectedVector < 32 &&
  ((WITH_ERROR_CODE >>> v.injectedVector) & 1) !== 0;
const hasTrapFlag = (v: EntryView) => (v.capabilities.primary.allowed1 & PRIMARY.MONITOR_TRAP_FLAG) !== 0;
const software = (v: EntryView) => v.injectedType >= T.SOFTWARE_INTERRUPT && v.injectedType <= T.SOFTWARE_EXCEPTION;

export const entryControls: readonly EntryCheck[] = [
  ...reservedBits('entry', ENTRY, F.VM_ENTRY_CONTROLS, VM_ENTRY, (c) => c.entry),
  check(
    'entry.injection.type',
    ENTRY,
    [INFO],
    (v) => !v.injects || (v.injectedType !== 1 && (v.injectedType !== T.OTHER_EVENT || hasTrapFlag(v))),
    (v) => `bits 10:8 (type) must not be ${v.injectedType}: 1 is reserved, 7 needs the monitor trap flag`,
  ),
  check(
    'entry.injection.other-vector',
    ENTRY,
    [INFO],
    (v) => !v.injects || v.injectedType !== T.OTHER_EVENT || v.injectedVector === 0,
    (v) => `type 7 (other event) must have vector 0, a pending MTF VM exit; it has ${v.injectedVector}`,
  ),
  check(
    'entry.injection.nmi-vector',
    ENTRY,
    [INFO],
    (v) => !v.injects || v.injectedType !== T.NMI || v.injectedVector === 2,
    (v) => `an NMI must have vector 2, it has ${v.injectedVector}`,
  ),
  check(
    'entry.injection.exception-vector',
    ENTRY,
    [INFO],
    (v) => !v.injects || v.injectedType !== T.HARDWARE_EXCEPTION || v.injectedVector <= 31,
    (v) => `a hardware exception must have a vector of at most 31, it has ${v.injectedVector}`,
  ),
  check(
    'entry.injection.error-code-missing',
    ENTRY,
    [INFO, F.GUEST_CR0, ...SECONDARY_FIELDS],
    (v) => !v.injects || !wantsErrorCode(v) || realMode(v) || deliversErrorCode(v),
    (v) => `bit 11 (deliver error code) must be 1 for exception ${v.injectedVector}`,
  ),
  check(
    'entry.injection.error-code-excess',
    ENTRY,
    [INFO, F.GUEST_CR0, ...SECONDARY_FIELDS],
    (v) => !v.injects || !deliversErrorCode(v) || (wantsErrorCode(v) && !realMode(v)),
    'bit 11 (deliver error code) must be 0: the event pushes none, or the guest is in real mode',
  ),
  check(
    'entry.injection.reserved',
    ENTRY,
    [INFO],
    (v) => !v.injects || (v.low(INFO) & 0x7fff_f000) === 0,
    'bits 30:12 must be 0',
  ),
  check(
    'entry.injection.error-code',
    ENTRY,
    [F.VM_ENTRY_EXCEPTION_ERROR_CODE, INFO],
    (v) => !v.injects || !deliversErrorCode(v) || v.low(F.VM_ENTRY_EXCEPTION_ERROR_CODE) >>> 16 === 0,
    'bits 31:16 must be 0',
  ),
  check(
    'entry.injection.instruction-length',
    ENTRY,
    [F.VM_ENTRY_INSTRUCTION_LENGTH, INFO],
    (v) => {
      const length = v.low(F.VM_ENTRY_INSTRUCTION_LENGTH) >>> 0;
      return !v.injects || !software(v) || (length >= (v.capabilities.zeroLengthInjection ? 0 : 1) && length <= 15);
    },
    (v) =>
      `must be ${v.capabilities.zeroLengthInjection ? 0 : 1} to 15 for a software interrupt or exception, is ${hex(v.low(F.VM_ENTRY_INSTRUCTION_LENGTH), 1)}`,
  ),
  ...msrArea('entry.msr-load', ENTRY, F.VM_ENTRY_MSR_LOAD_ADDRESS, F.VM_ENTRY_MSR_LOAD_COUNT),
];
