/** What the memory unit has cached, as plain data. */
import type { LinearStore } from '../mmu/linear-store.ts';
import type { Mmu } from '../mmu/mmu.ts';
import type { Tag } from '../mmu/space.ts';
import { ENTRY_DIRTY, EPT_RIGHTS_SHIFT, shiftOf } from '../mmu/store.ts';
import type { TlbEntry } from './trace-event.ts';

const KINDS = ['linear', 'guest-physical', 'directory', 'ept-directory'] as const;
const PAGE_NUMBER = 0x0fff_ffff;

/** What a tag had when it was looked at last. */
interface Known {
  readonly changes: number;
  readonly id: number;
  readonly entries: ReadonlyMap<number, TlbEntry>;
}

/** Reads the caches again and again. An entry that has not changed since the last time is the same object. */
export class CachedTranslations {
  readonly #mmu: Mmu;
  readonly #known = new WeakMap<Tag, Known>();

  constructor(mmu: Mmu) {
    this.#mmu = mmu;
  }

  /** Every translation and table entry that the processor may use, in the order of the stores. */
  read(): TlbEntry[] {
    const { linear, guestPhysical, linearStructures, eptStructures } = this.#mmu.caches;
    const all: TlbEntry[] = [];
    [linear, guestPhysical, linearStructures, eptStructures].forEach((store, n) => {
      for (const { plain, global } of store.spaces.all())
        for (const tag of [plain, global]) {
          if (tag.count === 0) continue;
          for (const entry of this.#entriesOf(store, n, tag)) all.push(entry);
        }
    });
    return all;
  }

  #entriesOf(store: LinearStore, n: number, tag: Tag): Iterable<TlbEntry> {
    const { changes, id } = tag;
    const last = this.#known.get(tag);
    if (last?.changes === changes && last.id === id) return last.entries.values();
    const entries = new Map<number, TlbEntry>();
    for (const e of store.entries(tag)) {
      const fresh = entryOf(store, n, tag, e);
      const key = store.saved(e, 0)[1];
      const old = last?.entries.get(key);
      entries.set(key, old !== undefined && same(old, fresh) ? old : fresh);
    }
    this.#known.set(tag, { changes, id, entries });
    return entries.values();
  }
}

function entryOf(store: LinearStore, n: number, tag: Tag, e: number): TlbEntry {
  const kind = KINDS[n];
  const isTable = n >= 2;
  const [, key, frame, guestFrame, flags] = store.saved(e, 0);
  return {
    kind,
    vpid: tag.vpid,
    eptrta: tag.eptrta,
    global: tag.global,
    page: key & PAGE_NUMBER,
    shift: isTable ? 0 : kind === 'linear' ? shiftOf(key) : store.shift(e),
    frame,
    guestFrame,
    rights: flags & 15,
    eptRights: kind === 'linear' ? (flags >>> EPT_RIGHTS_SHIFT) & 7 : flags & 7,
    dirty: (flags & ENTRY_DIRTY) !== 0,
    level: isTable ? key >>> 28 : 0,
  };
}

/** Entries of the same tag and key. A tag stays when it is emptied, so the rest is compared. */
const same = (a: TlbEntry, b: TlbEntry): boolean =>
  a.frame === b.frame &&
  a.guestFrame === b.guestFrame &&
  a.rights === b.rights &&
  a.eptRights === b.eptRights &&
  a.dirty === b.dirty &&
  a.vpid === b.vpid &&
  a.eptrta === b.eptrta &&
  a.global === b.global;
