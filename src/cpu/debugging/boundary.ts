/** Debug exceptions between two instructions (SDM Vol. 3, "Debug Exceptions", "Priority Among Concurrent Events"). */

import {
  ACTIVITY,
  DEBUG_B,
  DEBUG_BS,
  DEBUG_BT,
  DEBUG_ENABLED,
  EVENT_HALT,
  EVENTS,
  INTERRUPTIBILITY,
  PENDING_DEBUG,
} from '../../base/registers.ts';
import { DB } from '../../base/signal.ts';
import type { Cpu } from '../cpu.ts';
import { dispatch } from '../far/events.ts';
import type { ProcessorEvent } from '../monitor.ts';
import { collectHits } from './state.ts';

const BLOCKING_BY_MOV_SS = 2;
const ACTIVITY_HLT = 1;

/** A debug exception that is a trap of finished instructions, a breakpoint on the next one, or the fault of MOV DR. */
export const debugException = (debug: number): ProcessorEvent => ({
  vector: DB,
  type: 3,
  errorCode: -1,
  instructionLength: 0,
  address: 0,
  debug,
});

/** Between two instructions: the exit for the monitor's trap flag, then the traps of the instruction before (SDM Vol. 3, "Priority
 *  Among Concurrent Events"). True if one of the two took place. */
export function debugBoundary(cpu: Cpu): boolean {
  const { S, monitor } = cpu;
  collectHits(S);
  if (monitor?.nonRoot && monitor.trapFlagExit()) return true;
  // MOV SS and POP SS hold debug exceptions off until the instruction behind them is done.
  if ((S[INTERRUPTIBILITY] & BLOCKING_BY_MOV_SS) !== 0 || S[ACTIVITY] > ACTIVITY_HLT) return false;
  const pending = S[PENDING_DEBUG];
  if (pending === 0) return false;
  S[PENDING_DEBUG] = 0;
  if ((pending & (DEBUG_ENABLED | DEBUG_BS | DEBUG_BT)) === 0) return false;
  // HLT with a trap behind it does not halt.
  S[ACTIVITY] = 0;
  S[EVENTS] &= ~EVENT_HALT;
  dispatch(cpu, debugException(pending & (DEBUG_B | DEBUG_BS | DEBUG_BT)));
  return true;
}
