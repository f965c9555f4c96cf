import type { MmuObserver } from '../mmu/observer.ts';
import { BareSession } from './bare.ts';
import { NestedSession } from './nested.ts';
import type { RunPlan } from './plan.ts';
import type { Consoles } from './serial.ts';
import type { Session } from './session.ts';

/** The machine that a plan asks for, with its kernels loaded. Throws InvalidInput. */
export function makeSession(plan: RunPlan, consoles: Consoles, mmuObserver?: MmuObserver): Session {
  return plan.mode === 'bare'
    ? new BareSession(plan, consoles, mmuObserver)
    : new NestedSession(plan, consoles, mmuObserver);
}
