/** The kernels' serial protocol as a stopwatch: `name:<` … `>` checksum in 8 hexadecimal digits, line feed (kernels/README.md). */

const START = ':<';
const END = />([0-9A-F]{8})(?: [0-9A-F]{16})?\r?\n/;

export class Markers {
  #text = '';
  #started: number | null = null;
  #ended: number | null = null;
  /** What stood behind '>', once its line is complete. */
  checksum: string | null = null;

  /** Takes a piece of output that came at `now` (milliseconds). True when nothing more is needed. */
  feed(piece: string, now: number): boolean {
    this.#text += piece;
    const start = this.#text.indexOf(START);
    if (start < 0) return false;
    this.#started ??= now;
    const end = this.#text.indexOf('>', start);
    if (end < 0) return false;
    this.#ended ??= now;
    this.checksum = END.exec(this.#text.slice(end))?.[1] ?? null;
    return this.checksum !== null;
  }

  /** Milliseconds between the two marks; null while there are not two, 0 if they came in one piece. */
  get milliseconds(): number | null {
    return this.#started === null || this.#ended === null ? null : this.#ended - this.#started;
  }

  /** The end of what was seen, for messages. */
  get tail(): string {
    return this.#text.slice(-200);
  }
}
