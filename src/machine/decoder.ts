/** Instructions as bytes, for root-mode software that has to execute one on behalf of its guest. */
export { decode } from '../cpu/decode.ts';
export type { Instruction } from '../cpu/instruction.ts';
