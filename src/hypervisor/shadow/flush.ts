/** Translations that the processor has to forget before the guest runs again. They carry the guest's VPID; without VPID every
 *  VM exit has forgotten them already. Reference: SDM Vol. 3, "Operations that Invalidate Cached Mappings". */

import type { Linear } from '../../base/address.ts';
import type { RootMode } from '../../machine/root-mode.ts';
import type { ShadowStats } from './options.ts';

// INVVPID types
const INDIVIDUAL_ADDRESS = 0;
const SINGLE_CONTEXT = 1;
const RETAINING_GLOBALS = 3;

/** More addresses than this are not worth telling apart. */
const MOST_PAGES = 8;

export class FlushList {
  readonly #root: RootMode;
  readonly #vpid: number;
  readonly #stats: ShadowStats;
  readonly #pages: Linear[] = [];
  #all = false;
  #notGlobal = false;

  constructor(root: RootMode, vpid: number, stats: ShadowStats) {
    this.#root = root;
    this.#vpid = vpid;
    this.#stats = stats;
  }

  page(linear: Linear): void {
    if (this.#pages.length < MOST_PAGES) this.#pages.push(linear);
    else this.#all = true;
  }

  all(): void {
    this.#all = true;
  }

  /** Everything but global translations: what a load of CR3 makes a processor forget. */
  notGlobal(): void {
    this.#notGlobal = true;
  }

  /** Executes what is listed. */
  run(): void {
    if (this.#vpid !== 0) {
      if (this.#all || this.#notGlobal) {
        this.#root.invvpid(this.#all ? SINGLE_CONTEXT : RETAINING_GLOBALS, this.#vpid, 0);
        this.#stats.flushes++;
      }
      if (!this.#all) {
        for (const linear of this.#pages) this.#root.invvpid(INDIVIDUAL_ADDRESS, this.#vpid, linear);
        this.#stats.pageFlushes += this.#pages.length;
      }
    }
    this.#pages.length = 0;
    this.#all = false;
    this.#notGlobal = false;
  }
}
