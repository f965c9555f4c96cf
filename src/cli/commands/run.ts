/** `ringlet run`. */

import { closeSync, openSync, writeSync } from 'node:fs';
import { InvalidInput } from '../../base/errors.ts';
import { flushReport } from '../../mmu/flush-report.ts';
import { drive, type RunEnding } from '../drive.ts';
import { readBytes, whyNot } from '../files.ts';
import { EventHistory } from '../history.ts';
import type { InputSource } from '../input.ts';
import { makeSession } from '../make-session.ts';
import { statusOf, statusText } from '../outcome.ts';
import type { RunPlan } from '../plan.ts';
import {
  checkFits,
  endLine,
  headerLine,
  type InputLog,
  identify,
  inputLine,
  LoggedInput,
  parseLog,
} from '../record.ts';
import { reportVm } from '../report.ts';
import { lastBranches, Repeated } from '../rerun.ts';
import { Consoles } from '../serial.ts';
import type { Session } from '../session.ts';
import { gather, printStatistics } from '../statistics.ts';
import { USAGE } from '../status.ts';
import { OutputClosed, Outside, pause, say, trace, writeOut } from '../terminal.ts';
import { Tracer } from '../trace.ts';
import { VERSION } from '../version.ts';

/** Instructions between two looks at the outside while each of them is shown. */
const TRACED_PIECE = 1 << 13;
/** Repeating a run for its last branches must not take longer than this. */
const LONGEST_RERUN_SECONDS = 20;

/** Runs what is planned. Returns the exit status. */
export async function run(plan: RunPlan): Promise<number> {
  const identity = identify(plan, VERSION);
  const log = plan.replay === null ? null : readLog(plan.replay);
  if (log !== null) checkFits(log, identity, plan.replay as string);

  const names = plan.vms.map((vm) => (plan.vms.length === 1 ? null : `${vm.name}: `));
  const consoles = new Consoles(names, writeOut, plan.expect);
  const tracer = plan.trace === null ? null : new Tracer(plan.trace, trace);
  const session = makeSession(plan, consoles);
  const audit = plan.reportFlushes ? session.machine.auditFlushes() : null;
  const events = new EventHistory();
  events.attach(session);
  tracer?.attach(session);

  const recorder = plan.record === null ? null : new Recorder(plan.record, headerLine(identity));
  const outside = new Outside({ stdin: log === null });
  const input: InputSource = log === null ? outside.input : new LoggedInput(log);
  const repeated = new Repeated();
  const started = process.hrtime.bigint();
  let ending: RunEnding;
  try {
    ending = await drive(session, consoles, {
      input,
      maxInstructions: plan.maxInstructions,
      ...(log?.interrupted && log.end !== null ? { endAt: log.end } : {}),
      ...(plan.trace?.topics.has('exec') ? { piece: TRACED_PIECE } : {}),
      interrupted: () => outside.interrupted,
      pause,
      onInput: (point, bytes) => {
        repeated.note(point, bytes);
        recorder?.write(inputLine(point, bytes));
      },
    });
    consoles.flush(true);
  } catch (error) {
    if (!(error instanceof OutputClosed)) throw error;
    ending = 'interrupted';
  } finally {
    outside.close();
  }
  const seconds = Number(process.hrtime.bigint() - started) / 1e9;
  recorder?.write(endLine(session.retired, ending === 'interrupted'));
  recorder?.close();

  const status = statusOf(ending, session.vms, plan.expect !== null);
  await tell(session, plan, ending, events, { repeated, seconds });
  if (audit !== null) for (const line of flushReport(audit)) say(line);
  if (plan.stats !== null) {
    const statistics = gather(session, seconds);
    for (const line of plan.stats === 'json' ? [JSON.stringify(statistics)] : printStatistics(statistics)) say(line);
  }
  if (log !== null && log.end !== null && log.end !== session.retired && plan.maxInstructions > log.end) {
    say(`ringlet: the replay retired ${session.retired} instructions, the recorded run ${log.end}`);
    return USAGE;
  }
  return status;
}

/** What the user should know about the end: reports on VMs that ended badly, a line for those that halted. */
async function tell(
  session: Session,
  plan: RunPlan,
  ending: RunEnding,
  events: EventHistory,
  past: { readonly repeated: Repeated; readonly seconds: number },
): Promise<void> {
  if (ending === 'interrupted') say(`ringlet: interrupted after ${session.retired} instructions`);
  if (ending === 'limit') say(`ringlet: instruction limit reached after ${session.retired} instructions`);
  if (plan.expect !== null && ending !== 'seen')
    say(`ringlet: the text ${JSON.stringify(plan.expect)} was not seen in the output`);
  const kinds = session.vms.map((vm) => vm.outcome.kind);
  const isCrash = kinds.some((kind) => kind === 'triple-fault' || kind === 'unimplemented' || kind === 'vm-stopped');
  const repeat = isCrash && past.seconds < LONGEST_RERUN_SECONDS;
  const branches = repeat ? await lastBranches(plan, past.repeated, session.retired) : null;
  session.vms.forEach((vm, i) => {
    for (const line of reportVm(session, i, events, branches)) say(line);
    const isOdd = vm.outcome.kind === 'halted' || (session.vms.length > 1 && vm.outcome.kind === 'debug-exit');
    if (isOdd && ending === 'ended') say(`${vm.name}: ${statusText(vm.outcome)}`);
  });
}

function readLog(path: string): InputLog {
  return parseLog(new TextDecoder().decode(readBytes(path)), path);
}

/** Writes the input log as the run goes, so that it is there even if the process is killed. */
class Recorder {
  readonly #fd: number;
  readonly #path: string;

  constructor(path: string, header: string) {
    this.#path = path;
    try {
      this.#fd = openSync(path, 'w');
    } catch (error) {
      throw new InvalidInput(`--record: cannot write ${path}: ${whyNot(error)}`);
    }
    this.write(header);
  }

  write(line: string): void {
    try {
      writeSync(this.#fd, line);
    } catch (error) {
      throw new InvalidInput(`--record: cannot write ${this.#path}: ${whyNot(error)}`);
    }
  }

  close(): void {
    closeSync(this.#fd);
  }
}
