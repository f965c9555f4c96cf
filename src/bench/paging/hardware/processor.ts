/** A modelled processor: fed with a trace of what a machine does, it counts what its TLB, walk caches and data caches make of it. It does not decide anything: many of
 *  them can watch one run. */

import type { Space } from '../spaces.ts';
import { DataCaches, LEVELS } from './data-caches.ts';
import type { ProcessorGeometry } from './presets.ts';
import { FIRST_LEVEL, SECOND_LEVEL, Tlb } from './tlb.ts';
import type { Walk } from './walk.ts';
import { WalkCaches } from './walk-caches.ts';

/** More references than a walk can have: 3 levels of the guest, each with 4 of EPT, and 4 for the page. */
export const MOST_REFERENCES = 24;

/** What a modelled processor has counted. Lists `…At` are by the level that a reference found: three caches, memory. */
export interface ProcessorCounts {
  /** Accesses and fetches that missed the first level of the TLB and found the second. */
  readonly secondLevelHits: number;
  /** Those that missed both: walks. */
  readonly walks: number;
  /** Walks that ended in a fault or an EPT violation. */
  readonly faultWalks: number;
  readonly walkReferences: number;
  readonly walkReferencesAt: readonly number[];
  /** Walks by the number of entries that they read. */
  readonly histogram: readonly number[];
  readonly dataAt: readonly number[];
  readonly rootAt: readonly number[];
}

export class ModelledProcessor {
  readonly geometry: ProcessorGeometry;
  readonly #tlb: Tlb;
  readonly #walkCaches: WalkCaches;
  readonly #caches: DataCaches;
  #secondLevelHits = 0;
  #walks = 0;
  #faultWalks = 0;
  #references = 0;
  readonly #walkAt = new Float64Array(LEVELS);
  readonly #dataAt = new Float64Array(LEVELS);
  readonly #rootAt = new Float64Array(LEVELS);
  readonly #histogram = new Float64Array(MOST_REFERENCES + 1);
  /** Entries that the walk under way has read. */
  #read = 0;
  readonly #readEntry = (at: number): void => {
    this.#read++;
    this.#walkAt[this.#caches.reference(at)]++;
  };

  constructor(geometry: ProcessorGeometry, seed: number) {
    this.geometry = geometry;
    this.#tlb = new Tlb(geometry.tlb, seed * 4);
    this.#walkCaches = new WalkCaches(geometry.walkCaches, seed * 4 + 1);
    this.#caches = new DataCaches(geometry.caches, seed * 4 + 2);
  }

  /** Translates an access of the guest. `walk` says how the tables are now, if that is needed. */
  translate(space: Space, page: number, isFetch: boolean, walk: () => Walk | null): void {
    const found = this.#tlb.find(space.plain, space.global, page, isFetch);
    if (found === FIRST_LEVEL) return;
    if (found === SECOND_LEVEL) {
      this.#secondLevelHits++;
      return;
    }
    const w = walk();
    if (w === null) return;
    this.#walk(space, page, w);
    this.#walks++;
    if (w.complete) this.#tlb.fill(w.global ? space.global : space.plain, page, w.shift, isFetch);
  }

  /** A walk that ended in a fault. */
  faultWalk(space: Space, page: number, walk: Walk): void {
    this.#walk(space, page, walk);
    this.#faultWalks++;
  }

  /** Data of the guest at a host-physical address. */
  data(physical: number): void {
    this.#dataAt[this.#caches.reference(physical)]++;
  }

  /** So many more accesses to what was accessed last. */
  repeat(times: number): void {
    this.#dataAt[0] += times;
  }

  /** A reference of the hypervisor. */
  root(physical: number): void {
    this.#rootAt[this.#caches.reference(physical)]++;
  }

  invalidatePage(space: Space, page: number): void {
    this.#tlb.invalidate(space.plain, page);
    this.#tlb.invalidate(space.global, page);
    this.#walkCaches.invalidateDirectory(space.directories, page);
  }

  get counts(): ProcessorCounts {
    return {
      secondLevelHits: this.#secondLevelHits,
      walks: this.#walks,
      faultWalks: this.#faultWalks,
      walkReferences: this.#references,
      walkReferencesAt: [...this.#walkAt],
      histogram: [...this.#histogram],
      dataAt: [...this.#dataAt],
      rootAt: [...this.#rootAt],
    };
  }

  #walk(space: Space, page: number, walk: Walk): void {
    this.#read = 0;
    this.#walkCaches.walk(walk, page, space, this.#readEntry);
    this.#references += this.#read;
    this.#histogram[Math.min(this.#read, MOST_REFERENCES)]++;
  }
}
