/** VMCS field encodings (SDM Vol. 3, Appendix B, "Field Encoding in VMCS"), under the headings of that appendix.
 *
 *  Bit 0 access type (1: high half of a 64-bit field), 9:1 index, 11:10 type (control, read-only data, guest state, host state),
 *  14:13 width (16 bits, 64 bits, 32 bits, natural, which is 32 bits on a processor without Intel 64).
 *
 *  Whether a processor has a field depends on the controls that it offers (capabilities.ts). Left out altogether, because no model offers
 *  the control that brings them: XSS-exiting bitmap, sub-page permissions, tertiary controls, HLAT, secondary VM-exit controls. */

// B.1.1 16-bit control fields
export const VIRTUAL_PROCESSOR_IDENTIFIER = 0x0000;
export const POSTED_INTERRUPT_NOTIFICATION_VECTOR = 0x0002;
export const EPTP_INDEX = 0x0004;

// B.1.2 16-bit guest-state fields
export const GUEST_ES_SELECTOR = 0x0800;
export const GUEST_CS_SELECTOR = 0x0802;
export const GUEST_SS_SELECTOR = 0x0804;
export const GUEST_DS_SELECTOR = 0x0806;
export const GUEST_FS_SELECTOR = 0x0808;
export const GUEST_GS_SELECTOR = 0x080a;
export const GUEST_LDTR_SELECTOR = 0x080c;
export const GUEST_TR_SELECTOR = 0x080e;
export const GUEST_INTERRUPT_STATUS = 0x0810;
export const PML_INDEX = 0x0812;

// B.1.3 16-bit host-state fields
export const HOST_ES_SELECTOR = 0x0c00;
export const HOST_CS_SELECTOR = 0x0c02;
export const HOST_SS_SELECTOR = 0x0c04;
export const HOST_DS_SELECTOR = 0x0c06;
export const HOST_FS_SELECTOR = 0x0c08;
export const HOST_GS_SELECTOR = 0x0c0a;
export const HOST_TR_SELECTOR = 0x0c0c;

// B.2.1 64-bit control fields
export const IO_BITMAP_A_ADDRESS = 0x2000;
export const IO_BITMAP_B_ADDRESS = 0x2002;
export const MSR_BITMAP_ADDRESS = 0x2004;
export const VM_EXIT_MSR_STORE_ADDRESS = 0x2006;
export const VM_EXIT_MSR_LOAD_ADDRESS = 0x2008;
export const VM_ENTRY_MSR_LOAD_ADDRESS = 0x200a;
export const EXECUTIVE_VMCS_POINTER = 0x200c;
export const PML_ADDRESS = 0x200e;
export const TSC_OFFSET = 0x2010;
export const VIRTUAL_APIC_ADDRESS = 0x2012;
export const APIC_ACCESS_ADDRESS = 0x2014;
export const POSTED_INTERRUPT_DESCRIPTOR_ADDRESS = 0x2016;
export const VM_FUNCTION_CONTROLS = 0x2018;
export const EPT_POINTER = 0x201a;
export const EOI_EXIT_BITMAP_0 = 0x201c;
export const EOI_EXIT_BITMAP_1 = 0x201e;
export const EOI_EXIT_BITMAP_2 = 0x2020;
export const EOI_EXIT_BITMAP_3 = 0x2022;
export const EPTP_LIST_ADDRESS = 0x2024;
export const VMREAD_BITMAP_ADDRESS = 0x2026;
export const VMWRITE_BITMAP_ADDRESS = 0x2028;
export const VIRTUALIZATION_EXCEPTION_INFORMATION_ADDRESS = 0x202a;
export const TSC_MULTIPLIER = 0x2032;

// B.2.2 64-bit read-only data field
export const GUEST_PHYSICAL_ADDRESS = 0x2400;

// B.2.3 64-bit guest-state fields
export const VMCS_LINK_POINTER = 0x2800;
export const GUEST_IA32_DEBUGCTL = 0x2802;
export const GUEST_IA32_PAT = 0x2804;
export const GUEST_IA32_EFER = 0x2806;
export const GUEST_IA32_PERF_GLOBAL_CTRL = 0x2808;
export const GUEST_PDPTE0 = 0x280a;
export const GUEST_PDPTE1 = 0x280c;
export const GUEST_PDPTE2 = 0x280e;
export const GUEST_PDPTE3 = 0x2810;

// B.2.4 64-bit host-state fields
export const HOST_IA32_PAT = 0x2c00;
export const HOST_IA32_EFER = 0x2c02;
export const HOST_IA32_PERF_GLOBAL_CTRL = 0x2c04;

// B.3.1 32-bit control fields
export const PIN_BASED_VM_EXECUTION_CONTROLS = 0x4000;
export const PRIMARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS = 0x4002;
export const EXCEPTION_BITMAP = 0x4004;
export const PAGE_FAULT_ERROR_CODE_MASK = 0x4006;
export const PAGE_FAULT_ERROR_CODE_MATCH = 0x4008;
export const CR3_TARGET_COUNT = 0x400a;
export const VM_EXIT_CONTROLS = 0x400c;
export const VM_EXIT_MSR_STORE_COUNT = 0x400e;
export const VM_EXIT_MSR_LOAD_COUNT = 0x4010;
export const VM_ENTRY_CONTROLS = 0x4012;
export const VM_ENTRY_MSR_LOAD_COUNT = 0x4014;
export const VM_ENTRY_INTERRUPTION_INFORMATION = 0x4016;
export const VM_ENTRY_EXCEPTION_ERROR_CODE = 0x4018;
export const VM_ENTRY_INSTRUCTION_LENGTH = 0x401a;
export const TPR_THRESHOLD = 0x401c;
export const SECONDARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS = 0x401e;
export const PLE_GAP = 0x4020;
export const PLE_WINDOW = 0x4022;

// B.3.2 32-bit read-only data fields
export const VM_INSTRUCTION_ERROR = 0x4400;
export const EXIT_REASON = 0x4402;
export const VM_EXIT_INTERRUPTION_INFORMATION = 0x4404;
export const VM_EXIT_INTERRUPTION_ERROR_CODE = 0x4406;
export const IDT_VECTORING_INFORMATION = 0x4408;
export const IDT_VECTORING_ERROR_CODE = 0x440a;
export const VM_EXIT_INSTRUCTION_LENGTH = 0x440c;
export const VM_EXIT_INSTRUCTION_INFORMATION = 0x440e;

// B.3.3 32-bit guest-state fields
export const GUEST_ES_LIMIT = 0x4800;
export const GUEST_CS_LIMIT = 0x4802;
export const GUEST_SS_LIMIT = 0x4804;
export const GUEST_DS_LIMIT = 0x4806;
export const GUEST_FS_LIMIT = 0x4808;
export const GUEST_GS_LIMIT = 0x480a;
export const GUEST_LDTR_LIMIT = 0x480c;
export const GUEST_TR_LIMIT = 0x480e;
export const GUEST_GDTR_LIMIT = 0x4810;
export const GUEST_IDTR_LIMIT = 0x4812;
export const GUEST_ES_ACCESS_RIGHTS = 0x4814;
export const GUEST_CS_ACCESS_RIGHTS = 0x4816;
export const GUEST_SS_ACCESS_RIGHTS = 0x4818;
export const GUEST_DS_ACCESS_RIGHTS = 0x481a;
export const GUEST_FS_ACCESS_RIGHTS = 0x481c;
export const GUEST_GS_ACCESS_RIGHTS = 0x481e;
export const GUEST_LDTR_ACCESS_RIGHTS = 0x4820;
export const GUEST_TR_ACCESS_RIGHTS = 0x4822;
export const GUEST_INTERRUPTIBILITY_STATE = 0x4824;
export const GUEST_ACTIVITY_STATE = 0x4826;
export const GUEST_SMBASE = 0x4828;
export const GUEST_IA32_SYSENTER_CS = 0x482a;
export const VMX_PREEMPTION_TIMER_VALUE = 0x482e;

// B.3.4 32-bit host-state field
export const HOST_IA32_SYSENTER_CS = 0x4c00;

// B.4.1 natural-width control fields
export const CR0_GUEST_HOST_MASK = 0x6000;
export const CR4_GUEST_HOST_MASK = 0x6002;
export const CR0_READ_SHADOW = 0x6004;
export const CR4_READ_SHADOW = 0x6006;
export const CR3_TARGET_VALUE_0 = 0x6008;
export const CR3_TARGET_VALUE_1 = 0x600a;
export const CR3_TARGET_VALUE_2 = 0x600c;
export const CR3_TARGET_VALUE_3 = 0x600e;

// B.4.2 natural-width read-only data fields
export const EXIT_QUALIFICATION = 0x6400;
export const IO_RCX = 0x6402;
export const IO_RSI = 0x6404;
export const IO_RDI = 0x6406;
export const IO_RIP = 0x6408;
export const GUEST_LINEAR_ADDRESS = 0x640a;

// B.4.3 natural-width guest-state fields
export const GUEST_CR0 = 0x6800;
export const GUEST_CR3 = 0x6802;
export const GUEST_CR4 = 0x6804;
export const GUEST_ES_BASE = 0x6806;
export const GUEST_CS_BASE = 0x6808;
export const GUEST_SS_BASE = 0x680a;
export const GUEST_DS_BASE = 0x680c;
export const GUEST_FS_BASE = 0x680e;
export const GUEST_GS_BASE = 0x6810;
export const GUEST_LDTR_BASE = 0x6812;
export const GUEST_TR_BASE = 0x6814;
export const GUEST_GDTR_BASE = 0x6816;
export const GUEST_IDTR_BASE = 0x6818;
export const GUEST_DR7 = 0x681a;
export const GUEST_RSP = 0x681c;
export const GUEST_RIP = 0x681e;
export const GUEST_RFLAGS = 0x6820;
export const GUEST_PENDING_DEBUG_EXCEPTIONS = 0x6822;
export const GUEST_IA32_SYSENTER_ESP = 0x6824;
export const GUEST_IA32_SYSENTER_EIP = 0x6826;

// B.4.4 natural-width host-state fields
export const HOST_CR0 = 0x6c00;
export const HOST_CR3 = 0x6c02;
export const HOST_CR4 = 0x6c04;
export const HOST_FS_BASE = 0x6c06;
export const HOST_GS_BASE = 0x6c08;
export const HOST_TR_BASE = 0x6c0a;
export const HOST_GDTR_BASE = 0x6c0c;
export const HOST_IDTR_BASE = 0x6c0e;
export const HOST_IA32_SYSENTER_ESP = 0x6c10;
export const HOST_IA32_SYSENTER_EIP = 0x6c12;
export const HOST_RSP = 0x6c14;
export const HOST_RIP = 0x6c16;
