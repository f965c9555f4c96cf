/** The VMCS that Linux prints when KVM's VM entry fails (`dump_vmcs`, switched on by the module parameter kvm_intel.dump_invalid_vmcs), read
 *  from a kernel log. Only what the lines say becomes known; lines of other origin, time stamps and prefixes are passed over.
 *  Xen's dump has the same headings and is read as far as its lines are the same. */
import { InvalidInput } from '../../base/errors.ts';
import type { U64 } from '../../base/int.ts';
import type { VmxCapabilities } from '../capabilities.ts';
import { vmxCapabilities } from '../capabilities.ts';
import * as F from '../fields.ts';
import { VmcsImage } from './image.ts';

/** Fields that the log may name and that ringlet may not have yet, by their encodings. */
const GUEST_IA32_PAT = 0x2804;
const GUEST_IA32_EFER = 0x2806;
const GUEST_IA32_PERF_GLOBAL_CTRL = 0x2808;
const GUEST_INTERRUPT_STATUS = 0x0810;
const HOST_IA32_PAT = 0x2c00;
const HOST_IA32_EFER = 0x2c02;
const HOST_IA32_PERF_GLOBAL_CTRL = 0x2c04;
const TERTIARY_CONTROLS = 0x2034;
const TSC_MULTIPLIER = 0x2032;
const TPR_THRESHOLD = 0x401c;
const APIC_ACCESS_ADDRESS = 0x2014;
const VIRTUAL_APIC_ADDRESS = 0x2012;
const POSTED_INTERRUPT_VECTOR = 0x0002;
const PLE_GAP = 0x4020;
const PLE_WINDOW = 0x4022;
const SECONDARY_EXIT_CONTROLS = 0x2044;
const EPTP_INDEX = 0x0004;
const VM_FUNCTION_CONTROLS = 0x2018;

type Rule = readonly [pattern: RegExp, fields: readonly number[]];
/** A hexadecimal value. */
const X = '(?:0x)?([0-9a-f]+)';
/** A line: words with a value behind each, in this order. */
const line = (template: string): RegExp => new RegExp(template.replaceAll('#', X).replaceAll(' ', '\\s+'), 'i');

const SEGMENTS = ['ES', 'CS', 'SS', 'DS', 'FS', 'GS', 'LDTR', 'TR'];
const segmentRules: readonly Rule[] = SEGMENTS.map((name, s) => [
  line(`^\\s*${name}: sel=#, attr=#, limit=#, base=#`),
  [F.GUEST_ES_SELECTOR, F.GUEST_ES_ACCESS_RIGHTS, F.GUEST_ES_LIMIT, F.GUEST_ES_BASE].map((first) => first + 2 * s),
]);
/** Xen prints a table. */
const tableRules: readonly Rule[] = SEGMENTS.map((name, s) => [
  line(`^\\s*${name}: # # # #$`),
  [F.GUEST_ES_SELECTOR, F.GUEST_ES_ACCESS_RIGHTS, F.GUEST_ES_LIMIT, F.GUEST_ES_BASE].map((first) => first + 2 * s),
]);

const GUEST: readonly Rule[] = [
  [line('CR0: actual=#, shadow=#, gh_mask=#'), [F.GUEST_CR0, F.CR0_READ_SHADOW, F.CR0_GUEST_HOST_MASK]],
  [line('CR4: actual=#, shadow=#, gh_mask=#'), [F.GUEST_CR4, F.CR4_READ_SHADOW, F.CR4_GUEST_HOST_MASK]],
  [line('CR3 = #'), [F.GUEST_CR3]],
  [line('PDPT[RE]0 = # PDPT[RE]1 = #'), [F.GUEST_PDPTE0, F.GUEST_PDPTE1]],
  [line('PDPT[RE]2 = # PDPT[RE]3 = #'), [F.GUEST_PDPTE2, F.GUEST_PDPTE3]],
  [line('RSP = #(?: \\([^)]*\\))? RIP = #'), [F.GUEST_RSP, F.GUEST_RIP]],
  [line('RFLAGS=#(?: \\([^)]*\\))? DR7 = #'), [F.GUEST_RFLAGS, F.GUEST_DR7]],
  [line('Sysenter RSP=# CS:RIP=#:#'), [F.GUEST_IA32_SYSENTER_ESP, F.GUEST_IA32_SYSENTER_CS, F.GUEST_IA32_SYSENTER_EIP]],
  ...segmentRules,
  ...tableRules,
  [line('GDTR: (?:limit=)?#,? (?:base=)?#'), [F.GUEST_GDTR_LIMIT, F.GUEST_GDTR_BASE]],
  [line('IDTR: (?:limit=)?#,? (?:base=)?#'), [F.GUEST_IDTR_LIMIT, F.GUEST_IDTR_BASE]],
  [line('EFER\\s*=\\s*#'), [GUEST_IA32_EFER]],
  [line('\\bPAT = #'), [GUEST_IA32_PAT]],
  [line('DebugCtl = # DebugExceptions = #'), [F.GUEST_IA32_DEBUGCTL, F.GUEST_PENDING_DEBUG_EXCEPTIONS]],
  [line('PerfGlobCtl = #'), [GUEST_IA32_PERF_GLOBAL_CTRL]],
  [line('Interruptibility = # ActivityState = #'), [F.GUEST_INTERRUPTIBILITY_STATE, F.GUEST_ACTIVITY_STATE]],
  [line('InterruptStatus = #'), [GUEST_INTERRUPT_STATUS]],
  [line('PreemptionTimer = #'), [F.VMX_PREEMPTION_TIMER_VALUE]],
];

const HOST: readonly Rule[] = [
  [line('RIP = #(?: \\([^)]*\\))? RSP = #'), [F.HOST_RIP, F.HOST_RSP]],
  [
    line('CS=# SS=# DS=# ES=# FS=# GS=# TR=#'),
    [
      F.HOST_CS_SELECTOR,
      F.HOST_SS_SELECTOR,
      F.HOST_DS_SELECTOR,
      F.HOST_ES_SELECTOR,
      F.HOST_FS_SELECTOR,
      F.HOST_GS_SELECTOR,
      F.HOST_TR_SELECTOR,
    ],
  ],
  [line('FSBase=# GSBase=# TRBase=#'), [F.HOST_FS_BASE, F.HOST_GS_BASE, F.HOST_TR_BASE]],
  [line('GDTBase=# IDTBase=#'), [F.HOST_GDTR_BASE, F.HOST_IDTR_BASE]],
  [line('CR0=# CR3=# CR4=#'), [F.HOST_CR0, F.HOST_CR3, F.HOST_CR4]],
  [line('Sysenter RSP=# CS:RIP=#:#'), [F.HOST_IA32_SYSENTER_ESP, F.HOST_IA32_SYSENTER_CS, F.HOST_IA32_SYSENTER_EIP]],
  [line('EFER\\s*=\\s*#'), [HOST_IA32_EFER]],
  [line('\\bPAT = #'), [HOST_IA32_PAT]],
  [line('PerfGlobCtl = #'), [HOST_IA32_PERF_GLOBAL_CTRL]],
];

const CONTROL: readonly Rule[] = [
  [line('\\bPinBased=#'), [F.PIN_BASED_VM_EXECUTION_CONTROLS]],
  [
    line('CPUBased=# SecondaryExec=#'),
    [F.PRIMARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS, F.SECONDARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS],
  ],
  [line('TertiaryExec=#'), [TERTIARY_CONTROLS]],
  [line('EntryControls=#'), [F.VM_ENTRY_CONTROLS]],
  [line('\\bExitControls=#'), [F.VM_EXIT_CONTROLS]],
  [line('SecondaryExitControls=#'), [SECONDARY_EXIT_CONTROLS]],
  [
    line('ExceptionBitmap=# PFECmask=# PFECmatch=#'),
    [F.EXCEPTION_BITMAP, F.PAGE_FAULT_ERROR_CODE_MASK, F.PAGE_FAULT_ERROR_CODE_MATCH],
  ],
  [
    line('VMEntry: intr_info=# errcode=# ilen=#'),
    [F.VM_ENTRY_INTERRUPTION_INFORMATION, F.VM_ENTRY_EXCEPTION_ERROR_CODE, F.VM_ENTRY_INSTRUCTION_LENGTH],
  ],
  [
    line('VMExit: intr_info=# errcode=# ilen=#'),
    [F.VM_EXIT_INTERRUPTION_INFORMATION, F.VM_EXIT_INTERRUPTION_ERROR_CODE, F.VM_EXIT_INSTRUCTION_LENGTH],
  ],
  [line('reason=# qualification=#'), [F.EXIT_REASON, F.EXIT_QUALIFICATION]],
  [line('IDTVectoring: info=# errcode=#'), [F.IDT_VECTORING_INFORMATION, F.IDT_VECTORING_ERROR_CODE]],
  [line('TSC Offset = #'), [F.TSC_OFFSET]],
  [line('TSC Multiplier = #'), [TSC_MULTIPLIER]],
  [line('TPR Threshold = #'), [TPR_THRESHOLD]],
  [line('APIC-access addr = #'), [APIC_ACCESS_ADDRESS]],
  [line('virt-APIC addr = #'), [VIRTUAL_APIC_ADDRESS]],
  [line('PostedIntrVec = #'), [POSTED_INTERRUPT_VECTOR]],
  [line('EPT pointer = #'), [F.EPT_POINTER]],
  [line('EPTP index = #'), [EPTP_INDEX]],
  [line('PLE Gap=# Window=#'), [PLE_GAP, PLE_WINDOW]],
  [line('Virtual processor ID = #'), [F.VIRTUAL_PROCESSOR_IDENTIFIER]],
  [line('VMfunc controls = #'), [VM_FUNCTION_CONTROLS]],
];

const SECTIONS: readonly (readonly [heading: RegExp, rules: readonly Rule[]])[] = [
  [/\*\*\* Guest State \*\*\*/, GUEST],
  [/\*\*\* Host State \*\*\*/, HOST],
  [/\*\*\* Control State \*\*\*/, CONTROL],
];

/** Time stamps, levels and names in front of a line: `[  58.012471] kvm_intel: `, `(XEN) `, `Sep  8 22:52:20 host kernel: `, `<3>`. */
const PREFIX =
  /^(?:<\d+>)?(?:[A-Z][a-z]{2}\s+\d+ [\d:]+ \S+ )?(?:kernel: ?)?(?:\(XEN\) )?(?:\[[^\]]*\]\s?)*(?:kvm_intel: ?)?/;

/** Does the text contain such a dump? */
export const isKvmDump = (text: string): boolean => /\*\*\* Guest State \*\*\*/.test(text);

/** Capabilities of a processor that nobody has described: it offers all there is. */
export function unknownProcessor(): VmxCapabilities {
  const base = vmxCapabilities();
  const anything = ({ allowed0 }: { allowed0: number }) => ({ allowed0, allowed1: -1 });
  return {
    ...base,
    pinBased: anything(base.pinBased),
    primary: anything(base.primary),
    secondary: anything(base.secondary),
    exit: anything(base.exit),
    entry: anything(base.entry),
    cr4Fixed1: -1,
    debugctl: -1,
    physicalAddressBits: 52,
    cr3Targets: 256,
    activityStates: 7,
    eptVpid: { lo: -1, hi: -1 },
  };
}

const halves = (digits: string): U64 => {
  const padded = digits.padStart(16, '0');
  return { lo: Number.parseInt(padded.slice(-8), 16) | 0, hi: Number.parseInt(padded.slice(-16, -8), 16) | 0 };
};

/** The last dump in a kernel log. Throws InvalidInput where there is none. `capabilities`: of the processor that printed it. */
export function parseKvmDump(text: string, capabilities: VmxCapabilities = unknownProcessor()): VmcsImage {
  let image: VmcsImage | null = null;
  let rules: readonly Rule[] = [];
  for (const raw of text.split(/\r?\n/)) {
    const heading = SECTIONS.find(([pattern]) => pattern.test(raw));
    if (heading !== undefined) {
      if (heading[1] === GUEST) image = new VmcsImage(capabilities);
      rules = heading[1];
      continue;
    }
    if (image === null) continue;
    const body = raw.replace(PREFIX, '');
    for (const [pattern, fields] of rules) {
      const found = pattern.exec(body);
      if (found === null) continue;
      fields.forEach((field, n) => {
        const digits = found[n + 1];
        if (digits === undefined || digits.length > 16) return;
        const { lo, hi } = halves(digits);
        image?.set(field, lo, hi);
      });
    }
  }
  if (image === null) throw new InvalidInput('there is no VMCS dump in this text: no line says "*** Guest State ***"');
  if (!image.knows(F.GUEST_CR0)) throw new InvalidInput('the VMCS dump is cut off: no line starts with "CR0: actual="');
  return image;
}
