/** The properties: what must hold of random guests, under random acts of a hypervisor. Each tells what is wrong, in words. */
import fc from 'fast-check';
import { assemble } from '../../../src/asm/index.ts';
import { Hypervisor } from '../../../src/hypervisor/hypervisor.ts';
import type { ShadowOptions } from '../../../src/hypervisor/shadow/options.ts';
import type { Violation } from '../../../src/invariants/index.ts';
import { RootModePort } from '../../../src/machine/root-mode-port.ts';
import type { TranslationCacheOptions } from '../../../src/mmu/policy.ts';
import { carefulOutcome } from '../../models/careful-guest.ts';
import { CarelessGuest } from '../../models/careless-guest.ts';
import { imageOf, OP, type Operation } from './operations.ts';
import { MEMORY_BYTES, ORIGIN, type Places, placesOf } from './places.ts';
import { carefulPrograms, carelessPrograms } from './programs.ts';
import { type Action, type Logging, rough } from './rough.ts';
import { bare, bounded, emptyMachine, inVm, leftBehind, type Ran, type Runner, type Seen } from './runs.ts';

/** A random case: programs, one for each VM, and what goes on around them. */
export interface Case {
  readonly cache: TranslationCacheOptions;
  /** The guests have PAE paging. */
  readonly pae: boolean;
  readonly programs: readonly (readonly Operation[])[];
  readonly actions: readonly Action[];
  readonly vpids: boolean;
  readonly logging: Logging;
  /** Instructions of a turn. */
  readonly slice: number;
  readonly pager: ShadowOptions;
}

export interface IsolationProperty {
  readonly name: string;
  readonly cases: fc.Arbitrary<Case>;
  /** What is wrong; empty if nothing is. */
  holds(c: Case): string[];
}

/** Ways for the shadow pager to work. */
const PAGERS: readonly ShadowOptions[] = [
  {},
  { unsync: false },
  { unsync: false, emulate: false },
  { prefetch: false, flood: 0 },
  { tables: 24, roots: 1 },
  { bypass: false },
];

const caches: fc.Arbitrary<TranslationCacheOptions> = fc.oneof(
  fc.constantFrom<TranslationCacheOptions>({ kind: 'unlimited' }, { kind: 'stalest' }),
  fc.constantFrom(1, 2, 3).map((seed): TranslationCacheOptions => ({ kind: 'stalest', seed })),
);
const actions: fc.Arbitrary<Action[]> = fc.array(
  fc.record({
    kind: fc.constantFrom('unmap', 'protect', 'move', 'swap', 'collect'),
    vm: fc.nat(2),
    page: fc.nat(200),
    otherVm: fc.nat(2),
    otherPage: fc.nat(200),
  }),
  { maxLength: 60, size: 'max' },
);
type Programs = (p: Places) => fc.Arbitrary<Operation[]>;
const casesOf = (programs: (p: Places) => fc.Arbitrary<Operation[][]>): fc.Arbitrary<Case> =>
  fc.boolean().chain((pae) =>
    fc.record({
      cache: caches,
      pae: fc.constant(pae),
      programs: programs(placesOf(pae)),
      actions,
      vpids: fc.boolean(),
      logging: fc.constantFrom<Logging>('none', 'flags', 'log'),
      slice: fc.constantFrom(7, 50, 501),
      pager: fc.constantFrom(...PAGERS),
    }),
  );
const one = (programs: Programs): fc.Arbitrary<Case> => casesOf((p) => programs(p).map((program) => [program]));
const several = (programs: Programs): fc.Arbitrary<Case> =>
  casesOf((p) => fc.array(programs(p), { minLength: 2, maxLength: 3 }));

type Ways = Readonly<Record<string, Runner>>;
const ways = new Map<string, Ways>();
function waysOf(cache: TranslationCacheOptions): Ways {
  const key = JSON.stringify(cache);
  const known = ways.get(key) ?? {
    bare: bare(cache),
    nested: inVm(cache, {}),
    'nested with large pages': inVm(cache, { largePages: true }),
    shadow: inVm(cache, { paging: 'shadow' }),
    'shadow with large pages': inVm(cache, { paging: 'shadow', largePages: true }),
    ...(cache.kind === 'unlimited'
      ? { 'bare, unwatched': bare(cache, false), 'nested, unwatched': inVm(cache, {}, false) }
      : {}),
  };
  ways.set(key, known);
  return known;
}

const told = (where: string, violations: readonly Violation[]): string[] =>
  violations.slice(0, 3).map((v) => `${where}: ${v.property}, event ${v.at}: ${v.message}`);

function different(where: string, seen: Seen, expected: Seen): string[] {
  for (const part of ['log', 'entries', 'contents'] as const)
    for (let k = 0; k < Math.max(seen[part].length, expected[part].length); k++)
      if (seen[part][k] !== expected[part][k]) {
        const hex = (n: number | undefined): string => (n === undefined ? 'nothing' : n.toString(16));
        return [`${where}: ${part}[${k}] is ${hex(seen[part][k])}, must be ${hex(expected[part][k])}`];
      }
  return [];
}

const ended = (where: string, end: string): string[] => (end === 'power-off' ? [] : [`${where}: ended by ${end}`]);

const equivalence: IsolationProperty = {
  name: 'a guest that flushes sees the same on the bare machine and in a VM, and what a processor without caches would show it',
  cases: one(carefulPrograms),
  holds({ cache, pae, programs: [program] }) {
    const expected = carefulOutcome(program, placesOf(pae));
    return Object.entries(waysOf(cache)).flatMap(([where, run]) => {
      const ran: Ran = run(program, pae);
      return [...told(where, ran.violations), ...ended(where, ran.end), ...different(where, ran, expected)];
    });
  },
};

const possibility: IsolationProperty = {
  name: 'a guest that does not flush sees what tables said since the last flush, and nothing else',
  cases: one(carelessPrograms),
  holds({ cache, pae, programs: [program] }) {
    return Object.entries(waysOf(cache)).flatMap(([where, run]) => {
      const ran: Ran = run(program, pae);
      const wrong = new CarelessGuest(placesOf(pae)).contradiction(program, ran.log);
      return [
        ...told(where, ran.violations),
        ...ended(where, ran.end),
        ...(wrong === null ? [] : [`${where}: ${wrong}`]),
      ];
    });
  },
};

/** The program with a yield before every third operation. */
const restless = (program: readonly Operation[]): Operation[] =>
  program.flatMap((operation, k): Operation[] => (k % 3 === 0 ? [[OP.yield], operation] : [operation]));

const transparency: IsolationProperty = {
  name: 'several guests do not notice that a hypervisor takes pages away, protects, moves and exchanges them',
  cases: several(carefulPrograms),
  holds({ cache, pae, programs, actions: acts, vpids, logging }) {
    const all = programs.map(restless);
    const { seen, ends, violations, lost } = rough(all, acts, { cache, vpids, pae, logging });
    return [
      ...told('rough', violations),
      ...lost,
      ...ends.flatMap((end, n) => ended(`VM ${n}`, end)),
      ...seen.flatMap((s, n) => different(`VM ${n}`, s, carefulOutcome(all[n], placesOf(pae)))),
    ];
  },
};

const confinement: IsolationProperty = {
  name: 'guests that do not flush keep to their own frames, whatever the hypervisor does with them',
  cases: several(carelessPrograms),
  holds({ cache, pae, programs, actions: acts, vpids, logging }) {
    const all = programs.map(restless);
    const { seen, ends, violations, lost } = rough(all, acts, { cache, vpids, pae, logging });
    return [
      ...told('rough', violations),
      ...lost,
      ...ends.flatMap((end, n) => ended(`VM ${n}`, end)),
      ...seen.flatMap(({ log }, n) => new CarelessGuest(placesOf(pae)).contradiction(all[n], log) ?? []),
    ];
  },
};

/** Stores all registers where there is no memory, again and again: memory appears there for one instruction. */
const storing = assemble(`
bits 32
org ${ORIGIN}
        mov esi, 40
.again: mov esp, 0x80001000
        pushad
        mov al, [esp]
        mov [0x8000], al
        mov edi, [0x80001000]
        cmp al, 0xff
        jne .wrong
        dec esi
        jnz .again
        mov dx, 0x604
        mov ax, 0x2000
        out dx, ax
.wrong: mov al, 1
        out 0xf4, al
        hlt
`).bytes;

const company: IsolationProperty = {
  name: 'VMs of ringlet’s hypervisor, in short turns and beside one that writes where no memory is, see what they would see alone',
  cases: several(carefulPrograms),
  holds({ cache, pae, programs, slice, vpids, pager }) {
    const { machine, judge, trace } = emptyMachine(cache);
    const hypervisor = new Hypervisor(new RootModePort(machine), { slice, seed: slice });
    const make = (image: Uint8Array, paging: 'nested' | 'shadow'): ReturnType<Hypervisor['createVm']> =>
      hypervisor.createVm({
        memory: MEMORY_BYTES,
        image,
        load: ORIGIN,
        paging,
        ...(paging === 'shadow' ? { shadow: pager } : {}),
      });
    const paging = vpids ? 'nested' : 'shadow';
    const vms = programs.map((program) => make(imageOf(program, pae), paging));
    const stores = make(storing, 'nested');
    hypervisor.run(bounded(200_000));
    trace.snapshot();
    return [
      ...told('hypervisor', judge.violations),
      ...ended('the one that stores', stores.stopReason?.kind ?? 'limit'),
      ...vms.flatMap((vm, n) => [
        ...ended(`VM ${n}`, vm.stopReason?.kind ?? 'limit'),
        ...different(
          `VM ${n}`,
          leftBehind(placesOf(pae), (at) => vm.memory.read32(at)),
          carefulOutcome(programs[n], placesOf(pae)),
        ),
      ]),
    ];
  },
};

export const PROPERTIES: readonly IsolationProperty[] = [equivalence, possibility, transparency, confinement, company];
