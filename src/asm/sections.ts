/** Sections of a flat binary, and where they come to lie. */

import type { Fixup } from './encode.ts';

interface PlacedFixup extends Fixup {
  readonly section: Section;
}

export class Section {
  readonly name: string;
  readonly nobits: boolean;
  /** 0: nobody asked; then 4, or the origin for the first. */
  align = 0;
  length = 0;
  start = 0;
  #bytes = new Uint8Array(4096);

  constructor(name: string, nobits: boolean) {
    this.name = name;
    this.nobits = nobits;
  }

  /** Makes the section `count` bytes longer; returns where they are. */
  extend(count: number): number {
    const at = this.length;
    this.length += count;
    if (!this.nobits && this.length > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(this.length, this.#bytes.length * 2));
      larger.set(this.#bytes.subarray(0, at));
      this.#bytes = larger;
    }
    return at;
  }

  append(bytes: ArrayLike<number>): void {
    const at = this.extend(bytes.length);
    if (bytes.length > 64) this.#bytes.set(bytes, at);
    else for (let i = 0; i < bytes.length; i++) this.#bytes[at + i] = bytes[i] as number;
  }

  get bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.length);
  }

  /** Empty again, for the next pass. */
  reset(): void {
    this.#bytes.fill(0, 0, this.nobits ? 0 : this.length);
    this.length = 0;
  }
}

export class Sections {
  readonly all: Section[] = [new Section('.text', false)];
  readonly #fixups: PlacedFixup[] = [];

  /** Index of the section of that name, made if there is none. */
  indexOf(name: string, nobits: boolean): number {
    const index = this.all.findIndex((s) => s.name === name);
    return index >= 0 ? index : this.all.push(new Section(name, nobits)) - 1;
  }

  at(index: number): Section {
    return this.all[index] as Section;
  }

  reset(): void {
    for (const section of this.all) section.reset();
    this.#fixups.length = 0;
  }

  /** Notes that bytes at `offset` of a section depend on where sections lie. */
  fix(section: Section, offset: number, fixups: readonly Fixup[]): void {
    for (const fixup of fixups) this.#fixups.push({ ...fixup, at: fixup.at + offset, section });
  }

  get size(): number {
    return this.all.reduce((sum, s) => sum + s.length, 0);
  }

  /** Gives every section its place: .text at the origin, the others behind it in the order of their appearance, .bss last.
   *  Returns the image. */
  link(origin: number): Uint8Array {
    const up = (n: number, align: number): number => Math.ceil(n / align) * align;
    const first = this.at(0);
    first.start = first.align > 0 ? up(origin, first.align) : origin;
    let end = first.start + first.length;
    for (const section of [...this.all.slice(1).filter((s) => !s.nobits), ...this.all.filter((s) => s.nobits)]) {
      section.start = up(end, section.align || 4);
      if (section.length > 0 || section.nobits) end = section.start + section.length;
    }
    this.#applyFixups();
    const held = this.all.filter((s) => !s.nobits && s.length > 0);
    const last = held.reduce((n, s) => Math.max(n, s.start + s.length), first.start);
    const image = new Uint8Array(last - first.start);
    for (const section of held) image.set(section.bytes, section.start - first.start);
    return image;
  }

  #applyFixups(): void {
    for (const { section, at, size, plus, minus } of this.#fixups) {
      const delta = (plus === null ? 0 : this.at(plus).start) - (minus === null ? 0 : this.at(minus).start);
      const bytes = section.bytes.subarray(at, at + size);
      let carry = delta;
      for (let i = 0; i < size; i++) {
        const sum = (bytes[i] as number) + (((carry % 256) + 256) % 256);
        bytes[i] = sum & 0xff;
        carry = Math.floor(carry / 256) + (sum >> 8);
      }
    }
  }
}
