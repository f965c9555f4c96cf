/** What the memory unit has cached, as plain data. */
import type { Mmu } from '../mmu/mmu.ts';
import { ENTRY_DIRTY, EPT_RIGHTS_SHIFT, shiftOf } from '../mmu/store.ts';
import type { TlbEntry } from './trace-event.ts';

const KINDS = ['linear', 'guest-physical', 'directory', 'ept-directory'] as const;
const PAGE_NUMBER = 0x0fff_ffff;

/** Every translation and table entry that the processor may use, the order of the stores. */
export function cachedTranslations(mmu: Mmu): TlbEntry[] {
  const { linear, guestPhysical, linearStructures, eptStructures } = mmu.caches;
  return [linear, guestPhysical, linearStructures, eptStructures].flatMap((store, n) => {
    const kind = KINDS[n];
    const isTable = n >= 2;
    const found: TlbEntry[] = [];
    for (const { plain, global } of store.spaces.all())
      for (const tag of [plain, global])
        for (const e of store.entries(tag)) {
          const [, key, frame, guestFrame, flags] = store.saved(e, 0);
          found.push({
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
          });
        }
    return found;
  });
}
