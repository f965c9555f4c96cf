/** The TLB of fixed size against a model of arrays and searches: which accesses miss, exactly. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { CR3, CR4_PGE, CR4_PSE } from '../../src/base/registers.ts';
import { runs } from '../effort.ts';
import { machine, setCpl, setRegime } from './machine.ts';

interface Slot {
  page: number;
  large: boolean;
  global: boolean;
  dirty: boolean;
}

/** Free slots first (last freed, first used; a whole address space is freed newest first), then slots never used, then a drawn one. */
class NaiveTlb {
  readonly slots: (Slot | null)[] = [];
  readonly entries: number;
  free: number[] = [];
  /** Slots of non-global entries, newest first. */
  chain: number[] = [];
  random: number;
  misses = 0;
  dirtyWalks = 0;

  constructor(entries: number, seed: number) {
    this.entries = entries;
    const mix = (x: number): number => {
      let h = x;
      h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
      h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
      return h ^ (h >>> 16);
    };
    this.random = mix(seed ^ 0x9e3779b1) || 1;
  }

  find(page: number): number {
    return this.slots.findIndex((s) => s !== null && (s.large ? s.page >> 10 === page >> 10 : s.page === page));
  }

  access(page: number, write: boolean, large: boolean, global: boolean): void {
    const at = this.find(page);
    const slot = this.slots[at] ?? null;
    if (slot !== null) {
      if (write && !slot.dirty) {
        this.dirtyWalks++;
        slot.dirty = true;
      }
      return;
    }
    this.misses++;
    const victim = this.#take();
    this.slots[victim] = { page, large, global, dirty: write || DIRTY.has(large ? page & ~1023 : page) };
    if (!global) this.chain.unshift(victim);
  }

  #take(): number {
    const free = this.free.shift();
    if (free !== undefined) return free;
    if (this.slots.length < this.entries) return this.slots.length;
    let x = this.random;
    x = x ^ (x << 13);
    x = x ^ (x >>> 17);
    x = x ^ (x << 5);
    this.random = x;
    const victim = (x >>> 0) % this.entries;
    this.chain = this.chain.filter((s) => s !== victim);
    return victim;
  }

  flush(): void {
    for (const s of this.chain) this.slots[s] = null;
    this.free = [...this.chain, ...this.free];
    this.chain = [];
  }

  invlpg(page: number): void {
    const at = this.find(page);
    if (at < 0) return;
    this.slots[at] = null;
    this.chain = this.chain.filter((s) => s !== at);
    this.free.unshift(at);
  }
}
/** Pages (4-MiB pages by their first) that were written: their D is set in memory. */
let DIRTY = new Set<number>();

const step = fc.oneof(
  {
    weight: 30,
    arbitrary: fc.record({
      do: fc.constant('access' as const),
      page: fc.nat(59),
      write: fc.boolean(),
      user: fc.boolean(),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('invlpg' as const), page: fc.nat(59) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('cr3' as const) }) },
);

test.each([3, 4, 16])(
  'misses are those of a fully associative TLB with this replacement, with %i fast contexts',
  (contexts) => {
    fc.assert(
      fc.property(
        fc.integer(),
        fc.integer({ min: 1, max: 40 }),
        fc.array(step, { maxLength: 300, size: 'max' }),
        (seed, entries, steps) => {
          const m = machine(1 << 23, { cache: { kind: 'modelled', entries, seed }, contexts });
          // pages 0 to 39 of 4 KiB, every fourth one global; 40 to 59 stand for addresses in five large pages
          m.memory.write32(0x1000, 0x2067);
          for (let p = 0; p < 40; p++)
            m.memory.write32(0x2000 + 4 * p, ((p + 64) << 12) | 0x27 | (p % 4 === 3 ? 0x100 : 0));
          for (let p = 0; p < 5; p++) m.memory.write32(0x1000 + 4 * (p + 1), 0xa7);
          setRegime(m, { cr3: 0x1000, paging: true, writeProtect: true, cr4: CR4_PGE | CR4_PSE });
          const tlb = new NaiveTlb(entries, seed);
          DIRTY = new Set();
          for (const s of steps) {
            if (s.do === 'cr3') {
              m.S[CR3] = 0x1000;
              m.mmu.movToCr3();
              tlb.flush();
              continue;
            }
            const large = s.page >= 40;
            const page = large ? (1 + ((s.page - 40) % 5)) * 1024 + ((s.page * 37) % 1024) : s.page;
            if (s.do === 'invlpg') {
              m.mmu.invlpg(page << 12);
              tlb.invlpg(page);
              continue;
            }
            setCpl(m, s.user ? 3 : 0);
            // after a hit by the hot path nothing is called at all
            const half = s.write ? 1 << 20 : 0;
            const usable = (m.mmu.T[m.S[15] + half + page] & 0xfff) === 0;
            if (!usable || seed % 2 === 0) {
              if (s.write) m.mmu.readForWrite32(page << 12);
              else m.mmu.read32(page << 12);
            }
            tlb.access(page, s.write, large, !large && page % 4 === 3);
            if (s.write) DIRTY.add(large ? page & ~1023 : page);
            if (m.mmu.counts.tlbMisses !== tlb.misses) expect(m.mmu.counts.tlbMisses).toBe(tlb.misses);
            if (m.mmu.counts.dirtyWalks !== tlb.dirtyWalks) expect(m.mmu.counts.dirtyWalks).toBe(tlb.dirtyWalks);
          }
          expect(m.mmu.counts.walks).toBe(tlb.misses + tlb.dirtyWalks);
        },
      ),
      { numRuns: runs(25) },
    );
  },
);
