import { InvalidInput } from '../base/errors.ts';
import { BareSession } from './bare.ts';
import { NestedSession } from './nested.ts';
import type { RunPlan } from './plan.ts';
import type { Consoles } from './serial.ts';
import type { Session } from './session.ts';

/** The machine that a plan asks for, with its kernels loaded. Throws InvalidInput. */
export function makeSession(plan: RunPlan, consoles: Consoles): Session {
  try {
    return plan.mode === 'bare' ? new BareSession(plan, consoles) : new NestedSession(plan, consoles);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new InvalidInput(`the host has not enough memory for this machine (${error.message}): give less --memory`);
  }
}
