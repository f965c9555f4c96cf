/** What led to the end of a run: the last events, and the last branches. */

import { EIP } from '../base/registers.ts';
import { DF, SIGNAL_EXCEPTION, type Signal } from '../base/signal.ts';
import type { ProcessorEvent } from '../cpu/monitor.ts';
import { eventText } from './events.ts';
import type { Session } from './session.ts';
import { look, type Seen } from './watch.ts';

const MOST_EVENTS = 12;
const HARDWARE_EXCEPTION = 3;
const SOFTWARE_INTERRUPT = 4;
const MOST_BRANCHES = 32;

/** The latest of something. */
class Ring<T> {
  readonly #most: number;
  readonly items: T[] = [];

  constructor(most: number) {
    this.#most = most;
  }

  push(item: T): void {
    this.items.push(item);
    if (this.items.length > this.#most) this.items.shift();
  }
}

export interface PastEvent {
  readonly vm: number;
  readonly time: number;
  readonly eip: number;
  readonly text: string;
  /** Which rule was broken. */
  readonly because: string;
}

/** Keeps the last events that the processor delivered, or tried to. Events are rare: this costs nothing to speak of. */
export class EventHistory {
  readonly #ring = new Ring<PastEvent>(MOST_EVENTS);

  get events(): readonly PastEvent[] {
    return this.#ring.items;
  }

  attach(session: Session): void {
    const { cpu } = session.machine;
    session.machine.observe({
      onEvent: (event) => {
        // What a program asks for itself is no step towards a crash, and may come a million times a second.
        if (event.type === SOFTWARE_INTERRUPT) return;
        this.#ring.push({
          vm: session.current(),
          time: cpu.now(),
          eip: cpu.S[EIP] >>> 0,
          text: eventText(event),
          because: reasonOf(event, cpu.signal),
        });
      },
    });
  }
}

/** Why an exception is delivered, as far as the last fault tells. */
function reasonOf(event: ProcessorEvent, signal: Signal): string {
  if (event.type !== HARDWARE_EXCEPTION || signal.kind !== SIGNAL_EXCEPTION) return '';
  if (event.vector === signal.vector) return signal.because;
  if (event.vector !== DF) return '';
  const { vector, errorCode, linear, because } = signal;
  const second = eventText({ vector, errorCode, address: linear, type: HARDWARE_EXCEPTION, instructionLength: 0 });
  return `${second}, while the one before was delivered${because === '' ? '' : ` (${because})`}`;
}

export interface Branch {
  readonly vm: number;
  readonly from: Seen;
  readonly to: number;
  /** So many times in a row. */
  times: number;
}

/** Watches every instruction and keeps those after which it did not go on with the next: only for the end of a run. */
export class BranchHistory {
  readonly #rings = new Map<number, { last: Seen | null; readonly branches: Ring<Branch> }>();

  /** The last instruction that a VM began. */
  lastOf(vm: number): Seen | null {
    return this.#rings.get(vm)?.last ?? null;
  }

  branchesOf(vm: number): readonly Branch[] {
    return this.#rings.get(vm)?.branches.items ?? [];
  }

  attach(session: Session): void {
    const { cpu } = session.machine;
    session.machine.observe({
      onInstruction: () => {
        const vm = session.current();
        if (vm >= 0) this.#note(vm, look(cpu));
      },
    });
  }

  #note(vm: number, seen: Seen): void {
    let ring = this.#rings.get(vm);
    if (ring === undefined) {
      ring = { last: null, branches: new Ring(MOST_BRANCHES) };
      this.#rings.set(vm, ring);
    }
    const { last } = ring;
    const isRepeated = seen.eip === last?.eip && last.text.startsWith('rep');
    const isNext = isRepeated || (last !== null && seen.eip === (last.eip + last.bytes.length) >>> 0);
    ring.last = seen;
    if (last === null || isNext) return;
    const before = ring.branches.items.at(-1);
    if (before?.from.eip === last.eip && before.to === seen.eip) before.times++;
    else ring.branches.push({ vm, from: last, to: seen.eip, times: 1 });
  }
}
