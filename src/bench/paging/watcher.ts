/** Shows modelled processors what a machine does: each data access and each change of the page that code comes from, events that kill translations, faults, the
 *  hypervisor's references. Code is taken to be flat. */

import { EIP } from '../../base/registers.ts';
import type { Machine } from '../../machine/machine.ts';
import type { MachineObserver } from '../../machine/observe.ts';
import type { FlushTarget, TlbEvent } from '../../mmu/observer.ts';
import type { ModelledProcessor } from './hardware/processor.ts';
import type { Walk } from './hardware/walk.ts';
import { type Space, Spaces } from './spaces.ts';
import { walkNow } from './tables-now.ts';
import type { Image } from './workloads.ts';

const NO_EPT = -1;
const LINE_SHIFT = 6;
/** EPTP[51:12]: addresses have at most 40 bits. */
const eptrtaOf = (low: number, high: number): number => (low >>> 12) | ((high & 0xff) << 20);

export class Watcher {
  /** Events delivered through the IDT in the guest: faults, interrupts, INT n. */
  delivered = 0;
  /** Page faults that the guest's handler has seen. */
  faults = 0;
  readonly #machine: Machine;
  readonly #processors: readonly ModelledProcessor[];
  readonly #spaces = new Spaces();
  #space: Space;
  #vpid = 0;
  #eptrta = NO_EPT;
  /** What was accessed last, if nothing else has happened since. */
  #line = -1;
  #repeats = 0;
  #codePage = -1;
  readonly #image: Image;
  readonly #onMark: () => void;

  /** `onMark` is called before each execution of the instruction at the image's mark. */
  constructor(machine: Machine, processors: readonly ModelledProcessor[], image: Image, onMark: () => void) {
    this.#machine = machine;
    this.#processors = processors;
    this.#image = image;
    this.#onMark = onMark;
    this.#space = this.#spaces.of(0, NO_EPT);
    machine.observe(this.#observer());
  }

  /** A reference of the hypervisor. */
  root(physical: number): void {
    this.settle();
    for (const p of this.#processors) p.root(physical);
  }

  /** Tells the processors what was kept back. */
  settle(): void {
    this.#line = -1;
    if (this.#repeats === 0) return;
    for (const p of this.#processors) p.repeat(this.#repeats);
    this.#repeats = 0;
  }

  #observer(): MachineObserver {
    const { S } = this.#machine.cpu;
    const { mark, fault } = this.#image;
    return {
      onInstruction: () => {
        const eip = S[EIP];
        if (eip === mark) this.#onMark();
        else if (eip === fault) this.faults++;
        const page = eip >>> 12;
        if (page !== this.#codePage) this.#fetch(eip, page);
      },
      ...(this.#processors.length === 0 ? {} : this.#translations()),
      onEvent: () => {
        this.delivered++;
      },
      // what is in force may be another space
      onEntry: () => this.#changed(),
      onExit: () => this.#changed(),
    };
  }

  #translations(): MachineObserver {
    return {
      onDataAccess: (linear, _bytes, _write, physical) => this.#access(linear, physical),
      onFlush: (event, target) => this.#flush(event, target),
    };
  }

  #changed(): void {
    this.settle();
    this.#codePage = -1;
  }

  #access(linear: number, physical: number): void {
    // Lines are of linear addresses here: nothing but an event makes another physical line of one.
    const line = linear >>> LINE_SHIFT;
    if (line === this.#line) {
      this.#repeats++;
      return;
    }
    this.settle();
    this.#line = line;
    this.#translate(linear, false);
    for (const p of this.#processors) p.data(physical);
  }

  #fetch(eip: number, page: number): void {
    this.settle();
    this.#translate(eip, true);
    this.#codePage = page;
  }

  #translate(linear: number, isFetch: boolean): void {
    const space = this.#spaceNow();
    const page = linear >>> 12;
    let walk: Walk | null | undefined;
    const walkOnce = (): Walk | null => {
      if (walk === undefined) walk = walkNow(this.#machine, linear);
      return walk;
    };
    for (const p of this.#processors) p.translate(space, page, isFetch, walkOnce);
  }

  #flush(event: TlbEvent, target: FlushTarget): void {
    this.#changed();
    if ((event === 'pageFault' || event === 'eptViolation') && target.page >= 0) {
      const walk = walkNow(this.#machine, (target.page << 12) >>> 0);
      if (walk !== null) for (const p of this.#processors) p.faultWalk(this.#spaceNow(), target.page, walk);
    }
    const { spaces, page } = this.#spaces.flush(event, target);
    for (const space of spaces) for (const p of this.#processors) p.invalidatePage(space, page);
  }

  #spaceNow(): Space {
    const { vpid, eptEnabled, eptpLow, eptpHigh } = this.#machine.cpu.mmu;
    const eptrta = eptEnabled ? eptrtaOf(eptpLow, eptpHigh) : NO_EPT;
    if (vpid !== this.#vpid || eptrta !== this.#eptrta) {
      this.#space = this.#spaces.of(vpid, eptrta);
      this.#vpid = vpid;
      this.#eptrta = eptrta;
    }
    return this.#space;
  }
}
