/** Names for what is cached: a number stands for the translations of one VPID and EPT pointer until an event kills them all; then another number does. */

import type { FlushTarget, TlbEvent } from '../../mmu/observer.ts';

/** The names in force for one VPID and EPT pointer. */
export interface Space {
  /** Translations that are not global, and those that are. */
  plain: number;
  global: number;
  /** Page-directory entries. */
  directories: number;
  /** Guest-physical pages: of the EPT pointer, whatever the VPID. */
  guestPhysical: number;
}

interface OwnedSpace extends Space {
  readonly vpid: number;
  readonly eptrta: number;
}

/** What an event takes away besides all that it renames. */
export interface SinglePages {
  /** Spaces in which the linear page is no longer cached. */
  readonly spaces: readonly Space[];
  readonly page: number;
}

const NOTHING: SinglePages = { spaces: [], page: 0 };

export class Spaces {
  readonly #all: OwnedSpace[] = [];
  #names = 0;

  /** `eptrta`: −1 without EPT. */
  of(vpid: number, eptrta: number): Space {
    const known = this.#all.find((s) => s.vpid === vpid && s.eptrta === eptrta);
    if (known !== undefined) return known;
    const sibling = this.#all.find((s) => s.eptrta === eptrta);
    const [plain, global, directories] = [this.#name(), this.#name(), this.#name()];
    const space = { vpid, eptrta, plain, global, directories, guestPhysical: sibling?.guestPhysical ?? this.#name() };
    this.#all.push(space);
    return space;
  }

  /** Lets an event take place: renames what dies as a whole, says which single pages die (SDM Vol. 3, "Invalidation of TLBs and Paging-Structure Caches"). */
  flush(event: TlbEvent, { vpid, eptrta, page }: FlushTarget): SinglePages {
    const ofVpid = this.#all.filter((s) => s.vpid === vpid);
    switch (event) {
      case 'movToCr3':
      case 'invvpidKeepGlobals':
        for (const s of ofVpid) s.plain = this.#name();
        this.#renameDirectories(ofVpid);
        return NOTHING;
      case 'pagingModeChange':
      case 'vmTransition':
      case 'invvpidSingle':
        this.#renameAll(ofVpid);
        return NOTHING;
      case 'invvpidAll':
        this.#renameAll(this.#all.filter((s) => s.vpid !== 0));
        return NOTHING;
      case 'invlpg':
        this.#renameDirectories(ofVpid);
        return { spaces: ofVpid, page };
      case 'pageFault':
      case 'invvpidAddress':
        return { spaces: ofVpid, page };
      case 'eptViolation':
        // All that is known of guest-physical pages goes, more than has to: an EPT violation is a rare thing.
        this.#renameGuestPhysical(eptrta);
        return { spaces: page < 0 ? [] : ofVpid.filter((s) => s.eptrta === eptrta), page };
      case 'inveptSingle':
        this.#renameWithEpt(this.#all.filter((s) => s.eptrta === eptrta));
        return NOTHING;
      case 'inveptAll':
        this.#renameWithEpt(this.#all.filter((s) => s.eptrta >= 0));
        return NOTHING;
    }
  }

  #name(): number {
    return this.#names++;
  }

  #renameDirectories(spaces: readonly Space[]): void {
    for (const s of spaces) s.directories = this.#name();
  }

  #renameAll(spaces: readonly Space[]): void {
    for (const s of spaces) {
      s.plain = this.#name();
      s.global = this.#name();
    }
    this.#renameDirectories(spaces);
  }

  #renameWithEpt(spaces: readonly OwnedSpace[]): void {
    this.#renameAll(spaces);
    for (const eptrta of new Set(spaces.map((s) => s.eptrta))) this.#renameGuestPhysical(eptrta);
  }

  #renameGuestPhysical(eptrta: number): void {
    const name = this.#name();
    for (const s of this.#all) if (s.eptrta === eptrta) s.guestPhysical = name;
  }
}
