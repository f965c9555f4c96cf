/** The guests' consoles on their way out: byte for byte, or with a prefix before each line if there are several. */

/** Takes bytes and has them written before it returns. */
export type Sink = (bytes: Uint8Array) => void;

const NEWLINE = 10;
/** So much may wait for the end of its line. */
const MOST_WAITING = 4096;

/** Where the first serial ports of all VMs come together. Nothing waits longer than until its line or the present slice of the
 *  run ends, and never beyond a look at it from outside: whoever runs the machine calls `flush` before it lets go. */
export class Consoles {
  readonly #sink: Sink;
  readonly #lines: ConsoleLine[];
  readonly #matchers: TextMatcher[];
  /** Called when the expected text has been seen. */
  onSeen: () => void = () => {};
  #seen = false;

  /** `prefixes`: one per VM; null: no prefix, bytes as they come. `expect`: the text to look for in each console. */
  constructor(prefixes: readonly (string | null)[], sink: Sink, expect: string | null = null) {
    this.#sink = sink;
    this.#lines = prefixes.map((prefix) => new ConsoleLine(prefix));
    this.#matchers = expect === null ? [] : prefixes.map(() => new TextMatcher(expect));
  }

  /** The expected text has been seen. */
  get seen(): boolean {
    return this.#seen;
  }

  transmit(vm: number, byte: number): void {
    const line = this.#lines[vm];
    line.push(byte);
    if (byte === NEWLINE || line.waiting >= MOST_WAITING) this.#write(line.take(false));
    if (!this.#seen && this.#matchers[vm]?.push(byte)) {
      this.#seen = true;
      this.onSeen();
    }
  }

  /** Writes what waits. A prefixed line stays whole unless it is the `last` word of its VM. */
  flush(last = false): void {
    for (const line of this.#lines) {
      if (line.waiting > 0 && (last || !line.isPrefixed)) this.#write(line.take(last));
    }
  }

  #write(bytes: Uint8Array): void {
    this.#sink(bytes);
  }
}

class ConsoleLine {
  readonly #prefix: Uint8Array | null;
  #bytes: number[] = [];

  constructor(prefix: string | null) {
    this.#prefix = prefix === null ? null : new TextEncoder().encode(prefix);
  }

  get isPrefixed(): boolean {
    return this.#prefix !== null;
  }

  get waiting(): number {
    return this.#bytes.length;
  }

  push(byte: number): void {
    this.#bytes.push(byte);
  }

  /** The waiting bytes; a prefixed line is ended, because others follow it. */
  take(last: boolean): Uint8Array {
    const bytes = this.#bytes;
    this.#bytes = [];
    if (this.#prefix === null) return Uint8Array.from(bytes);
    if ((last || bytes.length >= MOST_WAITING) && bytes.at(-1) !== NEWLINE) bytes.push(NEWLINE);
    return Uint8Array.from([...this.#prefix, ...bytes]);
  }
}

/** Finds a text in a stream of bytes. */
export class TextMatcher {
  readonly #text: Uint8Array;
  readonly #recent: number[] = [];

  constructor(text: string) {
    this.#text = new TextEncoder().encode(text);
  }

  /** True when the stream now ends with the text. */
  push(byte: number): boolean {
    const text = this.#text;
    this.#recent.push(byte);
    if (this.#recent.length > text.length) this.#recent.shift();
    return byte === text[text.length - 1] && text.every((b, i) => this.#recent[i] === b);
  }
}
