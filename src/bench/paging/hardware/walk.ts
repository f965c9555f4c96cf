/** A page walk as the tables in memory have it at some moment: which entries it reads, where they are. What of it a processor really reads is the matter of its
 *  walk caches. */

/** One page on the way: a table of the guest, at last the page that is looked for. Addresses are host-physical. */
export interface WalkPart {
  /** The EPT entries that translate it, from the root down; none on the bare machine and with shadow tables. */
  readonly ept: readonly number[];
  /** The entry that is read in that table; −1: none, this is the page itself. */
  readonly entry: number;
}

export interface Walk {
  readonly parts: readonly WalkPart[];
  /** Whether it came to a page; otherwise an entry was not present, or EPT refused. */
  readonly complete: boolean;
  /** Bits of the page number that a page-directory entry covers: 10, with PAE 9. */
  readonly directoryShift: number;
  /** Size of the translation, that of the smaller of the two pages, as bits of the page number inside. */
  readonly shift: number;
  readonly global: boolean;
}

/** Entries that a walk reads if nothing of it is cached. */
export const coldReferences = ({ parts }: Walk): number =>
  parts.reduce((sum, { ept, entry }) => sum + ept.length + (entry < 0 ? 0 : 1), 0);
