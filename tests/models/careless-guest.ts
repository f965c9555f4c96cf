/** What a program of tests/properties/isolation may see if it does not flush as it should: at each access every combination of entries
 *  that were in the tables since the last flush that covers it (SDM Vol. 3, "Caching Translation Information"). Follows the program's own
 *  log, and finds the first item that no processor may have logged. */

type Step = readonly (number | undefined)[];

interface Version {
  readonly time: number;
  readonly value: number;
}

interface Places {
  readonly frameAt: (frame: number) => number;
  readonly entries: readonly number[];
  readonly directories: readonly number[];
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
  readonly #roots: Version[];
  readonly #flushedPages = new Map<number, number>();
  #time = 0;
  #flushedAll = 0;
  #flushedPlain = 0;
  #writeProtect = true;

  constructor(places: Places) {
    this.#places = places;
    this.#roots = [{ time: 0, value: places.directories[0] }];
    for (const at of places.entries) this.#words.set(at, [{ time: 0, value: 0 }]);
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
        this.#roots.push({ time: this.#time, value: a });
      } else if (op === 7) this.#flushedAll = this.#time;
      else if (op === 8) this.#writeProtect = a !== 0;
    }
    return next === log.length ? null : `${log.length - next} items too many in the log`;
  }

  /** A word of a table, at its own address. */
  #table(kind: number, at: number, value: number, item: number): string | null {
    const versions = this.#words.get(at) ?? [];
    if (kind === 1) {
      versions.push({ time: this.#time, value: value & ~USED });
      return item === value >>> 0 ? null : 'the write went wrong';
    }
    const now = versions.at(-1)?.value ?? 0;
    return ((item ^ now) & ~USED) === 0
      ? null
      : `the entry is ${now.toString(16)}, and was read as ${item.toString(16)}`;
  }

  #access(kind: number, at: number, value: number, user: boolean, isFault: boolean, item: number): string | null {
    const page = at >>> 12;
    const { frames, codes } = this.#outcomes(page, kind === 1, user);
    const could = `could be frames ${[...frames].join()} or faults ${[...codes].join()}`;
    if (isFault) {
      this.#flushedPages.set(page, this.#time);
      return codes.has(item & 0xff_ffff) ? null : `fault ${item & 0xff_ffff}, ${could}`;
    }
    if (frames.size === 0) return `no fault, ${could}`;
    if (kind === 1) {
      for (const f of frames) {
        if (frames.size === 1) this.#contents[f].clear();
        this.#contents[f].add(value >>> 0);
      }
      return item === value >>> 0 ? null : 'the write went wrong';
    }
    if ((at & 4) === 0) return frames.has(item & 0xff) ? null : `frame ${item & 0xff}, ${could}`;
    return [...frames].some((f) => this.#contents[f].has(item)) ? null : `read ${item.toString(16)}, ${could}`;
  }

  /** Everything that an access to a page may come to. */
  #outcomes(page: number, write: boolean, user: boolean): { frames: Set<number>; codes: Set<number> } {
    const frames = new Set<number>();
    const codes = new Set<number>();
    const code = (write ? 2 : 0) | (user ? 4 : 0);
    const always = Math.max(this.#flushedAll, this.#flushedPages.get(page) ?? 0);
    const plain = Math.max(always, this.#flushedPlain);
    const take = (rights: number, frame: number): void => {
      const allowed = user ? (rights & 4) !== 0 && (!write || (rights & 2) !== 0) : !write || (rights & 2) !== 0;
      if (allowed || (!user && !this.#writeProtect)) frames.add(frame);
      else codes.add(code | 1);
    };
    for (const [since, globals] of [
      [plain, false],
      [always, true],
    ] as const) {
      for (const root of versionsSince(this.#roots, since)) {
        const directory = this.#words.get(root + (page >>> 10) * 4) ?? [];
        for (const pde of versionsSince(directory, since)) {
          if ((pde & 1) === 0) continue;
          if ((pde & LARGE) !== 0) {
            if (!globals || (pde & GLOBAL) !== 0) take(pde, 8 + (page & 3));
            continue;
          }
          const table = this.#words.get((pde & ~0xfff) + (page & 0x3ff) * 4) ?? [];
          for (const pte of versionsSince(table, since))
            if ((pte & 1) !== 0 && (!globals || (pte & GLOBAL) !== 0)) take(pde & pte, this.#frameOf(pte));
          // what is not present is not cached
          if (!globals && ((table.at(-1)?.value ?? 0) & 1) === 0) codes.add(code);
        }
        const now = directory.at(-1)?.value ?? 0;
        if (!globals && (now & 1) === 0) codes.add(code);
      }
    }
    return { frames, codes };
  }

  #frameOf(pte: number): number {
    const at = pte & ~0xfff;
    for (let f = 0; f < FRAMES; f++) if (this.#places.frameAt(f) === at) return f;
    throw new Error('no such frame');
  }
}

function versionsSince(versions: readonly Version[], since: number): readonly number[] {
  let first = versions.length - 1;
  while (first > 0 && (versions[first]?.time ?? 0) > since) first--;
  return versions.slice(Math.max(first, 0)).map((v) => v.value);
}
