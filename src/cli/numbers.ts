/** Numbers, sizes and lists as the command line takes them. */

import { InvalidInput } from '../base/errors.ts';
import type { TranslationCacheOptions } from '../mmu/policy.ts';

const UNITS: Readonly<Record<string, number>> = { '': 1, K: 1024, M: 1024 ** 2, G: 1024 ** 3 };
const PAGE = 4096;
/** Machine and guests have less than this. */
export const MEMORY_LIMIT = 2 * 1024 ** 3;

/** Decimal, 0x123 or 123h; `_` may separate digits. */
export function parseNumber(text: string, option: string): number {
  const plain = text.replaceAll('_', '');
  const hexadecimal = /^0x([0-9a-f]+)$/i.exec(plain) ?? /^([0-9][0-9a-f]*)h$/i.exec(plain);
  const value = hexadecimal ? Number.parseInt(hexadecimal[1], 16) : /^\d+$/.test(plain) ? Number(plain) : Number.NaN;
  if (Number.isSafeInteger(value)) return value;
  throw new InvalidInput(`${option} '${text}' is not a number: write 1000000, 0x100000 or 100000h`);
}

/** An address: 32 bits. */
export function parseAddress(text: string, option: string): number {
  const value = parseNumber(text, option);
  if (value <= 0xffff_ffff) return value;
  throw new InvalidInput(`${option} '${text}' is no 32-bit address: give one up to FFFF_FFFFh`);
}

/** Bytes of memory: 64M, 4096K, 1G. A multiple of 4 KiB below 2 GiB. */
export function parseMemory(text: string, option = '--memory'): number {
  const match = /^(\d+)([KMG]?)(?:i?B)?$/i.exec(text);
  if (match === null) throw new InvalidInput(`${option} '${text}' is not a size: write 64M, 4096K or 1G`);
  const bytes = Number(match[1]) * UNITS[match[2].toUpperCase()];
  if (bytes >= MEMORY_LIMIT) throw new InvalidInput(`${option} ${text} is too much: give less than 2G`);
  if (bytes === 0 || bytes % PAGE !== 0)
    throw new InvalidInput(`${option} ${text} is not a multiple of 4 KiB: write for example 64M`);
  return bytes;
}

/** `unlimited`, `modelled[:ENTRIES]`, `stalest[:SEED]`. */
export function parseTlb(text: string): TranslationCacheOptions {
  const [kind, detail, ...rest] = text.split(':');
  const number = detail === undefined ? undefined : parseNumber(detail, '--tlb');
  if (rest.length === 0) {
    if (kind === 'unlimited' && number === undefined) return { kind };
    if (kind === 'modelled') return number === undefined ? { kind } : { kind, entries: number };
    if (kind === 'stalest') return number === undefined ? { kind } : { kind, seed: number };
  }
  throw new InvalidInput(`--tlb '${text}' is unknown: use unlimited, modelled[:ENTRIES] or stalest[:SEED]`);
}

/** What `--trace` can show. */
export const TRACE_TOPICS = ['exec', 'exit', 'entry', 'ept', 'walk', 'irq', 'io'] as const;
export type TraceTopic = (typeof TRACE_TOPICS)[number];

export interface TraceRequest {
  readonly topics: ReadonlySet<TraceTopic>;
  readonly jsonl: boolean;
}

/** `exit,irq` or `exit,irq=jsonl`; `all` is every topic but exec and walk. */
export function parseTrace(text: string): TraceRequest {
  const [list, format] = text.split('=', 2);
  if (format !== undefined && format !== 'jsonl' && format !== 'text')
    throw new InvalidInput(`--trace format '${format}' is unknown: use =jsonl, or nothing for text`);
  const topics = new Set<TraceTopic>();
  for (const name of list.split(',')) {
    if (name === 'all') for (const topic of ['exit', 'entry', 'ept', 'irq', 'io'] as const) topics.add(topic);
    else if ((TRACE_TOPICS as readonly string[]).includes(name)) topics.add(name as TraceTopic);
    else throw new InvalidInput(`--trace cannot show '${name}'; it can show: ${TRACE_TOPICS.join(', ')}, all`);
  }
  return { topics, jsonl: format === 'jsonl' };
}

/** Splits a command line into words: blanks separate, quotes and backslashes keep together. */
export function splitWords(text: string): string[] {
  const words: string[] = [];
  let word: string | null = null;
  let quote = '';
  for (let i = 0; i < text.length; i++) {
    const c = text[i];
    if (quote === '' && /\s/.test(c)) {
      if (word !== null) words.push(word);
      word = null;
    } else if (quote === '' && (c === '"' || c === "'")) {
      quote = c;
      word ??= '';
    } else if (c === quote) quote = '';
    else if (c === '\\' && quote !== "'" && i + 1 < text.length) word = (word ?? '') + text[++i];
    else word = (word ?? '') + c;
  }
  if (quote !== '') throw new InvalidInput(`--vm "${text}": a quote is not closed`);
  if (word !== null) words.push(word);
  return words;
}
