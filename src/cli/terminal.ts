/** The process's own ends: stdout and stderr written at once, stdin as it comes, Ctrl-C. */

import { fstatSync, readFileSync, writeSync } from 'node:fs';
import { isatty } from 'node:tty';
import { LiveInput } from './input.ts';

const STDIN = 0;
const STDOUT = 1;
const STDERR = 2;
const CTRL_C = 3;
const PATIENCE_MS = 1;

/** Nobody reads our output any more. */
export class OutputClosed extends Error {}

/** Writes all bytes before it returns, also to a pipe that is full at the moment. */
function writeAll(fd: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length; ) {
    try {
      done += writeSync(fd, bytes, done);
    } catch (error) {
      const { code } = error as { code?: string };
      if (code === 'EPIPE') throw new OutputClosed();
      if (code !== 'EAGAIN') throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, PATIENCE_MS);
    }
  }
}

const NEWLINE = 10;
/** Both streams go to a terminal, and the guest has not ended its line. */
let isLineOpen = false;

export function writeOut(text: Uint8Array | string): void {
  const bytes = asBytes(text);
  writeAll(STDOUT, bytes);
  if (bytes.length > 0) isLineOpen = bytes[bytes.length - 1] !== NEWLINE && isatty(STDOUT) && isatty(STDERR);
}
const asBytes = (bytes: Uint8Array | string): Uint8Array =>
  typeof bytes === 'string' ? new TextEncoder().encode(bytes) : bytes;

/** A line of a trace; if nobody reads it, the run ends. */
export const trace = (line: string): void => writeAll(STDERR, asBytes(`${line}\n`));

/** A line on stderr. */
export function say(line: string): void {
  try {
    writeAll(STDERR, asBytes(`${isLineOpen ? '\n' : ''}${line}\n`));
    isLineOpen = false;
  } catch {
    // there is nobody to tell
  }
}

/** What the process is told from outside. Call `close` to get the terminal back. */
export class Outside {
  readonly input = new LiveInput();
  #interrupted = false;
  readonly #onSignal = (): void => this.interrupt();
  readonly #onData = (data: Uint8Array): void => this.#data(data);
  readonly #onEnd = (): void => this.input.end();

  constructor(options: { readonly stdin: boolean }) {
    process.on('SIGINT', this.#onSignal);
    process.on('SIGTERM', this.#onSignal);
    if (!options.stdin) this.input.end();
    else this.#open();
  }

  get interrupted(): boolean {
    return this.#interrupted;
  }

  interrupt(): void {
    this.#interrupted = true;
    this.input.interrupt();
  }

  close(): void {
    process.off('SIGINT', this.#onSignal);
    process.off('SIGTERM', this.#onSignal);
    if (this.#opened === null) return;
    this.#opened.off('data', this.#onData);
    this.#opened.off('end', this.#onEnd);
    this.#opened.off('error', this.#onEnd);
    if (this.#opened.isTTY) this.#opened.setRawMode(false);
    this.#opened.destroy();
  }

  #opened: NodeJS.ReadStream | null = null;

  /** A file is there as a whole, so it enters at the first instruction; anything else enters as it comes. */
  #open(): void {
    try {
      if (fstatSync(STDIN).isFile()) {
        this.input.push(readFileSync(STDIN));
        this.input.end();
        return;
      }
    } catch {
      this.input.end(); // stdin is closed
      return;
    }
    this.#opened = process.stdin;
    if (this.#opened.isTTY) this.#opened.setRawMode(true);
    this.#opened.on('data', this.#onData);
    this.#opened.on('end', this.#onEnd);
    this.#opened.on('error', this.#onEnd);
  }

  /** A terminal in raw mode sends Ctrl-C as a byte. */
  #data(data: Uint8Array): void {
    if (this.#opened?.isTTY && data.includes(CTRL_C)) this.interrupt();
    else this.input.push(data);
  }
}

/** Lets signals and input be seen. */
export const pause = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
