/** What the loaders agree on: an image becomes a plan, a plan is placed into memory. Images are untrusted. */

/** Bytes for one stretch of memory; `length` may be larger than what the file holds, the rest is zeroed. */
export interface Segment {
  readonly at: number;
  readonly bytes: Uint8Array;
  readonly length: number;
}

export interface ImageSymbol {
  readonly name: string;
  readonly address: number;
  readonly size: number;
}

/** State of the processor at the first instruction.
 *  multiboot: flat 32-bit segments, EAX and EBX as the specification says · flat: the same without them ·
 *  real: real mode, as a boot sector finds it. */
export type EntryState = 'multiboot' | 'flat' | 'real';

export interface ImagePlan {
  readonly format: 'multiboot-elf' | 'multiboot-fields' | 'flat' | 'real';
  /** Not overlapping. */
  readonly segments: readonly Segment[];
  /** Physical address of the first instruction. */
  readonly entry: number;
  readonly entryState: EntryState;
  readonly symbols: readonly ImageSymbol[];
}

/** First address behind everything that the plan loads. */
export const endOf = (plan: ImagePlan): number => Math.max(0, ...plan.segments.map((s) => s.at + s.length));
