import { BareSession } from './bare.ts';
import { NestedSession } from './nested.ts';
import type { RunPlan } from './plan.ts';
import type { Consoles } from './serial.ts';
import type { Session } from './session.ts';

/** The machine that a plan asks for, with its kernels loaded. Throws InvalidInput. */
export const makeSession = (plan: RunPlan, consoles: Consoles): Session =>
  plan.mode === 'bare' ? new BareSession(plan, consoles) : new NestedSession(plan, consoles);
