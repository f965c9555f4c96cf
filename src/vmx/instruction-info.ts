/** VM-exit instruction information (SDM Vol. 3, "Information for VM Exits Due to Instruction Execution", tables of that section). */
import { ZERO } from '../base/registers.ts';
import type { Instruction } from '../cpu/instruction.ts';

/** 0: 16 bits, 1: 32 bits. */
const addressSize = (i: Instruction): number => (i.addressSize === 4 ? 1 : 0);

/** The memory operand of an instruction: scaling 1:0, address size 9:7, segment 17:15, index 22:18, base 27:23. */
function memoryOperand(i: Instruction): number {
  let info = i.scale | (addressSize(i) << 7) | (i.segment << 15);
  info |= i.index === ZERO ? 1 << 22 : i.index << 18;
  info |= i.base === ZERO ? 1 << 27 : i.base << 23;
  return info;
}

/** INS and OUTS: address size, and for OUTS the segment. */
export const stringIoInfo = (i: Instruction, input: boolean): number =>
  (addressSize(i) << 7) | (input ? 0 : i.segment << 15);

/** VMCLEAR, VMPTRLD, VMPTRST, VMXON. */
export const pointerInfo = (i: Instruction): number => memoryOperand(i);

/** VMREAD and VMWRITE: r/m as Reg1 in 6:3 or as memory, the register in Reg2 31:28. */
export const fieldInfo = (i: Instruction): number =>
  (i.memory ? memoryOperand(i) : (1 << 10) | (i.rm << 3)) | (i.reg << 28);

/** SGDT, SIDT, LGDT, LIDT: also operand size 11 and instruction 29:28, in the order of their opcode extensions. */
export const tableInfo = (i: Instruction): number =>
  memoryOperand(i) | (i.operandSize === 4 ? 1 << 11 : 0) | ((i.reg & 3) << 28);

/** SLDT, STR, LLDT, LTR: r/m as Reg1 in 6:3 or as memory, instruction 29:28, in the order of their opcode extensions. */
export const selectorInfo = (i: Instruction): number =>
  (i.memory ? memoryOperand(i) : (1 << 10) | (i.rm << 3)) | ((i.reg & 3) << 28);

/** INVEPT and INVVPID: memory, and the type's register in Reg2 31:28. */
export const invalidationInfo = (i: Instruction): number => memoryOperand(i) | (i.reg << 28);
