/** Basic exit reasons (SDM Vol. 3, Appendix C, "VMX Basic Exit Reasons"), and the VM-instruction error numbers. */

export const EXIT = {
  EXCEPTION_OR_NMI: 0,
  EXTERNAL_INTERRUPT: 1,
  TRIPLE_FAULT: 2,
  INIT: 3,
  SIPI: 4,
  IO_SMI: 5,
  OTHER_SMI: 6,
  INTERRUPT_WINDOW: 7,
  NMI_WINDOW: 8,
  TASK_SWITCH: 9,
  CPUID: 10,
  GETSEC: 11,
  HLT: 12,
  INVD: 13,
  INVLPG: 14,
  RDPMC: 15,
  RDTSC: 16,
  RSM: 17,
  VMCALL: 18,
  VMCLEAR: 19,
  VMLAUNCH: 20,
  VMPTRLD: 21,
  VMPTRST: 22,
  VMREAD: 23,
  VMRESUME: 24,
  VMWRITE: 25,
  VMXOFF: 26,
  VMXON: 27,
  CR_ACCESS: 28,
  MOV_DR: 29,
  IO_INSTRUCTION: 30,
  RDMSR: 31,
  WRMSR: 32,
  ENTRY_FAILURE_GUEST_STATE: 33,
  ENTRY_FAILURE_MSR_LOADING: 34,
  MWAIT: 36,
  MONITOR_TRAP_FLAG: 37,
  MONITOR: 39,
  PAUSE: 40,
  ENTRY_FAILURE_MACHINE_CHECK: 41,
  TPR_BELOW_THRESHOLD: 43,
  APIC_ACCESS: 44,
  VIRTUALIZED_EOI: 45,
  GDTR_OR_IDTR: 46,
  LDTR_OR_TR: 47,
  EPT_VIOLATION: 48,
  EPT_MISCONFIGURATION: 49,
  INVEPT: 50,
  RDTSCP: 51,
  PREEMPTION_TIMER: 52,
  INVVPID: 53,
  WBINVD: 54,
  XSETBV: 55,
  APIC_WRITE: 56,
  RDRAND: 57,
  INVPCID: 58,
  VMFUNC: 59,
  RDSEED: 61,
  PML_FULL: 62,
} as const;

/** Bit 31 of the exit-reason field: the VM entry failed. */
export const ENTRY_FAILURE = (1 << 31) | 0;
/** Exit reasons are below this number. */
export const EXIT_REASONS = 70;

/** One line for each basic exit reason. */
const TEXTS: Readonly<Record<number, string>> = {
  [EXIT.EXCEPTION_OR_NMI]: 'exception or NMI',
  [EXIT.EXTERNAL_INTERRUPT]: 'external interrupt',
  [EXIT.TRIPLE_FAULT]: 'triple fault',
  [EXIT.INIT]: 'INIT signal',
  [EXIT.SIPI]: 'start-up IPI',
  [EXIT.IO_SMI]: 'I/O system-management interrupt',
  [EXIT.OTHER_SMI]: 'other system-management interrupt',
  [EXIT.INTERRUPT_WINDOW]: 'interrupt window',
  [EXIT.NMI_WINDOW]: 'NMI window',
  [EXIT.TASK_SWITCH]: 'task switch',
  [EXIT.CPUID]: 'CPUID',
  [EXIT.GETSEC]: 'GETSEC',
  [EXIT.HLT]: 'HLT',
  [EXIT.INVD]: 'INVD',
  [EXIT.INVLPG]: 'INVLPG',
  [EXIT.RDPMC]: 'RDPMC',
  [EXIT.RDTSC]: 'RDTSC',
  [EXIT.RSM]: 'RSM',
  [EXIT.VMCALL]: 'VMCALL',
  [EXIT.VMCLEAR]: 'VMCLEAR',
  [EXIT.VMLAUNCH]: 'VMLAUNCH',
  [EXIT.VMPTRLD]: 'VMPTRLD',
  [EXIT.VMPTRST]: 'VMPTRST',
  [EXIT.VMREAD]: 'VMREAD',
  [EXIT.VMRESUME]: 'VMRESUME',
  [EXIT.VMWRITE]: 'VMWRITE',
  [EXIT.VMXOFF]: 'VMXOFF',
  [EXIT.VMXON]: 'VMXON',
  [EXIT.CR_ACCESS]: 'control-register access',
  [EXIT.MOV_DR]: 'MOV DR',
  [EXIT.IO_INSTRUCTION]: 'I/O instruction',
  [EXIT.RDMSR]: 'RDMSR',
  [EXIT.WRMSR]: 'WRMSR',
  [EXIT.ENTRY_FAILURE_GUEST_STATE]: 'VM-entry failure due to invalid guest state',
  [EXIT.ENTRY_FAILURE_MSR_LOADING]: 'VM-entry failure due to MSR loading',
  [EXIT.MWAIT]: 'MWAIT',
  [EXIT.MONITOR_TRAP_FLAG]: 'monitor trap flag',
  [EXIT.MONITOR]: 'MONITOR',
  [EXIT.PAUSE]: 'PAUSE',
  [EXIT.ENTRY_FAILURE_MACHINE_CHECK]: 'VM-entry failure due to machine-check event',
  [EXIT.TPR_BELOW_THRESHOLD]: 'TPR below threshold',
  [EXIT.APIC_ACCESS]: 'APIC access',
  [EXIT.VIRTUALIZED_EOI]: 'virtualized EOI',
  [EXIT.GDTR_OR_IDTR]: 'access to GDTR or IDTR',
  [EXIT.LDTR_OR_TR]: 'access to LDTR or TR',
  [EXIT.EPT_VIOLATION]: 'EPT violation',
  [EXIT.EPT_MISCONFIGURATION]: 'EPT misconfiguration',
  [EXIT.INVEPT]: 'INVEPT',
  [EXIT.RDTSCP]: 'RDTSCP',
  [EXIT.PREEMPTION_TIMER]: 'VMX-preemption timer expired',
  [EXIT.INVVPID]: 'INVVPID',
  [EXIT.WBINVD]: 'WBINVD',
  [EXIT.XSETBV]: 'XSETBV',
  [EXIT.APIC_WRITE]: 'APIC write',
  [EXIT.RDRAND]: 'RDRAND',
  [EXIT.INVPCID]: 'INVPCID',
  [EXIT.VMFUNC]: 'VMFUNC',
  [EXIT.RDSEED]: 'RDSEED',
  [EXIT.PML_FULL]: 'page-modification log full',
};

/** What an exit reason means, in a few words. Takes the whole exit-reason field. */
export function exitReasonText(reason: number): string {
  return TEXTS[reason & 0xffff] ?? `exit reason ${reason & 0xffff}`;
}

/** The short name of a basic exit reason as the constants have it (EPT_VIOLATION); for statistics and traces. */
export function exitReasonName(reason: number): string {
  const found = Object.entries(EXIT).find(([, number]) => number === (reason & 0xffff));
  return found === undefined ? `REASON_${reason & 0xffff}` : found[0];
}

/** VM-instruction error numbers (SDM Vol. 3, "VM Instruction Error Numbers"). */
export const VM_ERROR = {
  VMCALL_IN_ROOT: 1,
  VMCLEAR_INVALID_ADDRESS: 2,
  VMCLEAR_VMXON_POINTER: 3,
  VMLAUNCH_NON_CLEAR: 4,
  VMRESUME_NON_LAUNCHED: 5,
  VMRESUME_AFTER_VMXOFF: 6,
  ENTRY_INVALID_CONTROL: 7,
  ENTRY_INVALID_HOST_STATE: 8,
  VMPTRLD_INVALID_ADDRESS: 9,
  VMPTRLD_VMXON_POINTER: 10,
  VMPTRLD_INCORRECT_REVISION: 11,
  UNSUPPORTED_COMPONENT: 12,
  READ_ONLY_COMPONENT: 13,
  VMXON_IN_ROOT: 15,
  ENTRY_MOV_SS_BLOCKING: 26,
  INVALID_INVALIDATION_OPERAND: 28,
} as const;

const ERROR_TEXTS: Readonly<Record<number, string>> = {
  0: 'VMfailInvalid: there is no current VMCS, or the operand names no usable region',
  1: 'VMCALL executed in VMX root operation',
  2: 'VMCLEAR with invalid physical address',
  3: 'VMCLEAR with VMXON pointer',
  4: 'VMLAUNCH with non-clear VMCS',
  5: 'VMRESUME with non-launched VMCS',
  6: 'VMRESUME after VMXOFF',
  7: 'VM entry with invalid control field(s)',
  8: 'VM entry with invalid host-state field(s)',
  9: 'VMPTRLD with invalid physical address',
  10: 'VMPTRLD with VMXON pointer',
  11: 'VMPTRLD with incorrect VMCS revision identifier',
  12: 'VMREAD/VMWRITE from/to unsupported VMCS component',
  13: 'VMWRITE to read-only VMCS component',
  15: 'VMXON executed in VMX root operation',
  26: 'VM entry with events blocked by MOV SS',
  28: 'invalid operand to INVEPT/INVVPID',
};

/** What a VM-instruction error number means. */
export function vmErrorText(error: number): string {
  return ERROR_TEXTS[error] ?? `VM-instruction error ${error}`;
}

/** Indicators of a VMX abort (SDM Vol. 3, "VMX Aborts"). */
export const VMX_ABORT = {
  SAVING_GUEST_MSRS: 1,
  HOST_PDPTES: 2,
  VMCS_CORRUPTED: 3,
  LOADING_HOST_MSRS: 4,
  MACHINE_CHECK: 5,
} as const;
