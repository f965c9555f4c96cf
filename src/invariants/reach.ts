/** What EPT structures let a guest reach, and whether that is its own (SDM Vol. 3, "EPT Translation Mechanism"): a predicate over memory
 *  as it is, for every leaf, used or not. */
import type { Ownership } from './ownership.ts';

/** Host-physical memory, read without an effect. */
export interface ReadableMemory {
  read32(at: number): number;
}

export interface Reach {
  readonly guestFrame: number;
  readonly frame: number;
  readonly frames: number;
  /** Bit 0 read, 1 write, 2 execute. */
  readonly rights: number;
}

/** Every present leaf under an EPT pointer. */
export function* reachable(memory: ReadableMemory, eptPointer: number): Generator<Reach> {
  yield* leaves(memory, (eptPointer >>> 12) * 4096, 4, 7, 0);
}

function* leaves(memory: ReadableMemory, table: number, level: number, above: number, first: number): Generator<Reach> {
  const frames = 512 ** (level - 1);
  for (let index = 0; index < 512; index++) {
    const low = memory.read32(table + index * 8);
    const rights = above & low & 7;
    if ((low & 7) === 0) continue;
    const frame = (low >>> 12) + (memory.read32(table + index * 8 + 4) & 0xf_ffff) * 0x10_0000;
    const guestFrame = first + index * frames;
    if (level === 1 || (low & 0x80) !== 0) yield { guestFrame, frame: frame - (frame % frames), frames, rights };
    else yield* leaves(memory, frame * 4096, level - 1, rights, guestFrame);
  }
}

/** Leaves that give a VM more than it has been granted. */
export function beyondGrant(memory: ReadableMemory, eptPointer: number, owners: Ownership, vm: number): Reach[] {
  const wrong: Reach[] = [];
  for (const leaf of reachable(memory, eptPointer))
    for (let frame = leaf.frame; frame < leaf.frame + leaf.frames; frame++)
      if ((leaf.rights & ~owners.allowed(vm, frame)) !== 0) {
        wrong.push(leaf);
        break;
      }
  return wrong;
}
