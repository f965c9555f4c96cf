/** Layout of the register file: one Int32Array per processor. Indices, not values.
 *  The hot loop, the instruction semantics, VMX state tables and snapshots all name registers by these. */

export const EAX = 0;
export const ECX = 1;
export const EDX = 2;
export const EBX = 3;
export const ESP = 4;
export const EBP = 5;
export const ESI = 6;
export const EDI = 7;
/** Always 0: the base or index of an address that has none. */
export const ZERO = 8;
/** Offset in CS of the next instruction. */
export const EIP = 9;
/** Lazy flags: how the arithmetic flags follow from A and R (cpu/flags.ts). 0: they stand in EFLAGS. */
export const FLAG_KIND = 10;
export const FLAG_A = 11;
export const FLAG_R = 12;
/** Result of an INC or DEC that left CF alone (cpu/flags.ts). */
export const FLAG_STEP = 20;
/** Which of the code cache's block flavours applies; −1 after anything it depends on has changed (cpu/mode.ts). */
export const MODE = 21;
/** Base in the fast tables of the context for implicit supervisor accesses (mmu). */
export const SYSTEM_CONTEXT = 22;
/** All bits but the arithmetic ones (CF PF AF ZF SF OF), which count only while FLAG_KIND is 0. Bit 1 is always set. */
export const EFLAGS = 13;
export const CPL = 14;
/** Base in the fast tables of the context in force (mmu). */
export const CONTEXT = 15;
/** Non-zero: the loop has to return to its caller at the next instruction boundary. Bits: EVENT_*. */
export const EVENTS = 16;
/** VMX interruptibility-state bits: 0 blocking by STI, 1 by MOV SS, 3 by NMI. */
export const INTERRUPTIBILITY = 17;
/** VMX activity state: 0 active, 1 HLT, 2 shutdown, 3 wait-for-SIPI. */
export const ACTIVITY = 18;
/** Offset in CS of the instruction that is executing (valid inside handlers). */
export const START_EIP = 19;

/** Segment registers, by the manual's numbering; LDTR and TR follow. Use as SEG_BASE + CS. */
export const ES = 0;
export const CS = 1;
export const SS_ = 2;
export const DS = 3;
export const FS = 4;
export const GS = 5;
export const LDTR = 6;
export const TR = 7;
export const SEG_SELECTOR = 32;
export const SEG_BASE = 40;
/** Byte-granular limit, as the hidden part holds it. */
export const SEG_LIMIT = 48;
/** Access rights in VMX's format: 3:0 type, 4 S, 6:5 DPL, 7 P, 12 AVL, 14 D/B, 15 G, 16 unusable. */
export const SEG_ACCESS = 56;

export const GDTR_BASE = 64;
export const GDTR_LIMIT = 65;
export const IDTR_BASE = 66;
export const IDTR_LIMIT = 67;
export const CR0 = 68;
export const CR2 = 69;
export const CR3 = 70;
export const CR4 = 71;
export const DR0 = 72;
export const DR6 = 76;
export const DR7 = 77;
export const SYSENTER_CS = 78;
export const SYSENTER_ESP = 79;
export const SYSENTER_EIP = 80;
/** IA32_EFER, low half: the high one has no bits. */
export const EFER = 95;
/** The four PDPTE registers of PAE paging, two words each, the low one first. */
export const PDPTE = 96;
/** Debug exceptions of finished instructions that are not delivered yet, in the format of VMX's field (SDM Vol. 3, "Pending Debug
 *  Exceptions"): B0 to B3, bit 12 if one of them is enabled, BS; and BT, which that field does not have. */
export const PENDING_DEBUG = 81;
/** Data and I/O breakpoints that the instruction or delivery under way has met, in the same format. */
export const DEBUG_HITS = 82;
/** IA32_DEBUGCTL. */
export const DEBUGCTL = 83;
/** Why instructions have to be executed one at a time, besides EFLAGS: bits DEBUG_BREAKPOINTS, DEBUG_MONITOR. */
export const DEBUG_WATCH = 84;
/** Memory-type and other MSRs live in their own map (cpu/msr.ts). */
export const REGISTER_FILE_WORDS = 128;

/** EVENTS bits. */
export const EVENT_INTERRUPT = 1; // the interrupt line is raised and IF allows it, or a window opened
export const EVENT_HALT = 2; // activity state is not active
export const EVENT_BOUNDARY = 4; // the execution monitor wants to look at the boundary
export const EVENT_STOP = 8; // somebody asked the run to stop
export const EVENT_DEBUG = 16; // a debug exception is pending, or TF, RF, a breakpoint or the monitor wants single instructions

/** DEBUG_WATCH bits. */
export const DEBUG_BREAKPOINTS = 1; // DR7 enables a breakpoint
export const DEBUG_MONITOR = 2; // the execution monitor has its trap flag set

/** Bits of DR6 and of pending debug exceptions. */
export const DEBUG_B = 0xf;
export const DEBUG_ENABLED = 0x1000; // pending only: one of B0 to B3 is enabled in DR7
export const DEBUG_BD = 0x2000;
export const DEBUG_BS = 0x4000;
export const DEBUG_BT = 0x8000;
/** Bits of DR6 that are always 1, and of DR7. */
export const DR6_FIXED = 0xffff_0ff0 | 0;
export const DR7_FIXED = 0x400;

/** Access-rights bits. */
export const AR_S = 0x10;
export const AR_P = 0x80;
export const AR_DB = 0x4000;
export const AR_G = 0x8000;
export const AR_UNUSABLE = 0x1_0000;

/** EFLAGS bits. */
export const FLAG_CF = 0x1;
export const FLAG_PF = 0x4;
export const FLAG_AF = 0x10;
export const FLAG_ZF = 0x40;
export const FLAG_SF = 0x80;
export const FLAG_TF = 0x100;
export const FLAG_IF = 0x200;
export const FLAG_DF = 0x400;
export const FLAG_OF = 0x800;
export const FLAG_IOPL = 0x3000;
export const FLAG_NT = 0x4000;
export const FLAG_RF = 0x1_0000;
export const FLAG_VM = 0x2_0000;
export const FLAG_AC = 0x4_0000;
export const FLAG_VIF = 0x8_0000;
export const FLAG_VIP = 0x10_0000;
export const FLAG_ID = 0x20_0000;
export const ARITHMETIC_FLAGS = 0x8d5;

/** Control-register bits. */
export const CR0_PE = 0x1;
export const CR0_MP = 0x2;
export const CR0_EM = 0x4;
export const CR0_TS = 0x8;
export const CR0_ET = 0x10;
export const CR0_NE = 0x20;
export const CR0_WP = 0x1_0000;
export const CR0_AM = 0x4_0000;
export const CR0_NW = 0x2000_0000;
export const CR0_CD = 0x4000_0000;
export const CR0_PG = 0x8000_0000 | 0;
export const CR4_VME = 0x1;
export const CR4_PVI = 0x2;
export const CR4_TSD = 0x4;
export const CR4_DE = 0x8;
export const CR4_PSE = 0x10;
export const CR4_PAE = 0x20;
export const CR4_MCE = 0x40;
export const CR4_PGE = 0x80;
export const CR4_PCE = 0x100;
export const CR4_VMXE = 0x2000;
export const CR4_SMEP = 0x10_0000;
export const CR4_SMAP = 0x20_0000;

/** IA32_EFER: execute-disable bit enable. */
export const EFER_NXE = 0x800;

/** Index in the byte view of the register file of an 8-bit register: AL CL DL BL AH CH DH BH. */
export const byteRegister = (register: number): number => ((register & 3) << 2) | (register >> 2);
