/** The input log: what entered a run from outside, and at which instruction. One JSON object a line: a header that says which
 *  run it was, an entry for each stretch of bytes, and the number of instructions at the end. */

import { createHash } from 'node:crypto';
import { InvalidInput } from '../base/errors.ts';
import { boolean, integer, record, string } from '../base/validate.ts';
import type { InputPoint, InputSource } from './input.ts';
import type { RunPlan, VmPlan } from './plan.ts';

const MAGIC = 'ringlet input log';
const FORMAT = 1;

/** What must be the same for a log to fit, in the words in which it is told. */
export type RunIdentity = Readonly<Record<string, string>>;

export function identify(plan: RunPlan, version: string): RunIdentity {
  const vms = plan.vms.flatMap((vm, i) =>
    Object.entries(identifyVm(vm)).map(([key, value]) => [`vm${i} ${key}`, value]),
  );
  return {
    version,
    mode: plan.mode,
    cpu: plan.processor.name,
    tlb: Object.values(plan.tlb).join(':'),
    vms: String(plan.vms.length),
    ...Object.fromEntries(vms),
  };
}

function identifyVm(vm: VmPlan): RunIdentity {
  const { load, entry, real } = vm.kernel;
  return {
    image: digest(vm.kernel.bytes),
    memory: String(vm.memory),
    append: vm.commandLine,
    initrd: vm.initrd === null ? 'none' : digest(vm.initrd),
    load: String(load ?? 'default'),
    entry: String(entry ?? 'default'),
    real: String(real ?? false),
  };
}

const digest = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

export const headerLine = (identity: RunIdentity): string =>
  `${JSON.stringify({ log: MAGIC, format: FORMAT, run: identity })}\n`;
export const inputLine = (point: InputPoint, bytes: Uint8Array): string =>
  `${JSON.stringify({ at: point.at, halted: point.halted, bytes: Buffer.from(bytes).toString('hex') })}\n`;
export const endLine = (at: number, interrupted: boolean): string => `${JSON.stringify({ end: at, interrupted })}\n`;

interface Entry extends InputPoint {
  readonly bytes: Uint8Array;
}

export interface InputLog {
  readonly run: RunIdentity;
  readonly entries: readonly Entry[];
  /** Instructions retired when the recorded run ended; null if it was killed. */
  readonly end: number | null;
  /** Somebody ended it. */
  readonly interrupted: boolean;
}

/** Reads a log. Throws InvalidInput. */
export function parseLog(text: string, path: string): InputLog {
  const lines = text.split('\n').filter((line) => line !== '');
  const header = parseLine(lines[0] ?? '', path, 1);
  if (header.log !== MAGIC) throw new InvalidInput(`${path} is no input log: give a file that --record wrote`);
  if (header.format !== FORMAT)
    throw new InvalidInput(`${path} has log format ${header.format}, this version reads ${FORMAT}: record it again`);
  const run = Object.fromEntries(
    Object.entries(record(header.run, `${path}: run`)).map(([key, value]) => [key, string(value, key)]),
  );
  const entries: Entry[] = [];
  let end: number | null = null;
  let interrupted = false;
  let before = 0;
  for (let i = 1; i < lines.length; i++) {
    const field = `${path}:${i + 1}`;
    const line = parseLine(lines[i], path, i + 1);
    const most = Number.MAX_SAFE_INTEGER;
    if (end !== null) throw new InvalidInput(`${field}: there is something behind the end of the log: record it again`);
    if (line.end !== undefined) {
      end = integer(line.end, `${field}: end`, before, most);
      interrupted = boolean(line.interrupted, `${field}: interrupted`);
    } else {
      const at = integer(line.at, `${field}: at`, before, most);
      const bytes = string(line.bytes, `${field}: bytes`);
      if (!/^([0-9a-f]{2})+$/.test(bytes))
        throw new InvalidInput(`${field}: bytes must be pairs of hexadecimal digits`);
      entries.push({ at, halted: boolean(line.halted, `${field}: halted`), bytes: Buffer.from(bytes, 'hex') });
      before = at;
    }
  }
  return { run, entries, end, interrupted };
}

function parseLine(line: string, path: string, number: number): { readonly [key: string]: unknown } {
  try {
    return record(JSON.parse(line), `${path}:${number}`);
  } catch {
    throw new InvalidInput(`${path}:${number} is no line of an input log: give a file that --record wrote`);
  }
}

/** Throws InvalidInput if a log is of another run than the one that is about to start. */
export function checkFits(log: InputLog, now: RunIdentity, path: string): void {
  for (const key of new Set([...Object.keys(log.run), ...Object.keys(now)])) {
    if (log.run[key] === now[key]) continue;
    const was = shorten(log.run[key]);
    throw new InvalidInput(
      `${path} does not fit this run: ${key} was ${was} when it was recorded and is ${shorten(now[key])} now`,
    );
  }
}

const shorten = (value = 'not there'): string =>
  value.length > 24 ? `${value.slice(0, 16)}…` : value === '' ? "''" : value;

/** The run went another way than the one that was recorded. */
export class Diverged extends InvalidInput {}

/** Input from a log, at the points where it entered. */
export class LoggedInput implements InputSource {
  readonly #entries: readonly Entry[];
  #next = 0;

  constructor(log: InputLog) {
    this.#entries = log.entries;
  }

  take(point: InputPoint): Uint8Array | null {
    const entry = this.#entries[this.#next];
    if (entry === undefined || entry.at > point.at) {
      if (entry !== undefined && point.halted) this.#diverged(entry, point);
      return null;
    }
    if (entry.at < point.at) this.#diverged(entry, point);
    if (entry.halted !== point.halted) {
      if (point.halted) this.#diverged(entry, point);
      return null;
    }
    this.#next++;
    return entry.bytes;
  }

  get isOver(): boolean {
    return this.#next >= this.#entries.length;
  }

  async wait(): Promise<void> {}

  #diverged(entry: Entry, point: InputPoint): never {
    throw new Diverged(
      `the replay went another way: it is at instruction ${point.at}${point.halted ? ' (halted)' : ''}, input was recorded at ${entry.at}${entry.halted ? ' (halted)' : ''}`,
    );
  }
}
