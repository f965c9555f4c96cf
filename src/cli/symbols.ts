/** Names for addresses. */

import { InvalidInput } from '../base/errors.ts';
import { hex } from '../base/int.ts';
import { elfSymbols, isElf } from '../machine/loader/elf32.ts';
import type { ImageSymbol } from '../machine/loader/image.ts';

/** An address further behind a symbol than this belongs to something else. */
const REACH = 0x1_0000;

export class SymbolTable {
  readonly #symbols: readonly ImageSymbol[];

  constructor(symbols: readonly ImageSymbol[]) {
    this.#symbols = [...symbols].sort((a, b) => a.address - b.address);
  }

  get size(): number {
    return this.#symbols.length;
  }

  /** `name` or `name+12h` of the last symbol at or before `address`; '' if there is none near. */
  nameOf(address: number): string {
    let low = 0;
    let high = this.#symbols.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#symbols[middle].address <= address) low = middle + 1;
      else high = middle;
    }
    if (low === 0) return '';
    const { name, address: at, size } = this.#symbols[low - 1];
    const offset = address - at;
    if (offset >= (size > 0 ? size : REACH)) return '';
    return offset === 0 ? name : `${name}+${hex(offset, 1)}`;
  }
}

export const NO_SYMBOLS = new SymbolTable([]);

/** Symbols from an ELF file or from the output of `nm`. */
export function readSymbols(file: Uint8Array, path: string): ImageSymbol[] {
  if (isElf(file)) {
    const found = elfSymbols(file);
    if (found.length > 0) return found;
    throw new InvalidInput(`${path} has no symbols: link it without -s, and do not strip it`);
  }
  const symbols: ImageSymbol[] = [];
  for (const line of new TextDecoder().decode(file).split('\n')) {
    const match = /^([0-9a-f]{8,16}) [a-z] (\S+)$/i.exec(line.trim());
    if (match) symbols.push({ name: match[2], address: Number.parseInt(match[1], 16), size: 0 });
  }
  if (symbols.length === 0) throw new InvalidInput(`${path} holds no symbols: give an ELF file, or what nm prints`);
  return symbols;
}
