/** `explainExit`: the VM-exit information fields in words (SDM Vol. 3, "VM-Exit Information Fields", "Basic VM-Exit Information"). */
import { hex } from '../../base/int.ts';
import { EPT_CAP } from '../capabilities.ts';
import { EXIT, exitReasonName, exitReasonText } from '../exit-reasons.ts';
import * as F from '../fields.ts';
import { decodeQualification, interruptionText, type QualificationPart } from '../qualification.ts';
import type { VmcsImage } from './image.ts';
import { instructionInfoText } from './instruction-info.ts';

export interface ExitExplanation {
  /** Basic exit reason. */
  readonly reason: number;
  /** Its name as the constants have it. */
  readonly name: string;
  /** Bit 31: the VM entry failed, so guest state was not saved. */
  readonly entryFailed: boolean;
  readonly qualification: {
    readonly value: number;
    readonly text: string;
    readonly parts: Readonly<Record<string, QualificationPart>>;
  };
  /** VM-exit interruption information, IDT-vectoring information, instruction information: '' where not valid or not defined. */
  readonly interruption: string;
  readonly vectoring: string;
  readonly instruction: string;
  /** Length of the instruction, where it is defined. */
  readonly length: number | null;
  readonly guestLinear: number | null;
  readonly guestPhysical: number | null;
  readonly rip: number;
  readonly text: readonly string[];
}

/** Exits of an instruction, whose length is recorded. */
const WITH_LENGTH = new Set<number>([
  EXIT.TASK_SWITCH,
  EXIT.CPUID,
  EXIT.GETSEC,
  EXIT.HLT,
  EXIT.INVD,
  EXIT.INVLPG,
  EXIT.RDPMC,
  EXIT.RDTSC,
  EXIT.RSM,
  EXIT.VMCALL,
  EXIT.VMCLEAR,
  EXIT.VMLAUNCH,
  EXIT.VMPTRLD,
  EXIT.VMPTRST,
  EXIT.VMREAD,
  EXIT.VMRESUME,
  EXIT.VMWRITE,
  EXIT.VMXOFF,
  EXIT.VMXON,
  EXIT.CR_ACCESS,
  EXIT.MOV_DR,
  EXIT.IO_INSTRUCTION,
  EXIT.RDMSR,
  EXIT.WRMSR,
  EXIT.MWAIT,
  EXIT.MONITOR,
  EXIT.PAUSE,
  EXIT.GDTR_OR_IDTR,
  EXIT.LDTR_OR_TR,
  EXIT.INVEPT,
  EXIT.RDTSCP,
  EXIT.INVVPID,
  EXIT.WBINVD,
  EXIT.XSETBV,
  EXIT.RDRAND,
  EXIT.INVPCID,
  EXIT.VMFUNC,
  EXIT.RDSEED,
]);

const PAGE_FAULT = 14;
const DEBUG_EXCEPTION = 1;
/** Bits of the qualification of #DB. */
const CONDITIONS: readonly (readonly [bit: number, text: string])[] = [
  [0, 'breakpoint 0'],
  [1, 'breakpoint 1'],
  [2, 'breakpoint 2'],
  [3, 'breakpoint 3'],
  [13, 'access to a debug register (BD)'],
  [14, 'single step (BS)'],
];

/** Error code of #PF: P W U R I. */
function pageFaultText(errorCode: number): string {
  const who = (errorCode & 4) !== 0 ? 'user' : 'supervisor';
  const what = (errorCode & 16) !== 0 ? 'fetch' : (errorCode & 2) !== 0 ? 'write' : 'read';
  const why = (errorCode & 8) !== 0 ? 'reserved bit set' : (errorCode & 1) !== 0 ? 'not allowed' : 'page not present';
  return `${who} ${what}, ${why}`;
}

/** The last exit of a VMCS. */
export function explainExit(image: VmcsImage): ExitExplanation {
  const whole = image.low(F.EXIT_REASON);
  const reason = whole & 0xffff;
  const entryFailed = whole < 0;
  const value = image.low(F.EXIT_QUALIFICATION) >>> 0;
  const info = image.low(F.VM_EXIT_INTERRUPTION_INFORMATION);
  const isEvent = reason === EXIT.EXCEPTION_OR_NMI || reason === EXIT.EXTERNAL_INTERRUPT;
  const errorCode = image.low(F.VM_EXIT_INTERRUPTION_ERROR_CODE);
  const vectoring = image.low(F.IDT_VECTORING_INFORMATION);
  const advanced = (image.capabilities.eptVpid.lo & EPT_CAP.ADVANCED_INFORMATION) !== 0;
  const decoded = qualificationOf(whole, value, info, errorCode, advanced);
  const { parts } = decoded;
  const stringIo = reason === EXIT.IO_INSTRUCTION && parts.string === true;
  const isEpt = reason === EXIT.EPT_VIOLATION || reason === EXIT.EPT_MISCONFIGURATION;
  const softwareVectoring = vectoring < 0 && ((vectoring >>> 8) & 7) >= 4;
  const software = isEvent && info < 0 && ((info >>> 8) & 7) >= 4;
  const hasLength = !entryFailed && (WITH_LENGTH.has(reason) || software || softwareVectoring);
  const hasLinear = (reason === EXIT.EPT_VIOLATION && (value & 0x80) !== 0) || stringIo || parts.kind === 'LMSW';
  const result = {
    reason,
    name: exitReasonName(reason),
    entryFailed,
    qualification: { value, ...decoded },
    interruption: isEvent && !entryFailed ? interruptionText(info, errorCode) : '',
    vectoring: entryFailed ? '' : interruptionText(vectoring, image.low(F.IDT_VECTORING_ERROR_CODE)),
    instruction: instructionInfoText(
      reason,
      image.low(F.VM_EXIT_INSTRUCTION_INFORMATION),
      stringIo,
      parts.input === true,
    ),
    length: hasLength ? image.low(F.VM_EXIT_INSTRUCTION_LENGTH) : null,
    guestLinear: hasLinear ? image.low(F.GUEST_LINEAR_ADDRESS) >>> 0 : null,
    guestPhysical: isEpt ? image.low(F.GUEST_PHYSICAL_ADDRESS) >>> 0 : null,
    rip: image.low(F.GUEST_RIP) >>> 0,
  };
  return { ...result, text: exitText(whole, result) };
}

function qualificationOf(whole: number, q: number, info: number, errorCode: number, advanced: boolean) {
  if ((whole & 0xffff) !== EXIT.EXCEPTION_OR_NMI || info >= 0 || ((info >>> 8) & 7) !== 3)
    return decodeQualification(whole, q, advanced);
  if ((info & 0xff) === PAGE_FAULT)
    return { text: `linear address ${hex(q)}, ${pageFaultText(errorCode)}`, parts: { linear: q } };
  if ((info & 0xff) === DEBUG_EXCEPTION) {
    const text = CONDITIONS.filter(([bit]) => ((q >>> bit) & 1) !== 0)
      .map(([, name]) => name)
      .join(', ');
    return { text, parts: { conditions: q } };
  }
  return { text: '', parts: {} };
}

function exitText(whole: number, e: Omit<ExitExplanation, 'text'>): string[] {
  const lines = [`${e.entryFailed ? 'failed VM entry' : 'VM exit'}, reason ${e.reason}: ${exitReasonText(e.reason)}`];
  const flags = [
    [29, 'from VMX root operation'],
    [28, 'a monitor-trap-flag exit was pending'],
    [27, 'in enclave mode'],
  ] as const;
  for (const [bit, text] of flags) if (((whole >>> bit) & 1) !== 0) lines.push(`  bit ${bit} of the reason: ${text}`);
  const { value, text } = e.qualification;
  if (text !== '' || value !== 0) lines.push(`  qualification ${hex(value)}${text === '' ? '' : `: ${text}`}`);
  if (e.interruption !== '') lines.push(`  event: ${e.interruption}`);
  if (e.vectoring !== '') lines.push(`  while delivering: ${e.vectoring}`);
  if (e.instruction !== '') lines.push(`  instruction: ${e.instruction}`);
  if (e.guestLinear !== null) lines.push(`  guest-linear address ${hex(e.guestLinear)}`);
  if (e.guestPhysical !== null) lines.push(`  guest-physical address ${hex(e.guestPhysical)}`);
  lines.push(`  at EIP ${hex(e.rip)}${e.length === null ? '' : `, instruction of ${e.length} bytes`}`);
  return lines;
}
