/** Bytes on their way in. They enter only at fixed points: where a slice of the run ends, or where every VM is halted. */

/** Where a run stands when input may enter. */
export interface InputPoint {
  /** Instructions retired so far. */
  readonly at: number;
  /** No VM can go on without input. */
  readonly halted: boolean;
}

export interface InputSource {
  /** What enters at this point, or null. */
  take(point: InputPoint): Uint8Array | null;
  /** Nothing will come any more. */
  readonly isOver: boolean;
  /** Resolves when there is something to take, or the source is over. */
  wait(): Promise<void>;
}

/** So many bytes enter at once at most; the rest when the guest has taken them. */
const MOST_AT_ONCE = 4096;

/** Bytes that arrive while the machine runs: a terminal, a pipe; or all at once: a file. */
export class LiveInput implements InputSource {
  #bytes: number[] = [];
  #ended = false;
  #wake: (() => void) | null = null;

  push(bytes: Iterable<number>): void {
    for (const byte of bytes) this.#bytes.push(byte);
    this.#wake?.();
  }

  end(): void {
    this.#ended = true;
    this.#wake?.();
  }

  /** Ends a wait without anything having come. */
  interrupt(): void {
    this.#wake?.();
  }

  take(): Uint8Array | null {
    return this.#bytes.length === 0 ? null : Uint8Array.from(this.#bytes.splice(0, MOST_AT_ONCE));
  }

  get isOver(): boolean {
    return this.#ended && this.#bytes.length === 0;
  }

  async wait(): Promise<void> {
    if (this.#bytes.length > 0 || this.#ended) return;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    this.#wake = null;
  }
}
