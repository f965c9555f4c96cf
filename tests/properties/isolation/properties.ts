/** The properties: what must hold of random guests, under random acts of a hypervisor. Each tells what is wrong, in words. */
import fc from 'fast-check';
import { assemble } from '../../../src/asm/index.ts';
import { Hypervisor } from '../../../src/hypervisor/hypervisor.ts';
import { Judge, type Violation } from '../../../src/invariants/index.ts';
import { HardwareTrace } from '../../../src/machine/hardware-trace.ts';
import { Machine } from '../../../src/machine/machine.ts';
import { RootModePort } from '../../../src/machine/root-mode-port.ts';
import type { TranslationCacheOptions } from '../../../src/mmu/policy.ts';
import { carefulOutcome } from '../../models/careful-guest.ts';
import { CarelessGuest } from '../../models/careless-guest.ts';
import {
  carefulPrograms,
  carelessPrograms,
  DIRECTORIES,
  ENTRIES,
  frameAt,
  imageOf,
  MEMORY_BYTES,
  OP,
  type Operation,
  ORIGIN,
} from './programs.ts';
import { type Action, rough } from './rough.ts';
import { bare, CONTEXTS, inVm, leftBehind, type Ran, type Runner, type Seen } from './runs.ts';

/** A random case: programs, one for each VM, and what goes on around them. */
export interface Case {
  readonly cache: TranslationCacheOptions;
  readonly programs: readonly (readonly Operation[])[];
  readonly actions: readonly Action[];
  readonly vpids: boolean;
  /** Instructions of a turn. */
  readonly slice: number;
}

export interface IsolationProperty {
  readonly name: string;
  readonly cases: fc.Arbitrary<Case>;
  /** What is wrong; empty if nothing is. */
  holds(c: Case): string[];
}

const PLACES = { frameAt, entries: ENTRIES, directories: DIRECTORIES, bytes: MEMORY_BYTES };

const caches: fc.Arbitrary<TranslationCacheOptions> = fc.oneof(
  fc.constantFrom<TranslationCacheOptions>({ kind: 'unlimited' }, { kind: 'stalest' }),
  fc.constantFrom(1, 2, 3).map((seed): TranslationCacheOptions => ({ kind: 'stalest', seed })),
);
const actions: fc.Arbitrary<Action[]> = fc.array(
  fc.record({
    kind: fc.constantFrom('unmap', 'protect', 'move', 'swap'),
    vm: fc.nat(2),
    page: fc.nat(200),
    otherVm: fc.nat(2),
    otherPage: fc.nat(200),
  }),
  { maxLength: 60, size: 'max' },
);
const casesOf = (programs: fc.Arbitrary<Operation[][]>): fc.Arbitrary<Case> =>
  fc.record({
    cache: caches,
    programs,
    actions,
    vpids: fc.boolean(),
    slice: fc.constantFrom(7, 50, 501),
  });
const one = (programs: fc.Arbitrary<Operation[]>): fc.Arbitrary<Case> => casesOf(programs.map((p) => [p]));
const several = (programs: fc.Arbitrary<Operation[]>): fc.Arbitrary<Case> =>
  casesOf(fc.array(programs, { minLength: 2, maxLength: 3 }));

type Ways = Readonly<Record<string, Runner>>;
const ways = new Map<string, Ways>();
function waysOf(cache: TranslationCacheOptions): Ways {
  const key = JSON.stringify(cache);
  const known = ways.get(key) ?? {
    bare: bare(cache),
    nested: inVm(cache, {}),
    'nested with large pages': inVm(cache, { largePages: true }),
    shadow: inVm(cache, { paging: 'shadow' }),
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
  holds({ cache, programs: [program] }) {
    const expected = carefulOutcome(program, PLACES);
    return Object.entries(waysOf(cache)).flatMap(([where, run]) => {
      const ran: Ran = run(program);
      return [...told(where, ran.violations), ...ended(where, ran.end), ...different(where, ran, expected)];
    });
  },
};

const possibility: IsolationProperty = {
  name: 'a guest that does not flush sees what tables said since the last flush, and nothing else',
  cases: one(carelessPrograms),
  holds({ cache, programs: [program] }) {
    return Object.entries(waysOf(cache)).flatMap(([where, run]) => {
      const ran: Ran = run(program);
      const wrong = new CarelessGuest(PLACES).contradiction(program, ran.log);
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
  holds({ cache, programs, actions: acts, vpids }) {
    const all = programs.map(restless);
    const { seen, ends, violations, lost } = rough(all, acts, cache, vpids);
    return [
      ...told('rough', violations),
      ...lost,
      ...ends.flatMap((end, n) => ended(`VM ${n}`, end)),
      ...seen.flatMap((s, n) => different(`VM ${n}`, s, carefulOutcome(all[n], PLACES))),
    ];
  },
};

const confinement: IsolationProperty = {
  name: 'guests that do not flush keep to their own frames, whatever the hypervisor does with them',
  cases: several(carelessPrograms),
  holds({ cache, programs, actions: acts, vpids }) {
    const all = programs.map(restless);
    const { seen, ends, violations, lost } = rough(all, acts, cache, vpids);
    return [
      ...told('rough', violations),
      ...lost,
      ...ends.flatMap((end, n) => ended(`VM ${n}`, end)),
      ...seen.flatMap(({ log }, n) => new CarelessGuest(PLACES).contradiction(all[n], log) ?? []),
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
  holds({ cache, programs, slice, vpids }) {
    const machine = new Machine({ memory: 0x100_0000, contexts: CONTEXTS, translationCache: cache });
    const judge = new Judge();
    const trace = new HardwareTrace(machine, (event) => judge.add(event));
    const hypervisor = new Hypervisor(new RootModePort(machine), { slice, seed: slice });
    const make = (image: Uint8Array, paging: 'nested' | 'shadow'): ReturnType<Hypervisor['createVm']> =>
      hypervisor.createVm({ memory: MEMORY_BYTES, image, load: ORIGIN, paging });
    const vms = programs.map((program) => make(imageOf(program), vpids ? 'nested' : 'shadow'));
    const stores = make(storing, 'nested');
    hypervisor.run({ maxInstructions: 200_000 });
    trace.snapshot();
    return [
      ...told('hypervisor', judge.violations),
      ...ended('the one that stores', stores.stopReason?.kind ?? 'limit'),
      ...vms.flatMap((vm, n) => [
        ...ended(`VM ${n}`, vm.stopReason?.kind ?? 'limit'),
        ...different(
          `VM ${n}`,
          leftBehind((at) => vm.memory.read32(at)),
          carefulOutcome(programs[n], PLACES),
        ),
      ]),
    ];
  },
};

export const PROPERTIES: readonly IsolationProperty[] = [equivalence, possibility, transparency, confinement, company];
