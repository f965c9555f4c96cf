/** The common ring transitions without detours: INT n from ring 3 to ring 0 through a 32-bit gate, and IRET back, where every
 *  segment concerned is flat and has its accessed bit set. All that the manual's procedures check is checked, on the bytes of the
 *  descriptors themselves; whatever does not look exactly so is left to deliver.ts and returns.ts, with nothing changed. */

import {
  AR_UNUSABLE,
  CPL,
  CR0,
  CR0_AM,
  CR0_PE,
  CS,
  DS,
  EFLAGS,
  EIP,
  ES,
  ESP,
  FLAG_AC,
  FLAG_IF,
  FLAG_NT,
  FLAG_RF,
  FLAG_TF,
  FLAG_VM,
  FS,
  GS,
  IDTR_BASE,
  IDTR_LIMIT,
  INTERRUPTIBILITY,
  MODE,
  SEG_ACCESS,
  SEG_BASE,
  SEG_LIMIT,
  SEG_SELECTOR,
  SS_,
  START_EIP,
  TR,
} from '../../base/registers.ts';
import type { Cpu } from '../cpu.ts';
import { MODE_CODE32, MODE_FLAT } from '../mode.ts';
import { flatAccess, ram32, setFlat, systemRam, systemRamForWrite } from './flat.ts';

const FLAT32 = MODE_CODE32 | MODE_FLAT;
/** Access bytes: present, accessed; code is not conforming, its readability does not matter. */
const CODE_MASK = 0xfd;
const CODE0 = 0x99;
const CODE3 = 0xf9;
const DATA0 = 0x93;
const DATA3 = 0xf3;
const FRAME = 20;

/** INT n (SDM Vol. 2, "INT n", INTER-PRIVILEGE-LEVEL-INTERRUPT). False: not such a case. */
export function quickInterrupt(cpu: Cpu, vector: number, length: number): boolean {
  const S = cpu.core;
  const words = cpu.memory.i32;
  if (S[CPL] !== 3 || S[MODE] !== FLAT32 || (S[CR0] & CR0_PE) === 0) return false;
  const place = vector * 8;
  if (place + 7 > S[IDTR_LIMIT] >>> 0) return false;
  const gate = systemRam(S, (S[IDTR_BASE] + place) | 0, 8);
  if (gate < 0) return false;
  const low = ram32(words, gate);
  const high = ram32(words, gate + 4);
  // Present, DPL 3, 32-bit interrupt (E) or trap (F) gate
  if ((high & 0xfe00) !== 0xee00) return false;
  const selector = low >>> 16;
  const code = flatAccess(S, words, selector);
  if ((code & CODE_MASK) !== CODE0) return false;
  // Stack of ring 0 from a 32-bit TSS
  if ((S[SEG_ACCESS + TR] & (AR_UNUSABLE | 8)) !== 8 || S[SEG_LIMIT + TR] >>> 0 < 9) return false;
  const tss = systemRam(S, (S[SEG_BASE + TR] + 4) | 0, 8);
  if (tss < 0) return false;
  const esp = ram32(words, tss);
  const ss = ram32(words, tss + 4) & 0xffff;
  if ((ss & 3) !== 0 || flatAccess(S, words, ss) !== DATA0) return false;
  const frame = systemRamForWrite(S, (esp - FRAME) | 0, FRAME);
  if (frame < 0 || (frame & 3) !== 0) return false;

  if (cpu.observer !== null) tell(cpu, vector, length);
  const flags = cpu.settleFlags();
  const k = frame >> 2;
  words[k] = S[START_EIP] + length;
  words[k + 1] = S[SEG_SELECTOR + CS];
  words[k + 2] = flags & ~FLAG_RF;
  words[k + 3] = S[ESP];
  words[k + 4] = S[SEG_SELECTOR + SS_];
  setFlat(S, SS_, ss, DATA0);
  setFlat(S, CS, selector & ~3, code);
  S[ESP] = esp - FRAME;
  S[EIP] = (high & 0xffff_0000) | (low & 0xffff);
  S[INTERRUPTIBILITY] &= ~3;
  cpu.setCpl(0);
  cpu.setFlags(flags & ~(FLAG_TF | FLAG_NT | FLAG_VM | FLAG_RF | ((high & 0x100) === 0 ? FLAG_IF : 0)));
  return true;
}

/** Observers see EIP at the instruction that asks for the event, as in any other delivery. */
function tell(cpu: Cpu, vector: number, instructionLength: number): void {
  const { S } = cpu;
  const behind = S[EIP];
  S[EIP] = S[START_EIP];
  cpu.observer?.onEvent?.({ vector, type: 4, errorCode: -1, instructionLength, address: 0 }, false);
  S[EIP] = behind;
}

/** IRETD to ring 3 (SDM Vol. 2, "IRET/IRETD", RETURN-TO-OUTER-PRIVILEGE-LEVEL). `writable`: flags that come from the stack. False: not
 *  such a case. */
export function quickReturn(cpu: Cpu, writable: number): boolean {
  const S = cpu.core;
  if (S[CPL] !== 0 || S[MODE] !== FLAT32) return false;
  const frame = systemRam(S, S[ESP], FRAME);
  if (frame < 0 || (frame & 3) !== 0) return false;
  const words = cpu.memory.i32;
  const k = frame >> 2;
  const cs = words[k + 1] & 0xffff;
  const ss = words[k + 4] & 0xffff;
  const popped = words[k + 2];
  if ((cs & ss & 3) !== 3 || (popped & (FLAG_TF | FLAG_VM)) !== 0) return false;
  if ((popped & FLAG_AC) !== 0 && (S[CR0] & CR0_AM) !== 0) return false;
  const code = flatAccess(S, words, cs);
  if ((code & CODE_MASK) !== CODE3 || flatAccess(S, words, ss) !== DATA3) return false;
  if (!(staysUsable(S, DS) && staysUsable(S, ES) && staysUsable(S, FS) && staysUsable(S, GS))) return false;

  // The arithmetic flags all come from the stack: those that were need not be known.
  const flags = (S[EFLAGS] & ~writable) | (popped & writable);
  S[EIP] = words[k];
  S[ESP] = words[k + 3];
  setFlat(S, CS, cs, code);
  setFlat(S, SS_, ss, DATA3);
  cpu.endNmiBlocking();
  cpu.setCpl(3);
  cpu.setFlags(flags);
  return true;
}

/** Whether ring 3 may keep the segment: null already, or of DPL 3. */
function staysUsable(S: Int32Array, segment: number): boolean {
  const access = S[SEG_ACCESS + segment];
  return (access & AR_UNUSABLE) !== 0 || (access & 0x60) === 0x60;
}
