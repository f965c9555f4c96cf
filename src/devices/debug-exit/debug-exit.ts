/** Debug exit: a guest that writes v ends its run, which the command line reports as status (v << 1) | 1.
 *  Reference: QEMU's "isa-debug-exit" device, put at F4h as kernels that are tested under QEMU expect it. */

import type { PortDevice } from '../ports.ts';

export class DebugExit implements PortDevice {
  readonly widestAccess = 4;
  readonly #onExit: (value: number) => void;

  constructor(onExit: (value: number) => void) {
    this.#onExit = onExit;
  }

  /** Reads as QEMU's: zero. */
  read(): number {
    return 0;
  }

  write(_offset: number, value: number): void {
    this.#onExit(value);
  }
}
