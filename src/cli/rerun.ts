/** The last branches before the end of a run, without any cost before: the run is repeated, and its last stretch watched. */

import { drive } from './drive.ts';
import { BranchHistory } from './history.ts';
import type { InputPoint, InputSource } from './input.ts';
import { makeSession } from './make-session.ts';
import type { RunPlan } from './plan.ts';
import { Consoles } from './serial.ts';

/** Instructions that are watched. */
const STRETCH = 20_000;

/** Input that has entered, for its second time. */
export class Repeated implements InputSource {
  readonly #entries: { readonly point: InputPoint; readonly bytes: Uint8Array }[] = [];
  #next = 0;

  note(point: InputPoint, bytes: Uint8Array): void {
    this.#entries.push({ point, bytes });
  }

  take(point: InputPoint): Uint8Array | null {
    const entry = this.#entries[this.#next];
    if (entry === undefined || entry.point.at !== point.at || entry.point.halted !== point.halted) return null;
    this.#next++;
    return entry.bytes;
  }

  /** A halted run that does not find its input here has nothing more to come. */
  readonly isOver = true;

  async wait(): Promise<void> {}
}

/** Repeats a run that retired `instructions` and watches its end. */
export async function lastBranches(plan: RunPlan, input: Repeated, instructions: number): Promise<BranchHistory> {
  const consoles = new Consoles(
    plan.vms.map(() => null),
    () => {},
  );
  const session = makeSession(plan, consoles);
  const history = new BranchHistory();
  const from = Math.max(0, instructions - STRETCH);
  if (from > 0) await drive(session, consoles, { input, maxInstructions: from });
  history.attach(session);
  await drive(session, consoles, { input, maxInstructions: instructions + 1 });
  return history;
}
