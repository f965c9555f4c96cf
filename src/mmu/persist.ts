/** The memory unit as plain data. The fast tables are no part of it: nothing depends on them. */
import { InvalidInput, type Unvalidated } from '../base/errors.ts';
import { boolean, dword, int32, integer, list, record } from '../base/validate.ts';
import type { LinearStore } from './linear-store.ts';
import type { Mmu } from './mmu.ts';
import { type MmuCounts, newCounts } from './observer.ts';
import { NO_EPT } from './space.ts';

/** One store: entries as [index, key, frame, guestFrame, flags, stamp] under their tags, newest first. */
export interface StoreState {
  readonly used: number;
  readonly free: readonly number[];
  readonly random: number;
  readonly nextId: number;
  readonly tags: readonly {
    readonly vpid: number;
    readonly eptrta: number;
    readonly global: boolean;
    readonly id: number;
    readonly entries: readonly (readonly number[])[];
  }[];
}

export interface MmuState {
  readonly vpid: number;
  readonly eptpLow: number;
  readonly eptpHigh: number;
  readonly eptEnabled: boolean;
  /** Events so far that may kill translations. */
  readonly events: number;
  readonly counts: MmuCounts;
  readonly stores: readonly StoreState[];
}

export function saveMmu(mmu: Mmu): MmuState {
  return {
    vpid: mmu.vpid,
    eptpLow: mmu.eptpLow >>> 0,
    eptpHigh: mmu.eptpHigh >>> 0,
    eptEnabled: mmu.eptEnabled,
    events: mmu.caches.policy.events,
    counts: { ...mmu.counts, flushes: { ...mmu.counts.flushes } },
    stores: mmu.caches.all.map(saveStore),
  };
}

function saveStore(store: LinearStore): StoreState {
  let nth = 0;
  const tags = [...store.spaces.all()].flatMap((space) => [space.plain, space.global]);
  return {
    ...store.freeList(),
    nextId: store.spaces.nextId,
    tags: tags.map((tag) => ({
      vpid: tag.vpid,
      eptrta: tag.eptrta,
      global: tag.global,
      id: tag.id,
      entries: [...store.entries(tag)].map((e) => store.saved(e, nth++)),
    })),
  };
}

const count = (value: unknown, field: string): number => integer(value, field, 0, Number.MAX_SAFE_INTEGER);

/** Checks every field, then takes the state over; on an error nothing has changed. */
export function restoreMmu(mmu: Mmu, state: Unvalidated<MmuState>): void {
  const vpid = integer(state.vpid, 'mmu.vpid', 0, 0xffff);
  const eptpLow = dword(state.eptpLow, 'mmu.eptpLow');
  const eptpHigh = dword(state.eptpHigh, 'mmu.eptpHigh');
  const eptEnabled = boolean(state.eptEnabled, 'mmu.eptEnabled');
  const events = count(state.events, 'mmu.events');
  const counts = checkCounts(state.counts);
  const { all } = mmu.caches;
  const stores = list(state.stores, 'mmu.stores', all.length, all.length, (s, field) => record(s, field)).map((s, k) =>
    checkStore(s as Unvalidated<StoreState>, `mmu.stores[${k}]`, all[k].capacity, events),
  );

  mmu.vpid = vpid;
  mmu.eptpLow = eptpLow;
  mmu.eptpHigh = eptpHigh;
  mmu.eptEnabled = eptEnabled;
  mmu.caches.policy.events = events;
  Object.assign(mmu.counts, { ...counts, flushes: Object.assign(mmu.counts.flushes, counts.flushes) });
  stores.forEach((s, k) => {
    restoreStore(all[k], s);
  });
  mmu.caches.fast.clearAll();
  mmu.caches.front?.clear();
  mmu.caches.fast.generation++;
}

function checkCounts(value: unknown): MmuCounts {
  const counts = newCounts();
  const given = record(value, 'mmu.counts');
  const flushes = record(given.flushes, 'mmu.counts.flushes');
  for (const name of Object.keys(counts.flushes) as (keyof MmuCounts['flushes'])[])
    counts.flushes[name] = count(flushes[name], `mmu.counts.flushes.${name}`);
  const plain = Object.fromEntries(
    Object.keys(counts)
      .filter((name) => name !== 'flushes')
      .map((name) => [name, count(given[name], `mmu.counts.${name}`)]),
  );
  return { ...counts, ...plain };
}

function checkStore(s: Unvalidated<StoreState>, field: string, capacity: number, events: number): StoreState {
  const used = integer(s.used, `${field}.used`, 0, capacity);
  const seen = new Uint8Array(used);
  const index = (value: unknown, where: string): number => {
    const e = integer(value, where, 0, used - 1);
    if (seen[e] !== 0) throw new InvalidInput(`${where} is ${e}, which is there twice`);
    seen[e] = 1;
    return e;
  };
  const free = list(s.free, `${field}.free`, 0, used, index);
  const random = int32(s.random, `${field}.random`);
  if (random === 0) throw new InvalidInput(`${field}.random is 0, must be another number`);
  const nextId = integer(s.nextId, `${field}.nextId`, 1, Number.MAX_SAFE_INTEGER);
  const ids = new Set<string | number>();
  const once = (value: string | number, where: string): void => {
    if (ids.has(value)) throw new InvalidInput(`${where}: ${value} is there twice`);
    ids.add(value);
  };
  const tags = list(s.tags, `${field}.tags`, 0, 1 << 24, (value, where) => {
    const tag = record(value, where);
    const vpid = integer(tag.vpid, `${where}.vpid`, 0, 0xffff);
    const eptrta = integer(tag.eptrta, `${where}.eptrta`, NO_EPT, 0x0fff_ffff);
    const global = boolean(tag.global, `${where}.global`);
    const id = integer(tag.id, `${where}.id`, 1, nextId - 1);
    once(id, `${where}.id`);
    once(`${vpid}/${eptrta}/${global}`, where);
    const keys = new Set<number>();
    const entries = list(tag.entries, `${where}.entries`, 0, used, (entry, at) => {
      const words = list(entry, at, 6, 6, count);
      index(words[0], `${at}[0]`);
      const key = integer(words[1], `${at}[1]`, 0, 0x7fff_ffff);
      if (keys.has(key)) throw new InvalidInput(`${at}[1]: key ${key} is there twice`);
      keys.add(key);
      integer(words[2], `${at}[2]`, 0, 0x0fff_ffff);
      integer(words[3], `${at}[3]`, 0, 0x0fff_ffff);
      integer(words[4], `${at}[4]`, 0, 0xfff);
      integer(words[5], `${at}[5]`, 0, events);
      return words;
    });
    return { vpid, eptrta, global, id, entries };
  });
  if (seen.includes(0))
    throw new InvalidInput(`${field}: entry ${seen.indexOf(0)} of ${used} is neither cached nor free`);
  return { used, free, random, nextId, tags };
}

function restoreStore(store: LinearStore, s: StoreState): void {
  store.reset(s.used, s.free, s.random);
  for (const t of s.tags) {
    const space = store.spaces.get(t.vpid, t.eptrta);
    const tag = t.global ? space.global : space.plain;
    tag.id = t.id;
    for (const [e, key, frame, guestFrame, flags, stamp] of [...t.entries].reverse())
      store.place(e, tag, key, frame, guestFrame, flags, stamp);
  }
  store.spaces.nextId = s.nextId;
}
