/** For each entry check the smallest change of a valid VMCS that breaks it, and no check before it. Values are from the manual's
 *  rules, by hand. */
import * as F from '../../src/vmx/fields.ts';
import { AT } from './support.ts';

/** Fields to write: [field, value] or [field, value, high half]; and words of memory. */
export interface Break {
  readonly fields: readonly (readonly [field: number, value: number, high?: number])[];
  readonly memory?: readonly (readonly [at: number, value: number])[];
  /** Expected exit qualification, for guest-state rows. */
  readonly qualification?: number;
  /** On a processor whose EPT has no accessed and dirty flags. */
  readonly withoutFlags?: boolean;
}

const PIN = F.PIN_BASED_VM_EXECUTION_CONTROLS;
const PRIMARY = F.PRIMARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS;
const SECONDARY = F.SECONDARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS;
const INFO = F.VM_ENTRY_INTERRUPTION_INFORMATION;
const INTERRUPTIBILITY = F.GUEST_INTERRUPTIBILITY_STATE;
const ACTIVITY = F.GUEST_ACTIVITY_STATE;
const RFLAGS = F.GUEST_RFLAGS;

// The baseline's control words
const PIN_VALUE = 0x1f; // external-interrupt exiting, NMI exiting
const PRIMARY_VALUE = 0x9600_61fa | 0;
const SECONDARY_VALUE = 0x22; // EPT, VPID
const TPR_SHADOW = 1 << 21;
const EXIT_VALUE = 0x3_edff;
const ENTRY_VALUE = 0x11ff;
const EXTERNAL_20 = 0x8000_0020 | 0;
const NMI = 0x8000_0202 | 0;
const UNRESTRICTED = [SECONDARY, 0xa2] as const;
const REAL_MODE = [F.GUEST_CR0, 0x30] as const;

const one = (field: number, value: number, high?: number): Break => ({
  fields: [high === undefined ? [field, value] : [field, value, high]],
});
const all = (...fields: Break['fields']): Break => ({ fields });

/** ES CS SS DS FS GS in the order of their fields. */
const SEGMENTS = ['es', 'cs', 'ss', 'ds', 'fs', 'gs'];
const selector = (n: number) => F.GUEST_ES_SELECTOR + 2 * n;
const base = (n: number) => F.GUEST_ES_BASE + 2 * n;
const limit = (n: number) => F.GUEST_ES_LIMIT + 2 * n;
const access = (n: number) => F.GUEST_ES_ACCESS_RIGHTS + 2 * n;

/** Valid virtual-8086 state, before one field of it is changed. */
const V86: Break['fields'] = [
  [RFLAGS, 0x2_0002],
  ...SEGMENTS.flatMap(
    (_, n) =>
      [
        [selector(n), 0x1000],
        [base(n), 0x1_0000],
        [limit(n), 0xffff],
        [access(n), 0xf3],
      ] as const,
  ),
];
const CODE = 0xc09b;
const DATA = 0xc093;
const right = (name: string) => (name === 'cs' ? CODE : DATA);

const segments: Record<string, Break> = {};
SEGMENTS.forEach((name, n) => {
  const valid = right(name);
  segments[`guest.${name}.base-8086`] = all(...V86, [base(n), 0x1_0010]);
  segments[`guest.${name}.limit-8086`] = all(...V86, [limit(n), 0xfffe]);
  segments[`guest.${name}.access-8086`] = all(...V86, [access(n), 0x93]);
  segments[`guest.${name}.s`] = one(access(n), valid & ~0x10);
  segments[`guest.${name}.present`] = one(access(n), valid & ~0x80);
  segments[`guest.${name}.reserved-11-8`] = one(access(n), valid | 0x400);
  segments[`guest.${name}.granularity`] = one(access(n), valid & ~0x8000);
  segments[`guest.${name}.reserved-31-17`] = one(access(n), valid | 0x4_0000);
  if (name === 'cs' || name === 'ss') return;
  segments[`guest.${name}.type-accessed`] = one(access(n), 0xc092);
  segments[`guest.${name}.type-readable`] = one(access(n), 0xc099);
  segments[`guest.${name}.dpl-rpl`] = one(selector(n), 0x13);
});

/** A system segment: valid access rights, then one bit wrong. */
const system = (name: string, field: number, limitField: number, valid: number): Record<string, Break> => ({
  [`guest.${name}.type`]: one(field, (valid & ~15) | 9),
  [`guest.${name}.s`]: one(field, valid | 0x10),
  [`guest.${name}.present`]: one(field, valid & ~0x80),
  [`guest.${name}.reserved-11-8`]: one(field, valid | 0x100),
  [`guest.${name}.granularity`]: all([field, valid], [limitField, 0x10_0000]),
  [`guest.${name}.reserved-31-17`]: one(field, valid | 0x8000_0000),
});

const msrArea = (id: string, address: number, count: number): Record<string, Break> => ({
  [`${id}.aligned`]: all([count, 1], [address, AT.msrArea | 8]),
  [`${id}.width`]: all([count, 1], [address, AT.msrArea, 0x8000_0000]),
  [`${id}.end`]: all([count, 2], [address, 0xffff_fff0]),
});

const FUNCTIONS = [SECONDARY, SECONDARY_VALUE | 0x2000] as const;
/** A page of a feature: its controls, and the address. */
const featurePage = (id: string, field: number, ...controls: Break['fields']): Record<string, Break> => ({
  [`${id}.aligned`]: all(...controls, [field, AT.linked | 0x800]),
  [`${id}.width`]: all(...controls, [field, AT.linked, 1]),
});

const pageAddress = (id: string, field: number, at: number): Record<string, Break> => ({
  [`${id}.aligned`]: one(field, at | 0x800),
  [`${id}.width`]: one(field, at, 0x8000_0000),
});

const hostSelectors: Record<string, Break> = {};
for (const [name, field] of [
  ['cs', F.HOST_CS_SELECTOR],
  ['ss', F.HOST_SS_SELECTOR],
  ['ds', F.HOST_DS_SELECTOR],
  ['es', F.HOST_ES_SELECTOR],
  ['fs', F.HOST_FS_SELECTOR],
  ['gs', F.HOST_GS_SELECTOR],
  ['tr', F.HOST_TR_SELECTOR],
] as const) {
  hostSelectors[`host.${name}.rpl-ti`] = one(field, 0x0c);
}

const pdptes: Record<string, Break> = {};
for (let n = 0; n < 4; n++) {
  pdptes[`guest.pdpte${n}.reserved`] = {
    fields: [
      [F.GUEST_CR4, 0x2030],
      [F.GUEST_PDPTE0 + 2 * n, 0x3],
    ],
    qualification: 2,
  };
  pdptes[`guest.pdpte${n}.memory`] = {
    fields: [
      [F.GUEST_CR4, 0x2030],
      [SECONDARY, 0x20],
      [F.GUEST_CR3, AT.eptTable],
    ],
    memory: [[AT.eptTable + 8 * n, 0x101]],
    qualification: 2,
  };
}

export const BREAKS: Readonly<Record<string, Break>> = {
  'execution.pin-based.must-be-one': one(PIN, PIN_VALUE & ~0x10),
  'execution.pin-based.must-be-zero': one(PIN, PIN_VALUE | 0x80),
  'execution.primary.must-be-one': one(PRIMARY, PRIMARY_VALUE & ~2),
  'execution.primary.must-be-zero': one(PRIMARY, PRIMARY_VALUE | (1 << 19)),
  'execution.secondary.must-be-zero': one(SECONDARY, SECONDARY_VALUE | 0x800),
  'execution.cr3-targets': one(F.CR3_TARGET_COUNT, 5),
  ...pageAddress('execution.io-bitmap-a', F.IO_BITMAP_A_ADDRESS, AT.ioA),
  ...pageAddress('execution.io-bitmap-b', F.IO_BITMAP_B_ADDRESS, AT.ioB),
  ...pageAddress('execution.msr-bitmap', F.MSR_BITMAP_ADDRESS, AT.msrBitmap),
  ...Object.fromEntries(
    Object.entries(pageAddress('execution.virtual-apic', F.VIRTUAL_APIC_ADDRESS, AT.msrArea)).map(([id, b]) => [
      id,
      all([PRIMARY, PRIMARY_VALUE | TPR_SHADOW], ...b.fields),
    ]),
  ),
  'execution.tpr-threshold.reserved': all(
    [PRIMARY, PRIMARY_VALUE | TPR_SHADOW],
    [F.VIRTUAL_APIC_ADDRESS, AT.msrArea, 0],
    [F.TPR_THRESHOLD, 0x10],
  ),
  'execution.tpr-threshold.vtpr': all(
    [PRIMARY, PRIMARY_VALUE | TPR_SHADOW],
    [F.VIRTUAL_APIC_ADDRESS, AT.msrArea, 0],
    [F.TPR_THRESHOLD, 1],
  ),
  'execution.x2apic-mode.tpr-shadow': one(SECONDARY, SECONDARY_VALUE | 0x10),
  'execution.x2apic-mode.apic-accesses': all(
    [PRIMARY, PRIMARY_VALUE | TPR_SHADOW],
    [F.VIRTUAL_APIC_ADDRESS, AT.msrArea, 0],
    [SECONDARY, SECONDARY_VALUE | 0x11],
  ),
  'execution.apic-registers.tpr-shadow': one(SECONDARY, SECONDARY_VALUE | 0x100),
  'execution.virtual-interrupts.tpr-shadow': one(SECONDARY, SECONDARY_VALUE | 0x200),
  'execution.virtual-interrupts.external': all(
    [PRIMARY, PRIMARY_VALUE | TPR_SHADOW],
    [F.VIRTUAL_APIC_ADDRESS, AT.msrArea, 0],
    [SECONDARY, SECONDARY_VALUE | 0x200],
    [PIN, PIN_VALUE & ~1],
  ),
  'execution.apic-access.aligned': all([SECONDARY, SECONDARY_VALUE | 1], [F.APIC_ACCESS_ADDRESS, AT.linked | 0x10]),
  'execution.apic-access.width': all([SECONDARY, SECONDARY_VALUE | 1], [F.APIC_ACCESS_ADDRESS, AT.linked, 1]),
  'execution.virtual-nmis': one(PIN, 0x37),
  'execution.nmi-window': one(PRIMARY, PRIMARY_VALUE | (1 << 22)),
  'execution.vpid': one(F.VIRTUAL_PROCESSOR_IDENTIFIER, 0),
  'execution.eptp.memory-type': one(F.EPT_POINTER, AT.pml4 | 0x1c),
  'execution.eptp.walk-length': one(F.EPT_POINTER, AT.pml4 | 0x26),
  'execution.eptp.accessed-dirty': { ...one(F.EPT_POINTER, AT.pml4 | 0x5e), withoutFlags: true },
  'execution.eptp.reserved': one(F.EPT_POINTER, AT.pml4 | 0x9e),
  'execution.eptp.width': one(F.EPT_POINTER, AT.pml4 | 0x1e, 0x8000_0000),
  'execution.unrestricted-guest': one(SECONDARY, 0xa0),
  'execution.pml.ept': one(SECONDARY, 0x2_0020),
  ...featurePage('execution.pml-address', F.PML_ADDRESS, [SECONDARY, SECONDARY_VALUE | 0x2_0000]),
  'execution.vm-functions.must-be-zero': all(FUNCTIONS, [F.VM_FUNCTION_CONTROLS, 2]),
  'execution.eptp-switching.ept': all([SECONDARY, 0x2020], [F.VM_FUNCTION_CONTROLS, 1]),
  ...featurePage('execution.eptp-list', F.EPTP_LIST_ADDRESS, FUNCTIONS, [F.VM_FUNCTION_CONTROLS, 1]),
  ...featurePage('execution.vmread-bitmap', F.VMREAD_BITMAP_ADDRESS, [SECONDARY, SECONDARY_VALUE | 0x4000]),
  ...featurePage('execution.vmwrite-bitmap', F.VMWRITE_BITMAP_ADDRESS, [SECONDARY, SECONDARY_VALUE | 0x4000]),
  ...featurePage('execution.ve-information', F.VIRTUALIZATION_EXCEPTION_INFORMATION_ADDRESS, [
    SECONDARY,
    SECONDARY_VALUE | 0x4_0000,
  ]),
  'execution.tsc-multiplier': one(SECONDARY, SECONDARY_VALUE | 0x200_0000),

  'exit.must-be-one': one(F.VM_EXIT_CONTROLS, EXIT_VALUE & ~1),
  'exit.must-be-zero': one(F.VM_EXIT_CONTROLS, EXIT_VALUE | 0x200),
  'exit.save-preemption-timer': one(F.VM_EXIT_CONTROLS, EXIT_VALUE | (1 << 22)),
  ...msrArea('exit.msr-store', F.VM_EXIT_MSR_STORE_ADDRESS, F.VM_EXIT_MSR_STORE_COUNT),
  ...msrArea('exit.msr-load', F.VM_EXIT_MSR_LOAD_ADDRESS, F.VM_EXIT_MSR_LOAD_COUNT),

  'entry.must-be-one': one(F.VM_ENTRY_CONTROLS, ENTRY_VALUE & ~1),
  'entry.must-be-zero': one(F.VM_ENTRY_CONTROLS, ENTRY_VALUE | 0x200),
  'entry.injection.type': one(INFO, 0x8000_0120),
  'entry.injection.other-vector': one(INFO, 0x8000_0701),
  'entry.injection.nmi-vector': one(INFO, 0x8000_0203),
  'entry.injection.exception-vector': one(INFO, 0x8000_0320),
  'entry.injection.error-code-missing': one(INFO, 0x8000_030d),
  'entry.injection.error-code-excess': one(INFO, 0x8000_0b06),
  'entry.injection.reserved': one(INFO, 0x8000_1306),
  'entry.injection.error-code': all([INFO, 0x8000_0b0d], [F.VM_ENTRY_EXCEPTION_ERROR_CODE, 0x1_0000]),
  'entry.injection.instruction-length': all([INFO, 0x8000_0480], [F.VM_ENTRY_INSTRUCTION_LENGTH, 16]),
  ...msrArea('entry.msr-load', F.VM_ENTRY_MSR_LOAD_ADDRESS, F.VM_ENTRY_MSR_LOAD_COUNT),

  'host.cr0.fixed': one(F.HOST_CR0, 0x8001_0011),
  'host.cr4.must-be-one': one(F.HOST_CR4, 0x10),
  'host.cr4.must-be-zero': one(F.HOST_CR4, 0x8000_2010 | 0),
  'host.perf-global-ctrl.reserved': all(
    [F.VM_EXIT_CONTROLS, EXIT_VALUE | 0x1000],
    [F.HOST_IA32_PERF_GLOBAL_CTRL, 0, 1],
  ),
  'host.pat.types': all([F.VM_EXIT_CONTROLS, EXIT_VALUE | 0x8_0000], [F.HOST_IA32_PAT, 8, 0]),
  'host.efer.reserved': all([F.VM_EXIT_CONTROLS, EXIT_VALUE | 0x20_0000], [F.HOST_IA32_EFER, 1]),
  ...hostSelectors,
  'host.cs.not-null': one(F.HOST_CS_SELECTOR, 0),
  'host.tr.not-null': one(F.HOST_TR_SELECTOR, 0),
  'host.ss.not-null': one(F.HOST_SS_SELECTOR, 0),

  'guest.cr0.fixed': one(F.GUEST_CR0, 0x8001_0011),
  'guest.cr0.pg-pe': all(UNRESTRICTED, [F.GUEST_CR0, 0x8000_0030]),
  'guest.cr4.must-be-one': one(F.GUEST_CR4, 0x10),
  'guest.cr4.must-be-zero': one(F.GUEST_CR4, 0x8000_2010 | 0),
  'guest.debugctl.reserved': one(F.GUEST_IA32_DEBUGCTL, 0x8),
  'guest.perf-global-ctrl.reserved': all(
    [F.VM_ENTRY_CONTROLS, ENTRY_VALUE | 0x2000],
    [F.GUEST_IA32_PERF_GLOBAL_CTRL, 4],
  ),
  'guest.pat.types': all([F.VM_ENTRY_CONTROLS, ENTRY_VALUE | 0x4000], [F.GUEST_IA32_PAT, 6, 0x0200_0000]),
  'guest.efer.reserved': all([F.VM_ENTRY_CONTROLS, ENTRY_VALUE | 0x8000], [F.GUEST_IA32_EFER, 0x100]),

  ...segments,
  ...system('tr', F.GUEST_TR_ACCESS_RIGHTS, F.GUEST_TR_LIMIT, 0x8b),
  ...system('ldtr', F.GUEST_LDTR_ACCESS_RIGHTS, F.GUEST_LDTR_LIMIT, 0x82),
  'guest.tr.ti': one(F.GUEST_TR_SELECTOR, 0x1c),
  'guest.tr.usable': one(F.GUEST_TR_ACCESS_RIGHTS, 0x1_008b),
  'guest.ldtr.ti': all([F.GUEST_LDTR_ACCESS_RIGHTS, 0x82], [F.GUEST_LDTR_SELECTOR, 4]),
  'guest.ss.rpl': one(F.GUEST_SS_SELECTOR, 0x11),
  'guest.cs.type': one(F.GUEST_CS_ACCESS_RIGHTS, DATA),
  'guest.ss.type': one(F.GUEST_SS_ACCESS_RIGHTS, 0xc091),
  'guest.cs.dpl-data': all(UNRESTRICTED, [F.GUEST_CS_ACCESS_RIGHTS, 0xc0f3]),
  'guest.cs.dpl-non-conforming': one(F.GUEST_CS_ACCESS_RIGHTS, 0xc0fb),
  'guest.cs.dpl-conforming': one(F.GUEST_CS_ACCESS_RIGHTS, 0xc0ff),
  'guest.ss.dpl-rpl': all([F.GUEST_SS_ACCESS_RIGHTS, 0xc0b3], [F.GUEST_CS_ACCESS_RIGHTS, 0xc0bb]),
  'guest.ss.dpl-real': all(
    UNRESTRICTED,
    REAL_MODE,
    [F.GUEST_SS_ACCESS_RIGHTS, 0xc0f3],
    [F.GUEST_CS_ACCESS_RIGHTS, 0xc0fb],
  ),

  'guest.gdtr.limit': one(F.GUEST_GDTR_LIMIT, 0x1_0000),
  'guest.idtr.limit': one(F.GUEST_IDTR_LIMIT, 0x8000_0000),

  'guest.rflags.reserved': one(RFLAGS, 0x8002),
  'guest.rflags.bit-1': one(RFLAGS, 0),
  'guest.rflags.vm-pe': all(UNRESTRICTED, REAL_MODE, ...V86),
  'guest.rflags.if-injection': one(INFO, EXTERNAL_20),

  'guest.activity.supported': one(ACTIVITY, 4),
  'guest.activity.hlt-dpl': all(
    [ACTIVITY, 1],
    [F.GUEST_CS_SELECTOR, 0x0b],
    [F.GUEST_SS_SELECTOR, 0x13],
    [F.GUEST_CS_ACCESS_RIGHTS, 0xc0fb],
    [F.GUEST_SS_ACCESS_RIGHTS, 0xc0f3],
  ),
  'guest.activity.blocking': all([ACTIVITY, 1], [RFLAGS, 0x202], [INTERRUPTIBILITY, 1]),
  'guest.activity.injection': all([ACTIVITY, 1], [INFO, 0x8000_0306]),
  'guest.interruptibility.reserved': one(INTERRUPTIBILITY, 0x10),
  'guest.interruptibility.sti-mov-ss': all([INTERRUPTIBILITY, 3], [RFLAGS, 0x202]),
  'guest.interruptibility.sti-if': one(INTERRUPTIBILITY, 1),
  'guest.interruptibility.interrupt-injection': all([INTERRUPTIBILITY, 2], [RFLAGS, 0x202], [INFO, EXTERNAL_20]),
  'guest.interruptibility.nmi-injection-mov-ss': all([INTERRUPTIBILITY, 2], [INFO, NMI]),
  'guest.interruptibility.smi': one(INTERRUPTIBILITY, 4),
  'guest.interruptibility.nmi-injection-sti': {
    fields: [
      [INTERRUPTIBILITY, 1],
      [RFLAGS, 0x202],
      [INFO, NMI],
    ],
    qualification: 3,
  },
  'guest.interruptibility.virtual-nmi': all([PIN, 0x3f], [INTERRUPTIBILITY, 8], [INFO, NMI]),
  'guest.pending-debug.reserved': one(F.GUEST_PENDING_DEBUG_EXCEPTIONS, 0x10),
  'guest.pending-debug.bs-missing': all([RFLAGS, 0x102], [INTERRUPTIBILITY, 2]),
  'guest.pending-debug.bs-excess': all([F.GUEST_PENDING_DEBUG_EXCEPTIONS, 0x4000], [INTERRUPTIBILITY, 2]),
  'guest.pending-debug.rtm': one(F.GUEST_PENDING_DEBUG_EXCEPTIONS, 0x1_0000),
  'guest.link-pointer.aligned': { fields: [[F.VMCS_LINK_POINTER, AT.linked | 4, 0]], qualification: 4 },
  'guest.link-pointer.width': { fields: [[F.VMCS_LINK_POINTER, AT.linked, 0x8000_0000]], qualification: 4 },
  'guest.link-pointer.revision': { fields: [[F.VMCS_LINK_POINTER, AT.stack, 0]], qualification: 4 },
  'guest.link-pointer.shadow': {
    fields: [
      [SECONDARY, SECONDARY_VALUE | 0x4000],
      [F.VMCS_LINK_POINTER, AT.linked, 0],
    ],
    qualification: 4,
  },
  'guest.link-pointer.current': { fields: [[F.VMCS_LINK_POINTER, AT.vmcs, 0]], qualification: 4 },
  ...pdptes,
};
