/** Why something of the manual's lists is not there. By the names that the lists give it, or the code. */

const SMM = 'there is no system-management mode, hence no dual-monitor treatment of it';
const POSTED = 'comes with a local APIC, which sends the notification';
const SSE = 'the processor model does not know the instruction: #UD, and CPUID does not show it';
const MONITOR =
  'MONITOR and MWAIT are undefined instructions here, and CPUID does not show them: everything that can write would have to tell a waiting processor';
const XSAVE = 'the processor model has no XSAVE';
const TERTIARY = 'the tertiary controls need Intel 64, or features that this model does not have';

export const ABSENT: Readonly<Record<string, string>> = {
  POSTED_INTERRUPT_NOTIFICATION_VECTOR: POSTED,
  POSTED_INTERRUPT_DESCRIPTOR_ADDRESS: POSTED,
  'process posted interrupts': POSTED,
  XSS_EXITING_BITMAP: XSAVE,
  'enable XSAVES/XRSTORS': XSAVE,
  XSAVES: XSAVE,
  XRSTORS: XSAVE,
  XSETBV: XSAVE,
  SUB_PAGE_PERMISSION_TABLE_POINTER: 'sub-page permissions are not modelled',
  'sub-page write permissions for EPT': 'not modelled',
  SPP_RELATED_EVENT: 'sub-page permissions are not modelled',
  'mode-based execute control for EPT': 'not modelled',
  TERTIARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS: TERTIARY,
  'activate tertiary controls': TERTIARY,
  HYPERVISOR_LINEAR_ADDRESS_TRANSLATION_POINTER: TERTIARY,
  SECONDARY_VM_EXIT_CONTROLS: 'its only controls are about FRED and shadow stacks',
  'activate secondary controls': 'its only controls are about FRED and shadow stacks',
  'MWAIT exiting': MONITOR,
  'MONITOR exiting': MONITOR,
  MWAIT: MONITOR,
  MONITOR,
  'RDRAND exiting': SSE,
  'RDSEED exiting': SSE,
  RDRAND: SSE,
  RDSEED: SSE,
  'enable INVPCID': 'process-context identifiers need Intel 64',
  INVPCID: 'process-context identifiers need Intel 64',
  'enable user wait and pause': SSE,
  IO_SMI: SMM,
  OTHER_SMI: SMM,
  RSM: 'RSM is an undefined instruction outside system-management mode, and there is none',
  GETSEC: 'CR4.SMXE does not exist, so GETSEC is an undefined instruction',
  ENTRY_FAILURE_MACHINE_CHECK: 'nothing produces it: there are no machine checks',
  'VMRESUME after VMXOFF': 'VMXOFF forgets what active VMCSs held; one that is loaded again is not launched (error 5)',
  'VM entry with invalid executive-VMCS pointer': SMM,
  'VM entry with non-launched executive VMCS': SMM,
  'VM entry with executive-VMCS pointer not VMXON pointer': SMM,
  'VMCALL with non-clear VMCS': SMM,
  'VMCALL with invalid VM-exit control fields': SMM,
  'VMCALL with incorrect MSEG revision identifier': SMM,
  'VMXOFF under dual-monitor treatment': SMM,
  'VMCALL with invalid SMM-monitor features': SMM,
  'VM entry with invalid VM-execution control fields in executive VMCS': SMM,
};
