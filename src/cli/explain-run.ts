/** Runs an image until what is to be explained happens, and keeps the explanation made at that moment. */

import { InvalidInput } from '../base/errors.ts';
import type { EntryFailure } from '../vmx/context.ts';
import { EXIT, exitReasonName } from '../vmx/exit-reasons.ts';
import type { VmcsImage } from '../vmx/explain/index.ts';
import { drive } from './drive.ts';
import { makeSession } from './make-session.ts';
import type { RunPlan } from './plan.ts';
import { Consoles } from './serial.ts';
import type { Session } from './session.ts';

/** What a run is watched for. `reason`: of an exit; null: any. */
export interface Moment {
  readonly kind: 'entry-failure' | 'exit';
  readonly reason: number | null;
  /** The how manieth, from 1. */
  readonly number: number;
}

/** `entry-failure`, `exit`, `exit:EPT_VIOLATION`, `exit:48`. Throws InvalidInput. */
export function parseMoment(text: string, number: number): Moment {
  if (text === 'entry-failure') return { kind: 'entry-failure', reason: null, number };
  if (text === 'exit') return { kind: 'exit', reason: null, number };
  const name = /^exit:(.+)$/.exec(text)?.[1];
  if (name === undefined) throw new InvalidInput(`--at '${text}' is unknown: use entry-failure, exit or exit:REASON`);
  const reason = /^[0-9]+$/.test(name) ? Number(name) : (EXIT as Readonly<Record<string, number>>)[name.toUpperCase()];
  if (reason === undefined || reason > 0xffff)
    throw new InvalidInput(
      `--at '${text}': there is no such exit reason; use a number or a name such as ${exitReasonName(48)}`,
    );
  return { kind: 'exit', reason, number };
}

/** What `look` made of the moment; undefined if it did not come, with what came instead. */
export async function runUntil<T>(
  plan: RunPlan,
  moment: Moment,
  look: (session: Session, image: VmcsImage, failure: EntryFailure | null) => T,
): Promise<{ found: T | undefined; session: Session; entries: number; exits: number }> {
  const consoles = new Consoles([null], () => {}, null);
  const session = makeSession(plan, consoles);
  const { machine } = session;
  let left = moment.number;
  let found: T | undefined;
  let [entries, exits] = [0, 0];
  const arrive = (failure: EntryFailure | null): void => {
    const image = machine.vmx?.image();
    if (found !== undefined || image === null || image === undefined || --left > 0) return;
    found = look(session, image, failure);
    machine.stop('explained');
  };
  machine.observe({
    onEntry: () => {
      entries++;
    },
    onEntryFailure: (failure) => {
      if (moment.kind === 'entry-failure') arrive(failure);
    },
    onExit: (whole) => {
      exits++;
      if (moment.kind === 'exit' && (moment.reason === null || moment.reason === (whole & 0xffff))) arrive(null);
    },
  });
  await drive(session, consoles, {
    maxInstructions: plan.maxInstructions,
    interrupted: () => found !== undefined,
    piece: 1 << 14,
  });
  return { found, session, entries, exits };
}
