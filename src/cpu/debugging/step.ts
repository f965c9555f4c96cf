/** One instruction with everything that debugging wants of it (SDM Vol. 3, "Debug Exceptions", "RF Flag"). The loop runs this way
 *  only while EVENT_DEBUG is set. */

import {
  CS,
  DEBUG_BS,
  DEBUG_HITS,
  DEBUG_MONITOR,
  DEBUG_WATCH,
  DEBUGCTL,
  EFLAGS,
  EIP,
  FLAG_RF,
  FLAG_TF,
  INTERRUPTIBILITY,
  SEG_BASE,
} from '../../base/registers.ts';
import type { Cpu } from '../cpu.ts';
import { decode } from '../decode.ts';
import { dispatch } from '../far/events.ts';
import { debugException } from './boundary.ts';
import { instructionBreakpoints } from './breakpoints.ts';
import { collectHits } from './state.ts';

const BLOCKING_BY_MOV_SS = 2;
/** IA32_DEBUGCTL.BTF: EFLAGS.TF traps taken branches only. */
const BTF = 2;

/** A breakpoint on the instruction that is next, unless RF or MOV SS keeps it off: a fault. True: it was delivered. */
export function breaksBefore(cpu: Cpu): boolean {
  const { S } = cpu;
  if ((S[EFLAGS] & FLAG_RF) !== 0 || (S[INTERRUPTIBILITY] & BLOCKING_BY_MOV_SS) !== 0) return false;
  const hits = instructionBreakpoints(cpu);
  if (hits === 0) return false;
  dispatch(cpu, debugException(hits));
  return true;
}

/** Executes the next instruction by `single`, which returns true when the signal has to be delivered, by `deliver`. */
export function stepDebugged(cpu: Cpu, single: (cpu: Cpu) => boolean, deliver: (cpu: Cpu) => void): void {
  const { S, monitor } = cpu;
  const nonRoot = monitor?.nonRoot ?? false;
  const behind = branchTrap(cpu) ? nextOffset(cpu) : -1;
  // RF lasts for one instruction. TF counts as it was when the instruction began.
  cpu.trap = (S[EFLAGS] & FLAG_TF) !== 0 ? DEBUG_BS : 0;
  S[EFLAGS] &= ~FLAG_RF;
  S[DEBUG_HITS] = 0;
  if (single(cpu)) {
    // What a faulting instruction has met it will meet again.
    S[DEBUG_HITS] = 0;
    deliver(cpu);
  } else if (cpu.isRepeating) {
    // Between two iterations RF is 1: the breakpoint on the instruction does not hit again.
    S[EFLAGS] = cpu.boundaryFlags() & FLAG_RF ? S[EFLAGS] | FLAG_RF : S[EFLAGS];
  }
  // BTF counts as the instruction leaves it: WRMSR that sets it is no branch.
  if ((S[DEBUGCTL] & BTF) !== 0 && (behind < 0 || S[EIP] >>> 0 === behind)) cpu.trap = 0;
  S[DEBUG_HITS] |= cpu.trap;
  cpu.trap = 0;
  collectHits(S);
  if (nonRoot && monitor?.nonRoot && (S[DEBUG_WATCH] & DEBUG_MONITOR) !== 0) monitor.stepped();
}

const branchTrap = (cpu: Cpu): boolean => (cpu.S[EFLAGS] & FLAG_TF) !== 0 && (cpu.S[DEBUGCTL] & BTF) !== 0;

/** Offset behind the next instruction; −1 if its bytes cannot be read. */
function nextOffset(cpu: Cpu): number {
  const { S, mmu, memory } = cpu;
  const bytes = new Uint8Array(15);
  for (let k = 0; k < bytes.length; k++) {
    const at = mmu.physicalOf((S[EIP] + S[SEG_BASE + CS] + k) | 0, 'fetch');
    if (!at.ok) break;
    bytes[k] = memory.read8(at.hostPhysical);
  }
  const i = decode(bytes, 0, bytes.length, cpu.codeSize);
  return typeof i === 'object' ? (S[EIP] + i.length) >>> 0 : -1;
}
