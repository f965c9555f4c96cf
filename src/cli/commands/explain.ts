/** `ringlet explain`: what is wrong with a VM entry, what an exit means, how an address is translated. */

import { readFileSync } from 'node:fs';
import { InvalidInput } from '../../base/errors.ts';
import { processorModel } from '../../cpu/model.ts';
import { modelCapabilities, type VmxCapabilities } from '../../vmx/capabilities.ts';
import type { EntryFailure } from '../../vmx/context.ts';
import { PRIMARY } from '../../vmx/controls.ts';
import {
  explainAddress,
  explainEntry,
  explainEpt,
  explainExit,
  explainIoBitmaps,
  explainMsrBitmap,
  explainVmcs,
  guestRegime,
  imageOfObject,
  isKvmDump,
  objectOfImage,
  parseKvmDump,
  unknownProcessor,
  type VmcsImage,
  type WalkAccess,
  type WalkMemory,
  walkMemory,
} from '../../vmx/explain/index.ts';
import * as F from '../../vmx/fields.ts';
import { type Moment, parseMoment, runUntil } from '../explain-run.ts';
import { isFile, readBytes } from '../files.ts';
import { parseAddress, parseNumber } from '../numbers.ts';
import { type GlobalOptions, planRun, type VmOptions } from '../plan.ts';
import { DONE, TEXT_NOT_SEEN } from '../status.ts';
import { say, writeOut } from '../terminal.ts';

export interface ExplainOptions extends VmOptions, GlobalOptions {
  readonly from?: string;
  readonly at?: string;
  readonly number?: string;
  readonly linear?: string;
  readonly guestPhysical?: string;
  readonly access?: string;
  readonly user?: boolean;
  readonly dump?: string;
  readonly json?: boolean;
}

const DUMPS = ['vmcs', 'ept', 'io', 'msr'] as const;
type Dump = (typeof DUMPS)[number];

/** What is asked about a VMCS, checked. */
interface Questions {
  readonly linear: number | null;
  readonly guestPhysical: number | null;
  readonly access: WalkAccess;
  readonly user: boolean;
  readonly dumps: readonly Dump[];
}

interface Answer {
  readonly text: readonly string[];
  /** The plain data behind the text. */
  readonly data: Readonly<Record<string, unknown>>;
}

/** A guest may loop for ever; so many instructions are waited for. */
const PATIENCE = '100000000';

/** Explains INPUT. Returns the exit status. */
export async function explain(input: string, options: ExplainOptions): Promise<number> {
  const questions = readQuestions(options);
  const text = textOf(input, options.from);
  const answer = text === null ? await ofImage(input, options, questions) : ofText(input, text, options, questions);
  if (answer === null) return TEXT_NOT_SEEN;
  const lines = options.json === true ? [JSON.stringify(answer.data, plain)] : answer.text;
  writeOut(`${lines.join('\n')}\n`);
  return DONE;
}

/** Text is in the data anyway where it is wanted: as lines. */
const plain = (_: string, value: unknown): unknown => (value === Number.POSITIVE_INFINITY ? null : value);

function readQuestions(o: ExplainOptions): Questions {
  const access = o.access ?? 'read';
  if (access !== 'read' && access !== 'write' && access !== 'fetch')
    throw new InvalidInput(`--access '${access}' is unknown: use read, write or fetch`);
  const words = (o.dump ?? '').split(',').filter((word) => word !== '');
  const unknown = words.find((word) => word !== 'all' && !(DUMPS as readonly string[]).includes(word));
  if (unknown !== undefined) throw new InvalidInput(`--dump '${unknown}' is unknown: use ${DUMPS.join(', ')} or all`);
  return {
    linear: o.linear === undefined ? null : parseAddress(o.linear, '--linear'),
    guestPhysical: o.guestPhysical === undefined ? null : parseAddress(o.guestPhysical, '--guest-physical'),
    access,
    user: o.user === true,
    dumps: DUMPS.filter((dump) => words.includes('all') || words.includes(dump)),
  };
}

/** The text of a dump; null where INPUT is an image. */
function textOf(input: string, from: string | undefined): string | null {
  if (from !== undefined && from !== 'image' && from !== 'vmcs' && from !== 'kvm')
    throw new InvalidInput(`--from '${from}' is unknown: use image, vmcs or kvm`);
  if (from === 'image') return null;
  if (input === '-') return new TextDecoder().decode(readFileSync(0));
  if (from === undefined && !isFile(input)) return null;
  const text = new TextDecoder().decode(readBytes(input));
  return from !== undefined || isKvmDump(text) || text.trimStart().startsWith('{') ? text : null;
}

function ofText(input: string, text: string, o: ExplainOptions, questions: Questions): Answer {
  const capabilities = o.cpu === undefined ? null : modelCapabilities(processorModel(o.cpu));
  const isKvm = o.from === 'kvm' || (o.from === undefined && isKvmDump(text));
  const image = isKvm
    ? parseKvmDump(text, capabilities ?? unknownProcessor())
    : imageOfJson(input, text, capabilities ?? modelCapabilities(processorModel('p6-vmx')));
  if (questions.linear !== null || questions.guestPhysical !== null)
    throw new InvalidInput('--linear and --guest-physical need the memory of a running image: a dump has none');
  return answer(image, null, { ...questions, dumps: questions.dumps.filter((dump) => dump === 'vmcs') }, true);
}

function imageOfJson(input: string, text: string, capabilities: VmxCapabilities): VmcsImage {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    throw new InvalidInput(`${input} is neither a VMCS in JSON nor a log of KVM: ${(error as Error).message}`);
  }
  const { partial, ...fields } = parsed as { partial?: unknown };
  return imageOfObject(fields, capabilities, { partial: partial === true, where: input });
}

async function ofImage(input: string, o: ExplainOptions, questions: Questions): Promise<Answer | null> {
  const { mode = 'bare', cpu, tlb, maxInstructions = PATIENCE } = o;
  const vm = Object.fromEntries(
    (['memory', 'append', 'initrd', 'symbols', 'load', 'entry', 'real', 'name'] as const)
      .map((key) => [key, o[key]])
      .filter(([, value]) => value !== undefined),
  ) as VmOptions;
  const moment: Moment = parseMoment(
    o.at ?? 'entry-failure',
    o.number === undefined ? 1 : Math.max(1, parseNumber(o.number, '--number')),
  );
  const global = {
    mode,
    maxInstructions,
    ...(cpu === undefined ? {} : { cpu }),
    ...(tlb === undefined ? {} : { tlb }),
  };
  const plan = planRun([{ image: input, options: vm }], global);
  const { found, session, entries, exits } = await runUntil(plan, moment, (running, image, failure) => ({
    ...answer(image, walkMemory(running.machine.memory), questions, failure !== null, failure),
    instructions: running.machine.instructions,
  }));
  if (found === undefined) {
    const what = moment.kind === 'exit' ? 'VM exit of that kind' : 'VM entry that failed';
    const which = moment.number === 1 ? `no ${what}` : `fewer than ${moment.number} of: ${what}`;
    say(
      `ringlet: there was ${which} within ${session.machine.instructions} instructions; ${entries} entries, ${exits} exits`,
    );
    return null;
  }
  const heading = `after ${found.instructions} instructions:`;
  return { text: [heading, ...found.text], data: { instructions: found.instructions, ...found.data } };
}

/** Everything that is asked about a VMCS. `failed`: its last entry failed. */
function answer(
  image: VmcsImage,
  memory: WalkMemory | null,
  questions: Questions,
  failed: boolean,
  failure: EntryFailure | null = null,
): Answer {
  const text: string[] = [];
  const data: Record<string, unknown> = {};
  const add = (name: string, part: { readonly text: readonly string[] }): void => {
    text.push(...part.text);
    data[name] = part;
  };
  if (failed) add('entry', explainEntry(image, failure));
  if (!failed || memory === null) add('exit', explainExit(image));
  const regime = guestRegime(image);
  const { linear, guestPhysical, access, user } = questions;
  if (memory !== null && linear !== null) add('linear', explainAddress(memory, regime, { linear, access, user }));
  if (memory !== null && guestPhysical !== null)
    add('guestPhysical', explainAddress(memory, regime, { guestPhysical, access, user }));
  const uses = (control: number): boolean =>
    (image.low(F.PRIMARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS) & control) !== 0;
  for (const dump of questions.dumps) {
    if (dump === 'vmcs') {
      add('vmcs', explainVmcs(image));
      data.fields = objectOfImage(image);
    } else if (memory === null) text.push(`${dump}: needs memory`);
    else if (dump === 'ept') {
      if (regime.eptp !== null) add('ept', explainEpt(memory, regime.eptp, regime));
      else text.push("EPT: 'enable EPT' is 0");
    } else if (dump === 'io') {
      const [a, b] = [image.low(F.IO_BITMAP_A_ADDRESS) >>> 0, image.low(F.IO_BITMAP_B_ADDRESS) >>> 0];
      if (uses(PRIMARY.USE_IO_BITMAPS)) add('io', explainIoBitmaps(memory, a, b));
      else text.push(`I/O bitmaps are not used: ${uses(PRIMARY.UNCONDITIONAL_IO_EXITING) ? 'every' : 'no'} port exits`);
    } else if (uses(PRIMARY.USE_MSR_BITMAPS))
      add('msr', explainMsrBitmap(memory, image.low(F.MSR_BITMAP_ADDRESS) >>> 0));
    else text.push('the MSR bitmap is not used: every RDMSR and WRMSR exits');
  }
  return { text, data };
}
