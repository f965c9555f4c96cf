/** The run loop: slices of virtual time, input between them, and a look at the world outside. */

import type { InputPoint, InputSource } from './input.ts';
import type { Consoles } from './serial.ts';
import type { Session } from './session.ts';

/** Instructions of a slice. Input enters where one ends, so logs depend on it. */
export const SLICE = 1 << 18;

export interface DriveOptions {
  readonly maxInstructions?: number;
  readonly input?: InputSource;
  /** Is told of what enters, where. */
  readonly onInput?: (point: InputPoint, bytes: Uint8Array) => void;
  /** Lets the host look up after so many instructions at least, also within a slice. */
  readonly piece?: number;
  /** The run ends here as if interrupted: the end of a recorded run. */
  readonly endAt?: number;
  /** Somebody wants the run to end. */
  readonly interrupted?: () => boolean;
  /** Lets the host do other things between slices. */
  readonly pause?: () => Promise<void>;
}

/** ended: no VM can go on · limit: of instructions · seen: the expected text · interrupted: from outside. */
export type RunEnding = 'ended' | 'limit' | 'seen' | 'interrupted';

/** Runs until something ends it. The slices do not change what the guests do. */
export async function drive(session: Session, consoles: Consoles, options: DriveOptions = {}): Promise<RunEnding> {
  const { input, maxInstructions = Number.POSITIVE_INFINITY, endAt = Number.POSITIVE_INFINITY } = options;
  let halted = false;
  for (;;) {
    if (options.interrupted?.()) return 'interrupted';
    if (halted && !(session.awaitsInput && session.hasRoom)) return 'ended';
    const point = { at: session.retired, halted };
    const isOpen = halted || session.retired % SLICE === 0;
    const bytes = isOpen && session.hasRoom ? (input?.take(point) ?? null) : null;
    if (bytes !== null) {
      options.onInput?.(point, bytes);
      session.receive(bytes);
    } else if (halted) {
      if (session.retired >= endAt) return 'interrupted';
      if (input === undefined || input.isOver) return 'ended';
      await input.wait();
      continue;
    }
    halted = false;
    const left = maxInstructions - session.retired;
    if (left <= 0) return 'limit';
    if (session.retired >= endAt) return 'interrupted';
    const piece = options.piece ?? SLICE;
    const slice = Math.min(SLICE - (session.retired % SLICE), piece);
    const advance = session.run(Math.min(slice, left, endAt - session.retired));
    consoles.flush();
    if (advance === 'seen') return 'seen';
    halted = advance === 'ended';
    await options.pause?.();
  }
}
