/** Whose a frame is, by what root-mode software has declared. A frame that nobody has declared is the hypervisor's. */
import type { OwnershipChange } from '../machine/trace-event.ts';

/** A frame has got a second owner. */
export interface Conflict {
  readonly frame: number;
  readonly vm: number;
  readonly owner: number;
}

export class Ownership {
  readonly #owner = new Map<number, number>();
  readonly #shared = new Map<number, Map<number, number>>();
  readonly #released = new Map<number, Map<number, number>>();
  /** Grows with each declaration. */
  version = 0;

  /** Takes a declaration over; what contradicts an earlier one comes back. `time`: its number in the trace. */
  declare(change: OwnershipChange, time: number): Conflict[] {
    this.version++;
    const { kind, vm } = change;
    const conflicts: Conflict[] = [];
    for (let frame = change.frame; frame < change.frame + change.frames; frame++) {
      const owner = this.#owner.get(frame);
      if (kind === 'own' && owner !== undefined && owner !== vm) conflicts.push({ frame, vm, owner });
      if (kind === 'own') {
        this.#owner.set(frame, vm);
        for (const [other, frames] of this.#shared)
          if (frames.delete(frame) && other !== vm) conflicts.push({ frame, vm, owner: other });
      } else if (kind === 'share') of(this.#shared, vm).set(frame, change.rights);
      else {
        if (owner === vm) this.#owner.delete(frame);
        this.#shared.get(vm)?.delete(frame);
        of(this.#released, vm).set(frame, time);
      }
    }
    return conflicts;
  }

  /** Rights that a VM may have to a frame: bit 0 read, 1 write, 2 execute. */
  allowed(vm: number, frame: number): number {
    return this.#owner.get(frame) === vm ? 7 : (this.#shared.get(vm)?.get(frame) ?? 0);
  }

  /** When the VM gave the frame back, −1 if it never did. */
  releasedAt(vm: number, frame: number): number {
    return this.#released.get(vm)?.get(frame) ?? -1;
  }
}

function of(map: Map<number, Map<number, number>>, vm: number): Map<number, number> {
  const frames = map.get(vm) ?? new Map<number, number>();
  map.set(vm, frames);
  return frames;
}
