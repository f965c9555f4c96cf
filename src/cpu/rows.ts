import type { Instruction } from './instruction.ts';
import type { UnimplementedFeature } from './opcodes/features.ts';
import type { Semantics } from './opcodes/semantics.ts';

/** Opcode rows: what one line of the manual's opcode map says (SDM Vol. 2, Appendix A).
 *
 *  Operand codes are the manual's: a letter for how the operand is addressed (E G M R I J O X Y S C D Z A, and
 *  1 for the constant), a letter for its size (b w d v z p a q s). Registers by name: AL, rAX, eAX, CL, DX, ES …
 *  `Z` is a register in the opcode's low three bits: such a row covers eight opcodes, less those that have a row of
 *  their own (90 is NOP). Where the manual leaves it to a footnote, sIb is a byte that is sign-extended to the operand
 *  size; an Ib is not. Rv/Mw is a register of the operand size, or a word in memory. STi is ST(rm). */
export type OperandCode =
  | 'Eb'
  | 'Ew'
  | 'Ed'
  | 'Ev'
  | 'Gb'
  | 'Gw'
  | 'Gd'
  | 'Gv'
  | 'Rd'
  | 'Rv/Mw'
  | 'Zb'
  | 'Zv'
  | 'M' // address only, or a size that the mnemonic tells
  | 'Mw'
  | 'Md'
  | 'Mq'
  | 'Mt' // ten bytes
  | 'Mdq' // 16 bytes
  | 'Ma' // pair of bounds
  | 'Mp' // far pointer
  | 'Ms' // descriptor-table register: limit and base
  | 'Ib'
  | 'sIb'
  | 'Iw'
  | 'Iv'
  | 'Iz'
  | 'Jb'
  | 'Jz'
  | 'Ap'
  | 'Ob'
  | 'Ov'
  | 'Xb'
  | 'Xv'
  | 'Xz'
  | 'Yb'
  | 'Yv'
  | 'Yz'
  | 'Sw'
  | 'Cd'
  | 'Dd'
  | 'AL'
  | 'AX'
  | 'rAX'
  | 'eAX'
  | 'CL'
  | 'DX'
  | 'ES'
  | 'CS'
  | 'SS'
  | 'DS'
  | 'FS'
  | 'GS'
  | 'ST0'
  | 'STi'
  | '1';

/** Instructions that leave VMX non-root operation, always or by a control; named as the manual's exit reasons. */
export type ExitName =
  | 'HLT'
  | 'CPUID'
  | 'INVD'
  | 'WBINVD'
  | 'INVLPG'
  | 'RDPMC'
  | 'RDTSC'
  | 'RDTSCP'
  | 'RDMSR'
  | 'WRMSR'
  | 'PAUSE'
  | 'IO'
  | 'CR'
  | 'DR'
  | 'VMX'
  | 'GDTR_IDTR'
  | 'LDTR_TR'
  | 'RSM'
  | 'GETSEC'
  | 'TASK_SWITCH';

/** What must hold before anything else of the instruction is looked at. */
export type PrivilegeCheck =
  | 'cpl0' // CPL must be 0, else #GP(0)
  | 'iopl' // CPL ≤ IOPL, else #GP(0) (CLI, STI; I/O instructions look at the TSS bitmap themselves)
  | 'late cpl0' // the same, but behind the VM exit, and so the handler's matter (MOV of debug registers)
  | 'protected' // #UD in real and virtual-8086 mode
  | 'protected cpl0'; // first the one, then the other

export type FlagSet = number; // EFLAGS bits

export interface Row {
  /** Place in the table of all rows. */
  number: number;
  /** 1: one-byte map, 2: 0F map, 3: 0F 38 map. */
  map: 1 | 2 | 3;
  opcode: number;
  /** ModRM.reg that selects this row in an opcode group, −1 if none. */
  extension: number;
  /** Mandatory prefix that is part of the opcode: 0x66, 0xF2, 0xF3; 0 none allowed to matter. */
  prefix: 0 | 0x66 | 0xf2 | 0xf3;
  /** 66, F2 and F3 other than `prefix` make it #UD (the manual's NP); else they keep their general meaning. */
  strictPrefix: boolean;
  /** Restricts ModRM.mod: 'memory' (mod ≠ 3), 'register' (mod = 3), or a whole ModRM byte (0F 01 C1). */
  form: 'any' | 'memory' | 'register' | number;
  /** Two names with a slash between them: at operand size 16 and 32 (JCXZ/JECXZ: address size). */
  mnemonic: string;
  operands: readonly OperandCode[];
  /** Name of the semantics: an emitter (cpu/generate/semantics.ts) or a handler (cpu/handlers.ts). Several rows may share one.
   *  'undefined': the manual says #UD. 'unimplemented': exists on such processors, ringlet stops with `Unimplemented(feature)`. */
  semantics: Semantics;
  /** Flags whose old value may matter: inputs, and those that a count of 0 leaves alone. */
  flagsRead: FlagSet;
  flagsWritten: FlagSet;
  /** Of flagsWritten: those that the manual leaves undefined. */
  flagsUndefined: FlagSet;
  /** Can raise an exception (any memory access, privilege check, division …) in one of its forms. */
  mayFault: boolean;
  /** Can raise one even if its E operand is a register. What counts for one instruction tells `canFault`. */
  registerFormMayFault: boolean;
  /** A handler that runs in the middle of a block as emitted code does; loads of SS excepted. */
  quiet: boolean;
  /** Ends a basic block: control does not, or not always, go on behind it. */
  endsBlock: boolean;
  privilege: PrivilegeCheck | null;
  exits: ExitName | null;
  /** LOCK is legal when the destination is memory. */
  lockable: boolean;
  /** REP/REPE/REPNE mean something. */
  repeatable: boolean;
  /** For 'unimplemented': the words of the support matrix. */
  feature: UnimplementedFeature | '';
}

/** The semantics of a complex instruction: runs after operands were decoded, EIP already behind it. Ends the block. */
export type Handler<Processor> = (cpu: Processor, i: Instruction) => void;
