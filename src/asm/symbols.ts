/** Symbols: labels and EQU constants. They keep their values from pass to pass until nothing changes any more. */

import { LineError } from './errors.ts';
import type { SymbolValue } from './value.ts';

interface Entry {
  value: SymbolValue;
  /** The pass that defined it last. */
  pass: number;
}

export class Symbols {
  readonly #entries = new Map<string, Entry>();
  #scope = '';
  #pass = 0;
  /** Definitions that differ from the pass before. */
  changes = 0;
  /** First words of lines that could not be read: they may have been labels, so nobody is told that they are missing. */
  readonly lost = new Set<string>();

  beginPass(): void {
    this.#pass++;
    this.#scope = '';
    this.changes = 0;
  }

  /** The whole name: `.x` belongs to the last label without a dot; `..@x` stands for itself. */
  #fullName(name: string): string {
    return name.startsWith('.') && !name.startsWith('..') ? this.#scope + name : name;
  }

  lookup(name: string): SymbolValue | null {
    const found = this.#entries.get(this.#fullName(name))?.value;
    return found ?? (this.lost.has(name) ? { section: null, offset: 0n } : null);
  }

  /** `opensScope`: labels do, EQU does not. */
  define(name: string, value: SymbolValue, opensScope: boolean, column: number): void {
    const full = this.#fullName(name);
    if (opensScope && !name.startsWith('.')) this.#scope = name;
    const entry = this.#entries.get(full);
    if (entry === undefined) {
      this.#entries.set(full, { value, pass: this.#pass });
      if (this.#pass > 1) this.changes++;
      return;
    }
    const same = entry.value.section === value.section && entry.value.offset === value.offset;
    if (entry.pass === this.#pass && !same) throw new LineError(column, `\`${full}\` is defined twice`);
    if (!same) this.changes++;
    entry.value = value;
    entry.pass = this.#pass;
  }

  *entries(): IterableIterator<[string, SymbolValue]> {
    for (const [name, { value }] of this.#entries) yield [name, value];
  }
}
