/** What a run consists of, checked: from the words of the command line, or from a JSON file. */

import { InvalidInput, type Unvalidated } from '../base/errors.ts';
import { boolean, list, record, string } from '../base/validate.ts';
import { type ProcessorModel, processorModel } from '../cpu/model.ts';
import type { ImageOptions } from '../machine/loader/plan.ts';
import type { TranslationCacheOptions } from '../mmu/policy.ts';
import { readBytes } from './files.ts';
import { type Kernel, loadKernel } from './kernel.ts';
import {
  MEMORY_LIMIT,
  parseAddress,
  parseMemory,
  parseNumber,
  parseTlb,
  parseTrace,
  type TraceRequest,
} from './numbers.ts';
import { readSymbols, SymbolTable } from './symbols.ts';

/** Options of one VM as text, by their long names. */
export interface VmOptions {
  readonly memory?: string;
  readonly append?: string;
  readonly initrd?: string;
  readonly symbols?: string;
  readonly load?: string;
  readonly entry?: string;
  readonly real?: boolean;
  readonly name?: string;
}

/** Options of the whole run. */
export interface GlobalOptions {
  readonly mode?: string;
  readonly cpu?: string;
  readonly tlb?: string;
  readonly maxInstructions?: string;
  readonly expect?: string;
  readonly record?: string;
  readonly replay?: string;
  readonly stats?: string;
  readonly report?: string;
  readonly trace?: string;
}

export interface VmPlan {
  readonly name: string;
  readonly kernel: Kernel;
  readonly memory: number;
  readonly commandLine: string;
  readonly initrd: Uint8Array | null;
  readonly symbols: SymbolTable;
}

export interface RunPlan {
  readonly mode: 'bare' | 'nested' | 'shadow';
  readonly processor: ProcessorModel;
  readonly tlb: TranslationCacheOptions;
  readonly maxInstructions: number;
  readonly expect: string | null;
  readonly record: string | null;
  readonly replay: string | null;
  readonly stats: 'text' | 'json' | null;
  /** Compare each use of a cached translation with the tables, and report flushes. */
  readonly reportFlushes: boolean;
  readonly trace: TraceRequest | null;
  readonly vms: readonly VmPlan[];
}

export interface VmRequest {
  readonly image: string;
  readonly options: VmOptions;
}

const DEFAULT_MEMORY = '64M';
const MOST_VMS = 64;

/** Checks everything and reads all files. Throws InvalidInput before anything is done. */
export function planRun(vms: readonly VmRequest[], options: GlobalOptions): RunPlan {
  const mode = options.mode ?? 'nested';
  if (mode !== 'nested' && mode !== 'shadow' && mode !== 'bare')
    throw new InvalidInput(`--mode '${mode}' is unknown: use nested, shadow or bare`);
  const processor = processorModel(options.cpu ?? 'p6-vmx');
  if (mode !== 'bare' && !processor.features.has('VMX'))
    throw new InvalidInput(`processor '${processor.name}' has no VMX: use --mode bare, or --cpu p6-vmx`);
  if (vms.length > 1 && mode === 'bare')
    throw new InvalidInput(`${vms.length} kernels need --mode nested or shadow: the bare machine runs one`);
  if (vms.length > MOST_VMS) throw new InvalidInput(`${vms.length} VMs are too many: give at most ${MOST_VMS}`);
  if (options.record !== undefined && options.replay !== undefined)
    throw new InvalidInput('--record and --replay exclude each other: give one of them');
  const { stats } = options;
  if (stats !== undefined && stats !== 'text' && stats !== 'json')
    throw new InvalidInput(`--stats format '${stats}' is unknown: use --stats or --stats=json`);
  if (options.report !== undefined && options.report !== 'flushes')
    throw new InvalidInput(`--report '${options.report}' is unknown: use --report flushes`);
  const maxInstructions =
    options.maxInstructions === undefined
      ? Number.POSITIVE_INFINITY
      : parseNumber(options.maxInstructions, '--max-instructions');
  if (options.expect === '') throw new InvalidInput('--expect needs a text');
  const tlb = parseTlb(options.tlb ?? 'unlimited');
  const trace = options.trace === undefined ? null : parseTrace(options.trace);
  const planned = vms.map((vm, i) => planVm(vm, i, vms));
  const total = planned.reduce((sum, vm) => sum + vm.memory, 0);
  if (total >= MEMORY_LIMIT)
    throw new InvalidInput(`the VMs have ${total >> 20} MiB together, more than 2 GiB: give some less --memory`);
  return {
    mode,
    processor,
    tlb,
    maxInstructions,
    expect: options.expect ?? null,
    record: options.record ?? null,
    replay: options.replay ?? null,
    stats: stats ?? null,
    reportFlushes: options.report === 'flushes',
    trace,
    vms: planned,
  };
}

function planVm({ image, options }: VmRequest, index: number, all: readonly VmRequest[]): VmPlan {
  const kernel = loadKernel(image, {
    ...(options.load === undefined ? {} : { load: parseAddress(options.load, '--load') }),
    ...(options.entry === undefined ? {} : { entry: parseAddress(options.entry, '--entry') }),
    ...(options.real === true ? { real: true } : {}),
  } satisfies ImageOptions);
  const isAlone = all.filter((vm) => vm.image === image).length === 1;
  return {
    name: options.name ?? (isAlone ? kernel.name : `${kernel.name}#${index}`),
    kernel,
    memory: parseMemory(options.memory ?? DEFAULT_MEMORY),
    commandLine: options.append ?? '',
    initrd: options.initrd === undefined ? null : readBytes(options.initrd),
    symbols: new SymbolTable(
      options.symbols === undefined ? kernel.symbols : readSymbols(readBytes(options.symbols), options.symbols),
    ),
  };
}

const VM_TEXTS = ['memory', 'append', 'initrd', 'symbols', 'load', 'entry', 'name'] as const;
const GLOBAL_TEXTS = [
  'mode',
  'cpu',
  'tlb',
  'maxInstructions',
  'expect',
  'record',
  'replay',
  'stats',
  'report',
  'trace',
] as const;

/** `{ "mode": "nested", …, "vms": [{ "image": "a.asm", "memory": "64M", … }] }`: the options by their names. Options given on
 *  the command line go before those of the file. */
export function readConfig(path: string): { vms: VmRequest[]; options: GlobalOptions } {
  let parsed: unknown;
  const text = new TextDecoder().decode(readBytes(path));
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    throw new InvalidInput(`${path} is not JSON: ${(error as Error).message}`);
  }
  const config = record(parsed, path) as Unvalidated<GlobalOptions & { vms: unknown }>;
  refuseUnknown(config, [...GLOBAL_TEXTS, 'vms'], path);
  const vms = list(config.vms, `${path}: vms`, 1, MOST_VMS, (value, field) => {
    const vm = record(value, field) as Unvalidated<VmOptions & { image: string }>;
    refuseUnknown(vm, [...VM_TEXTS, 'real', 'image'], field);
    const real = vm.real === undefined ? {} : { real: boolean(vm.real, `${field}.real`) };
    return { image: string(vm.image, `${field}.image`), options: { ...texts(vm, VM_TEXTS, field), ...real } };
  });
  return { vms, options: texts(config, GLOBAL_TEXTS, path) };
}

function refuseUnknown(object: object, known: readonly string[], field: string): void {
  const unknown = Object.keys(object).find((key) => !known.includes(key));
  if (unknown !== undefined)
    throw new InvalidInput(`${field}: '${unknown}' is unknown; there are: ${known.join(', ')}`);
}

/** Values may be written as numbers, too. */
function texts<K extends string>(object: { readonly [key in K]?: unknown }, keys: readonly K[], field: string) {
  const found: { [key in K]?: string } = {};
  for (const key of keys) {
    const value = object[key];
    if (value === undefined) continue;
    found[key] = typeof value === 'number' ? String(value) : string(value, `${field}.${key}`);
  }
  return found;
}
