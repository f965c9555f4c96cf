/** What can be switched in the shadow pager, each by itself, and what it counts. */

import { InvalidInput } from '../../base/errors.ts';

export interface ShadowOptions {
  /** Most shadow tables that exist at a time; the oldest goes for a new one. @defaultValue 128 and one for each 25 pages of the guest */
  readonly tables?: number;
  /** Page tables may be written without an exit until the guest flushes. @defaultValue true */
  readonly unsync?: boolean;
  /** Values of CR3 whose shadow is kept when the guest loads another one. @defaultValue 16 */
  readonly roots?: number;
  /** Writes to tables are emulated; otherwise the processor executes each with the table writable for one instruction. @defaultValue true */
  readonly emulate?: boolean;
  /** An entry that the guest writes into a table is shadowed at once if it has been accessed before. @defaultValue true */
  readonly prefetch?: boolean;
  /** A table that is written so often without being used is taken for data, after at least two writes: an instruction may need the table
   *  that it writes. 0: never. @defaultValue 3 */
  readonly flood?: number;
  /** Page faults of the guest's own, where an entry is not present, reach its handler without an exit. @defaultValue true */
  readonly bypass?: boolean;
  /** Recount every entry after each exit. For tests: slow. @defaultValue false */
  readonly audit?: boolean;
}

/** Tables that one instruction may need at the same time, with the event that it delivers: code, operands, stacks, IDT, GDT, TSS. */
const FEWEST_TABLES = 24;
const MOST_TABLES = 0x1_0000;
const TABLES_AT_LEAST = 128;
const PAGES_PER_TABLE = 25;

/** Fills in what is not given. Throws InvalidInput. */
export function shadowOptions(options: ShadowOptions, guestPages: number): Required<ShadowOptions> {
  const number = (name: 'tables' | 'roots' | 'flood', least: number, most: number, otherwise: number): number => {
    const value = options[name] ?? otherwise;
    if (Number.isInteger(value) && value >= least && value <= most) return value;
    throw new InvalidInput(`shadow.${name} is ${value}: give a whole number from ${least} to ${most}`);
  };
  return {
    tables: number('tables', FEWEST_TABLES, MOST_TABLES, TABLES_AT_LEAST + Math.ceil(guestPages / PAGES_PER_TABLE)),
    unsync: options.unsync ?? true,
    roots: number('roots', 1, MOST_TABLES, 16),
    emulate: options.emulate ?? true,
    prefetch: options.prefetch ?? true,
    flood: options.flood === 0 ? 0 : number('flood', 2, 0x7fff_ffff, 3),
    bypass: options.bypass ?? true,
    audit: options.audit ?? false,
  };
}

/** What the pager did. */
export class ShadowStats {
  /** Page faults of the guest itself, but for those that do not exit. */
  trueFaults = 0;
  /** Page faults that the guest never sees, because only the shadow tables lacked something. */
  hiddenFaults = 0;
  /** Writes to guest tables that exited. */
  tableWrites = 0;
  /** … of which made a page table writable until the next flush, */
  unsyncs = 0;
  /** … of which were emulated, */
  emulatedWrites = 0;
  /** … of which the processor executed by itself, the table writable for one instruction. */
  steps = 0;
  /** Entries written into shadow tables. */
  fills = 0;
  /** … of which map a large page of the guest at once. */
  largeFills = 0;
  /** Entries taken out of shadow tables, or reduced. */
  drops = 0;
  /** Page tables compared with the guest's. */
  syncs = 0;
  /** Shadow tables given up: because the guest no longer uses them as tables, */
  zaps = 0;
  /** … or to make room for another. */
  evictions = 0;
  /** Shadow tables made. */
  made = 0;
  /** Loads of CR3 that found the shadow of what they lead to, and those that did not. */
  rootHits = 0;
  rootMisses = 0;
  /** INVLPG of the guest. */
  invlpgs = 0;
  /** INVVPIDs for one address, and for everything. */
  pageFlushes = 0;
  flushes = 0;
}
