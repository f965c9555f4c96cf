/** How translations are cached: how many, and for how long beyond need. */

import { InvalidInput } from '../base/errors.ts';

export type TranslationCacheOptions =
  /** As many as there are. */
  | { readonly kind: 'unlimited' }
  /** A fixed number (default 1,536), fully associative; a victim is drawn when all are in use. Misses are exact. */
  | { readonly kind: 'modelled'; readonly entries?: number; readonly seed?: number }
  /** Every translation lives until something kills it that the manual names, and all the caches exist that the manual allows.
   *  With a seed it is drawn at each event whether a translation is forgotten: one seed is one legal processor. */
  | { readonly kind: 'stalest'; readonly seed?: number };

/** So many that no guest runs out of them, so few that none can exhaust the host. */
const UNLIMITED = 1 << 20;

export class TranslationPolicy {
  /** Entries of one store. */
  readonly capacity: number;
  /** Whether guest-physical translations and table entries are cached too, and a cached entry that forbids an access is believed. */
  readonly stalest: boolean;
  /** Whether walks use cached guest-physical translations. With a fixed number of entries they do not: its counts are of walks
   *  that read every table entry. */
  readonly cachesWalks: boolean;
  /** Whether "old or new" is drawn. */
  readonly draws: boolean;
  /** Events so far that may kill translations. */
  events = 0;
  readonly #seed: number;
  /** The seed spread over a word: small seeds must not merely swap neighbouring pages. */
  readonly #spread: number;

  constructor(options: TranslationCacheOptions) {
    const seed = options.kind === 'unlimited' ? undefined : options.seed;
    this.capacity = options.kind === 'modelled' ? (options.entries ?? 1536) : UNLIMITED;
    if (!(Number.isInteger(this.capacity) && this.capacity >= 1 && this.capacity <= UNLIMITED))
      throw new InvalidInput(`translation cache: ${this.capacity} entries, must be 1 to ${UNLIMITED}`);
    this.stalest = options.kind === 'stalest';
    this.cachesWalks = options.kind !== 'modelled';
    this.draws = this.stalest && seed !== undefined;
    this.#seed = (seed ?? 1) | 0;
    this.#spread = mix(this.#seed + 0x9e37_79b1);
  }

  /** First state of a store's generator of victims, never 0. */
  generator(salt: number): number {
    return mix(this.#seed ^ Math.imul(salt, 0x9e37_79b1)) || 1;
  }

  /** Whether the translation is forgotten. Depends on what it is and on the count of events, not on the order of accesses. */
  drawNew(key: number, tag: number): boolean {
    return (mix(mix(mix(this.#spread ^ key) ^ tag) ^ this.events) & 1) !== 0;
  }
}

/** Spreads every bit over the word (the finaliser of MurmurHash3). */
function mix(x: number): number {
  let h = x | 0;
  h = Math.imul(h ^ (h >>> 16), 0x85eb_ca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2_ae35);
  return h ^ (h >>> 16);
}
