/** What a program of tests/properties/isolation may see if it does not flush as it should: at each access every combination of entries
 *  that were in the tables since the last flush that covers it (SDM Vol. 3, "Caching Translation Information"). Follows the program's own
 *  log, and finds the first item that no processor may have logged. */

type Step = readonly (number | undefined)[];

/** What a word was from `time` on and until `until`. A word of which it is not known what it is has several versions at a time. */
interface Version {
  readonly time: number;
  until: number;
  readonly value: number;
}

/** Where a root leads to: for each GiB (PAE) a directory or −1; otherwise one directory. */
interface Root extends Version {
  readonly directories: readonly number[];
}

interface Places {
  readonly pae: boolean;
  readonly frameAt: (frame: number) => number;
  readonly tables: readonly number[];
  readonly roots: readonly number[];
  readonly words: readonly number[];
  readonly initial: readonly (readonly [at: number, value: number])[];
}

const FRAMES = 12;
const FAULT = 0xfa00_0000;
const USED = 0x60; // accessed, dirty: not followed
const LARGE = 0x80;
const GLOBAL = 0x100;

export class CarelessGuest {
  readonly #places: Places;
  readonly #words = new Map<number, Version[]>();
  readonly #contents: Set<number>[] = Array.from({ length: FRAMES }, () => new Set([0]));
  readonly #roots: Root[] = [];
  readonly #flushedPages = new Map<number, number>();
  readonly #entryBytes: number;
  readonly #indexBits: number;
  #time = 0;
  #flushedAll = 0;
  #flushedPlain = 0;
  #writeProtect = true;

  constructor(places: Places) {
    this.#places = places;
    this.#entryBytes = places.pae ? 8 : 4;
    this.#indexBits = places.pae ? 9 : 10;
    for (const at of places.words) this.#words.set(at, []);
    for (const at of places.words) this.#set(at, 0);
    for (const [at, value] of places.initial) {
      this.#words.set(at, []);
      this.#set(at, value & ~USED);
    }
    this.#loadRoot(places.roots[0]);
  }

  /** Null if the log is possible; else what is not. */
  contradiction(program: readonly Step[], log: readonly number[]): string | null {
    let next = 0;
    for (const [n, step] of program.entries()) {
      this.#time++;
      const [op, a = 0, b = 0, c = 0] = step;
      if (op === 1 || op === 2 || op === 3 || op === 4) {
        const kind = op === 4 ? c : op - 1; // 0 read, 1 write, 2 execute
        const isFault = (log[next] & 0xff00_0000) >>> 0 === FAULT;
        const item = log[next] >>> 0;
        const wrong = this.#words.has(a)
          ? this.#table(kind, a, b, item)
          : this.#access(kind, a, b, op === 4, isFault, item);
        if (wrong !== null) return `operation ${n} (${step.join(' ')}), log item ${next}: ${wrong}`;
        if (isFault && log[next + 1] >>> 0 !== (kind === 2 ? a + 16 : a)) return `operation ${n}: CR2 is wrong`;
        next += isFault ? 2 : 1;
      } else if (op === 5) this.#flushedPages.set(a >>> 12, this.#time);
      else if (op === 6) {
        this.#flushedPlain = this.#time;
        this.#loadRoot(a);
      } else if (op === 7) {
        this.#flushedAll = this.#time;
        if (this.#places.pae) this.#loadRoot(this.#roots.at(-1)?.value ?? 0);
      } else if (op === 8) this.#writeProtect = a !== 0;
    }
    return next === log.length ? null : `${log.length - next} items too many in the log`;
  }

  /** CR3, and with PAE the PDPTE registers. */
  #loadRoot(value: number): void {
    const last = this.#roots.at(-1);
    if (last !== undefined) last.until = this.#time;
    const directories = this.#places.pae
      ? [0, 1].map((n) => {
          const pointer = this.#now(value + 8 * n);
          return (pointer & 1) === 0 ? -1 : pointer & ~0xfff;
        })
      : [value];
    this.#roots.push({ time: this.#time, until: Number.POSITIVE_INFINITY, value, directories });
  }

  #versions(at: number): Version[] {
    return this.#words.get(at) ?? [];
  }

  #since(at: number, since: number): readonly number[] {
    return this.#versions(at)
      .filter((v) => v.until > since)
      .map((v) => v.value);
  }

  /** What the word may be now. */
  #alive(at: number): readonly number[] {
    return this.#since(at, this.#time);
  }

  /** A word of which there is only one version. */
  #now(at: number): number {
    return this.#alive(at).at(-1) ?? 0;
  }

  /** The word is this now; `perhaps`: or still what it was. */
  #set(at: number, value: number, perhaps = false): void {
    const versions = this.#versions(at);
    if (!perhaps) for (const v of versions) v.until = Math.min(v.until, this.#time);
    versions.push({ time: this.#time, until: Number.POSITIVE_INFINITY, value: value & ~USED });
  }

  /** A word of a table, at its own address. */
  #table(kind: number, at: number, value: number, item: number): string | null {
    if (kind === 1) {
      this.#set(at, value);
      return item === value >>> 0 ? null : 'the write went wrong';
    }
    const could = this.#alive(at);
    const is = (v: number): boolean => ((item ^ v) & ~USED) === 0;
    if (!could.some(is))
      return `the entry is ${could.map((v) => v.toString(16)).join()}, and was read as ${item.toString(16)}`;
    // what it is not, it has not been
    this.#words.set(
      at,
      this.#versions(at).filter((v) => v.until <= this.#time || is(v.value)),
    );
    return null;
  }

  #access(kind: number, at: number, value: number, user: boolean, isFault: boolean, item: number): string | null {
    const page = at >>> 12;
    const { places, codes } = this.#outcomes(page, kind, user);
    const frames = [...places].map((place) => this.#frameOf(place)).filter((f) => f >= 0);
    const words = [...places].map((place) => place + (at & 0xfff)).filter((word) => this.#words.has(word));
    const could = `could be ${[...places].map((p) => p.toString(16)).join()} or faults ${[...codes].join()}`;
    if (isFault) {
      this.#flushedPages.set(page, this.#time);
      return codes.has(item & 0xff_ffff) ? null : `fault ${item & 0xff_ffff}, ${could}`;
    }
    if (places.size === 0) return `no fault, ${could}`;
    if (kind === 1) {
      for (const f of frames) {
        if (places.size === 1) this.#contents[f].clear();
        this.#contents[f].add(value >>> 0);
      }
      for (const word of words) this.#set(word, value, places.size > 1);
      return item === value >>> 0 ? null : 'the write went wrong';
    }
    if ((at & 4) === 0) return frames.includes(item & 0xff) ? null : `frame ${item & 0xff}, ${could}`;
    const isWord = (v: number): boolean => ((item ^ v) & ~USED) === 0;
    if (words.some((word) => this.#alive(word).some(isWord))) return null;
    return frames.some((f) => this.#contents[f].has(item)) ? null : `read ${item.toString(16)}, ${could}`;
  }

  /** Everything that an access to a page may come to: where its page may be, and which faults it may take. */
  #outcomes(page: number, kind: number, user: boolean): { places: Set<number>; codes: Set<number> } {
    const found = new Set<number>();
    const codes = new Set<number>();
    const { pae } = this.#places;
    const write = kind === 1;
    const code = (write ? 2 : 0) | (user ? 4 : 0) | (kind === 2 && pae ? 16 : 0);
    const always = Math.max(this.#flushedAll, this.#flushedPages.get(page) ?? 0);
    const plain = Math.max(always, this.#flushedPlain);
    const take = (rights: number, isData: boolean, place: number): void => {
      const mayWrite = (rights & 2) !== 0 || (!user && !this.#writeProtect);
      const refused = (user && (rights & 4) === 0) || (write && !mayWrite) || (kind === 2 && isData);
      if (refused) codes.add(code | 1);
      else found.add(place);
    };
    const mask = 2 ** this.#indexBits - 1;
    for (const [since, globals] of [
      [plain, false],
      [always, true],
    ] as const) {
      for (const root of this.#roots) {
        if (root.until <= since) continue;
        const directory = root.directories[this.#places.pae ? page >>> 18 : 0] ?? -1;
        if (directory < 0) {
          if (!globals) codes.add(code);
          continue;
        }
        const pdeAt = directory + ((page >>> this.#indexBits) & mask) * this.#entryBytes;
        for (const [pde, pdeIsData] of this.#entries(pdeAt, since)) {
          if ((pde & 1) === 0) continue;
          if ((pde & LARGE) !== 0) {
            if (!globals || (pde & GLOBAL) !== 0) take(pde, pdeIsData, (page & 3) << 12);
            continue;
          }
          const pteAt = (pde & ~0xfff) + (page & mask) * this.#entryBytes;
          for (const [pte, pteIsData] of this.#entries(pteAt, since))
            if ((pte & 1) !== 0 && (!globals || (pte & GLOBAL) !== 0))
              take(pde & pte, pdeIsData || pteIsData, pte & ~0xfff);
          // what is not present is not cached
          if (!globals && this.#alive(pteAt).some((now) => (now & 1) === 0)) codes.add(code);
        }
        if (!globals && this.#alive(pdeAt).some((now) => (now & 1) === 0)) codes.add(code);
      }
    }
    return { places: found, codes };
  }

  /** Every low word that an entry has had since then, with whether it forbade fetches. */
  #entries(at: number, since: number): [low: number, isData: boolean][] {
    const highs = this.#places.pae ? this.#since(at + 4, since) : [0];
    return this.#since(at, since).flatMap((low) => highs.map((high): [number, boolean] => [low, high < 0]));
  }

  /** Number of the frame of data at an address; −1 for a page table. */
  #frameOf(at: number): number {
    for (let f = 0; f < FRAMES; f++) if (this.#places.frameAt(f) === at) return f;
    if (!this.#places.tables.includes(at)) throw new Error('no such frame');
    return -1;
  }
}
