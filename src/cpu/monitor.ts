import type { U64 } from '../base/int.ts';
import type { Instruction } from './instruction.ts';
import type { ExitName } from './rows.ts';

/** An event on its way to a handler. Types are those of VMX interruption information:
 *  0 external interrupt, 2 NMI, 3 hardware exception, 4 software interrupt, 5 INT1, 6 software exception (INT3, INTO). */
export interface ProcessorEvent {
  readonly vector: number;
  readonly type: 0 | 2 | 3 | 4 | 5 | 6;
  /** −1: none is pushed. */
  readonly errorCode: number;
  /** Bytes of the instruction for types 4 to 6, else 0. */
  readonly instructionLength: number;
  /** #PF: the linear address that goes to CR2 (and into the exit qualification instead of it). */
  readonly address: number;
  /** #DB as a hardware exception: what goes to DR6 (and into the exit qualification instead of it). */
  readonly debug?: number;
}

/** What the processor tells its virtualisation extension, at the points that the opcode rows declare.
 *  Whenever a method returns true, a VM exit took place: the processor state is the host's, the caller must do nothing more. */
export interface ExecutionMonitor {
  /** In VMX operation (root or non-root): INIT and A20M blocked, CR fixed bits apply. */
  readonly inVmxOperation: boolean;
  /** In VMX non-root operation. False makes every `intercept…` below return false at once; handlers test it first. */
  readonly nonRoot: boolean;
  /** In non-root operation with external-interrupt exiting: a raised interrupt line ends it whatever IF says. */
  readonly interruptsExit: boolean;
  /** In non-root operation with virtual NMIs: blocking by NMI is about those, real ones are not blocked. */
  readonly virtualNmis: boolean;
  /** IRET ends blocking by NMI: everywhere but in a guest whose NMIs exit and are not virtual. */
  readonly iretUnblocksNmis: boolean;
  /** In non-root operation with interrupt-window exiting: to be asked as soon as IF is set. */
  readonly windowWanted: boolean;

  /** An instruction whose row says `exits`, after #UD and privilege checks, before its operands are accessed.
   *  `operand`: INVLPG linear address; RDMSR/WRMSR the MSR index; otherwise 0. */
  intercept(name: ExitName, i: Instruction, operand: number): boolean;
  /** IN, OUT, INS, OUTS after the I/O permission check. `linear`: of the string operand. */
  interceptIo(i: Instruction, port: number, size: 1 | 2 | 4, input: boolean, string: boolean, linear: number): boolean;
  /** MOV to CR, CLTS, LMSW. Returns the value to load really (masks applied), or null after an exit. May raise #GP for fixed bits.
   *  `kind`: 0 MOV to CR, 2 CLTS, 3 LMSW. `gpr`: source register of MOV. `memoryOperand`/`linear`: LMSW from memory. */
  writeControlRegister(
    cr: number,
    value: number,
    kind: 0 | 2 | 3,
    gpr: number,
    memoryOperand: boolean,
    linear: number,
  ): number | null;
  /** MOV from CR, SMSW: what software sees (masks and shadows), or null after an exit. */
  readControlRegister(cr: number, kind: 1 | 4, gpr: number): number | null;
  /** CR0/CR4 bits that must be one / may be one while in VMX operation; null if the value is acceptable, else why not. */
  controlRegisterError(cr: number, value: number): string | null;
  /** One of the VMX instructions (VMXON … INVVPID, VMCALL), after #UD for mode and prefix. Does everything, exit included. */
  vmxInstruction(i: Instruction): void;
  /** MSRs that belong to VMX (3Ah, 480h …): undefined if not one of them. */
  readMsr(index: number): { lo: number; hi: number } | undefined;
  writeMsr(index: number, lo: number, hi: number): boolean;
  /** TSC as a guest sees it, given the processor's own: scaled and moved as the controls say. */
  adjustTsc(tsc: U64): U64;
  /** RDTSCP exists: in non-root operation only if a control enables it. */
  readonly rdtscpEnabled: boolean;

  /** An event is about to be delivered (exception bitmap, external-interrupt and NMI exiting). */
  interceptEvent(event: ProcessorEvent): boolean;
  /** A hardware task switch is asked for: always an exit. source: 0 CALL, 1 IRET, 2 JMP, 3 task gate in IDT. */
  interceptTaskSwitch(selector: number, source: 0 | 1 | 2 | 3): boolean;
  /** An INIT that nothing blocks, or a start-up IPI that the processor waits for: in non-root operation always an exit. */
  interceptInit(): boolean;
  interceptStartUp(vector: number): boolean;
  /** Delivery ended in a triple fault. False: shut down for real. */
  interceptTripleFault(): boolean;
  /** The signal holds an EPT violation or misconfiguration met by an instruction or a delivery, or a full page-modification log. Ends in
   *  an exit, or for an instruction's violation in the delivery of #VE. */
  eptEvent(): void;
  /** In non-root operation, while DEBUG_WATCH has DEBUG_MONITOR: an instruction (an iteration of one) or a delivery is done. */
  stepped(): void;
  /** Before debug exceptions of the previous instruction are delivered: the exit that the monitor trap flag asks for. */
  trapFlagExit(): boolean;
  /** EVENT_BOUNDARY is set, before anything else of the boundary: what the instruction before it has left to do. */
  afterInstruction(): boolean;
  /** EVENT_BOUNDARY is set, or before an interrupt is taken: windows, preemption timer, MTF, injection leftovers. */
  boundary(): boolean;
  /** Power-up: out of VMX operation. */
  reset(): void;
  /** Retired-instruction time of the next timer-like event (preemption timer), Infinity if none. */
  nextDeadline(): number;
}
