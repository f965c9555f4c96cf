/** VM-exit instruction information in words (SDM Vol. 3, "Information for VM Exits Due to Instruction Execution", tables of that
 *  section). */
import { EXIT } from '../exit-reasons.ts';

const REGISTERS = ['EAX', 'ECX', 'EDX', 'EBX', 'ESP', 'EBP', 'ESI', 'EDI'];
const SEGMENTS = ['ES', 'CS', 'SS', 'DS', 'FS', 'GS'];

const bits = (info: number, low: number, high: number): number => (info >>> low) & (2 ** (high - low + 1) - 1);
const register = (n: number): string => REGISTERS[n] ?? `register ${n}`;
const segment = (info: number): string => SEGMENTS[bits(info, 15, 17)] ?? `segment ${bits(info, 15, 17)}`;
const addressBits = (info: number): string => ['16', '32', '64'][bits(info, 7, 9)] ?? '?';

/** `DS:[EBX + ESI*4 + displacement]`. */
function memoryText(info: number): string {
  const parts: string[] = [];
  if (bits(info, 27, 27) === 0) parts.push(register(bits(info, 23, 26)));
  if (bits(info, 22, 22) === 0) {
    const scale = 1 << bits(info, 0, 1);
    parts.push(scale === 1 ? register(bits(info, 18, 21)) : `${register(bits(info, 18, 21))}*${scale}`);
  }
  parts.push('displacement');
  return `memory ${segment(info)}:[${parts.join(' + ')}], ${addressBits(info)}-bit address`;
}

const TABLE_INSTRUCTIONS = ['SGDT', 'SIDT', 'LGDT', 'LIDT'];
const SELECTOR_INSTRUCTIONS = ['SLDT', 'STR', 'LLDT', 'LTR'];

/** What the field says for this exit, or '' where it says nothing. `string`: of I/O instructions, INS or OUTS; `input`: INS. */
export function instructionInfoText(reason: number, info: number, string = false, input = false): string {
  const reg2 = register(bits(info, 28, 31));
  switch (reason & 0xffff) {
    case EXIT.IO_INSTRUCTION:
      if (!string) return '';
      return `${addressBits(info)}-bit address, segment ${input ? 'ES' : segment(info)}`;
    case EXIT.VMCLEAR:
    case EXIT.VMPTRLD:
    case EXIT.VMPTRST:
    case EXIT.VMXON:
      return memoryText(info);
    case EXIT.VMREAD:
    case EXIT.VMWRITE: {
      const operand = bits(info, 10, 10) === 1 ? register(bits(info, 3, 6)) : memoryText(info);
      return `field encoding in ${reg2}, ${(reason & 0xffff) === EXIT.VMREAD ? 'to' : 'from'} ${operand}`;
    }
    case EXIT.INVEPT:
    case EXIT.INVVPID:
    case EXIT.INVPCID:
      return `type in ${reg2}, descriptor in ${memoryText(info)}`;
    case EXIT.GDTR_OR_IDTR:
      return `${TABLE_INSTRUCTIONS[bits(info, 28, 29)]}, ${memoryText(info)}, ${bits(info, 11, 11) === 1 ? '32' : '16'}-bit operand`;
    case EXIT.LDTR_OR_TR: {
      const operand = bits(info, 10, 10) === 1 ? register(bits(info, 3, 6)) : memoryText(info);
      return `${SELECTOR_INSTRUCTIONS[bits(info, 28, 29)]}, ${operand}`;
    }
    case EXIT.RDRAND:
    case EXIT.RDSEED:
      return `to ${register(bits(info, 3, 6))}, ${['16', '32', '64'][bits(info, 11, 12)] ?? '?'} bits`;
    default:
      return '';
  }
}
