/** The judge and a real machine: hypervisors that do it right, and some that do not. Only what the manual's rules say decides
 *  (SDM Vol. 3, "Operations that Invalidate Cached Mappings"). */
import { describe, expect, test } from 'vitest';
import { assemble } from '../../src/asm/index.ts';
import { Hypervisor } from '../../src/hypervisor/hypervisor.ts';
import { beyondGrant, judge, parseTrace, toLine } from '../../src/invariants/index.ts';
import { Machine } from '../../src/machine/machine.ts';
import { RootModePort } from '../../src/machine/root-mode-port.ts';
import type { TranslationCacheOptions } from '../../src/mmu/policy.ts';
import { SECONDARY } from '../../src/vmx/controls.ts';
import { EXIT } from '../../src/vmx/exit-reasons.ts';
import * as F from '../../src/vmx/fields.ts';
import { keptLine, kernel, MIB } from '../guests/runs.ts';
import { AT, baseline, control, exitReason, type World } from '../vmx/support.ts';
import { broken, type Watched, watch } from './world.ts';

const CACHES: readonly TranslationCacheOptions[] = [{ kind: 'unlimited' }, { kind: 'stalest' }];

/** A guest that the baseline's hypervisor runs: reads a page of 4 KiB that EPT maps alone, writes to it, and exits. */
const PAGE = 0x20_0000;
const MINE = 0x30_0000;
const FOREIGN = 0x31_0000;
const EPTP = AT.pml4 | 0x1e;
/** Accessed and dirty flags for EPT. */
const FLAGS = 0x40;
const LOG = 0x4_0000;
const guest = assemble(`
bits 32
org ${AT.code}
again:  mov eax, [${PAGE}]
        inc dword [${PAGE} + 4]
        vmcall
        jmp again
`).bytes;

interface Small extends World, Watched {
  map(host: number, rights?: number): void;
  go(): number;
}

function small(translationCache: TranslationCacheOptions): Small {
  const world = baseline({ translationCache });
  const watched = watch(world.machine);
  const { root } = world;
  root.memory.writeBytes(AT.code, guest);
  root.memory.write32(AT.directory + 4, 0x83 | 0x40_0000); // 4 MiB …
  root.memory.write32(AT.directory, 0x83);
  root.memory.write32(AT.eptDirectory + 8, AT.eptTable | 7);
  root.own(AT.vmcs, 0, 0x200); // the guest of these tests sees low memory as the host does
  let launched = false;
  return {
    ...world,
    ...watched,
    map: (host, rights = 7) => root.memory.write32(AT.eptTable, rights === 0 ? 0 : host | rights | (6 << 3)),
    go() {
      const reason = exitReason(world, !launched);
      launched = true;
      if (reason === EXIT.VMCALL) world.set(F.GUEST_RIP, AT.code);
      return reason;
    },
  };
}

describe.each(CACHES)('a hypervisor that maps one page after another ($kind)', (cache) => {
  test('its guest keeps to what is its own', () => {
    const world = small(cache);
    world.root.own(AT.vmcs, MINE >> 12);
    world.map(MINE);
    expect(world.go()).toBe(EXIT.VMCALL);
    expect(world.verdict()).toEqual([]);
  });

  test('a frame of somebody else is isolation broken, once a translation leads to it', () => {
    const world = small(cache);
    world.root.own(0x1234_5000, FOREIGN >> 12);
    world.map(FOREIGN);
    world.go();
    expect(broken(world.verdict())).toEqual(['isolation']);
    expect(world.judge.violations[0].message).toMatch(/VM 6000h reaches frame 310h, which was never its own/);
  });

  test('a shared frame may be read, and not be written', () => {
    const world = small(cache);
    world.root.share(AT.vmcs, MINE >> 12, 1, 1);
    world.map(MINE, 1);
    expect(world.go()).toBe(EXIT.EPT_VIOLATION); // by its write
    expect(world.verdict()).toEqual([]);
    world.map(MINE, 3);
    world.root.invept(1, EPTP, 0);
    expect(world.go()).toBe(EXIT.VMCALL);
    expect(broken(world.verdict())).toEqual(['isolation']);
  });

  test('a page that is taken away without INVEPT is still within reach; with it, it is not', () => {
    for (const flush of [false, true]) {
      const world = small(cache);
      world.root.own(AT.vmcs, MINE >> 12);
      world.map(MINE);
      world.go();
      world.map(0, 0);
      world.root.release(AT.vmcs, MINE >> 12);
      if (flush) world.root.invept(1, EPTP, 0);
      expect(world.go()).toBe(flush ? EXIT.EPT_VIOLATION : EXIT.VMCALL);
      expect(broken(world.verdict())).toEqual(flush ? [] : ['isolation']);
    }
  });

  test('one frame for two VMs is told at once', () => {
    const world = small(cache);
    world.root.own(AT.vmcs, MINE >> 12);
    world.root.own(AT.otherVmcs, MINE >> 12);
    expect(broken(world.judge.violations)).toEqual(['ownership']);
  });

  test('an entry that INVEPT should have killed is told as revocation, and as a translation from nowhere', () => {
    const world = small(cache);
    world.root.own(AT.vmcs, MINE >> 12);
    world.map(MINE);
    world.go();
    world.map(0, 0);
    world.root.release(AT.vmcs, MINE >> 12);
    // a processor that forgets to forget: the event takes place, and nothing dies
    const { caches } = world.machine.cpu.mmu;
    const target = { vpid: 0, eptrta: AT.pml4 >> 12, page: 0, guestPage: 0 };
    caches.observer?.onFlush?.('inveptSingle', target);
    world.go();
    expect(broken(world.verdict())).toEqual(['revocation', 'translation']);
  });

  test('a dirty flag of EPT that is cleared without INVEPT is told: writes pass it unseen', () => {
    for (const flush of [false, true]) {
      const world = small(cache);
      world.root.own(AT.vmcs, MINE >> 12);
      world.map(MINE);
      world.set(F.EPT_POINTER, EPTP | FLAGS);
      world.go();
      expect(world.root.memory.read32(AT.eptTable) & 0x300).toBe(0x300);
      world.root.memory.write32(AT.eptTable, world.root.memory.read32(AT.eptTable) & ~0x200);
      if (flush) world.root.invept(1, EPTP, 0);
      world.go();
      expect(broken(world.verdict())).toEqual(flush ? [] : ['dirty']);
    }
  });

  test('a dirty flag of EPT that is set and not logged is told', () => {
    const world = small(cache);
    world.root.own(AT.vmcs, MINE >> 12);
    world.map(MINE);
    world.set(F.EPT_POINTER, EPTP | FLAGS);
    control(world, F.SECONDARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS, SECONDARY.ENABLE_PML);
    world.set(F.PML_ADDRESS, LOG);
    world.set(F.PML_INDEX, 511);
    world.go();
    expect(world.verdict()).toEqual([]);
    const exit = world.events.find((e) => e.kind === 'exit');
    expect(exit?.logged).toContain(PAGE >> 12);
    const forgetful = world.events.map((e) =>
      e.kind === 'exit' ? { ...e, logged: e.logged?.filter((page) => page !== PAGE >> 12) ?? [] } : e,
    );
    expect(broken(judge(forgetful))).toEqual(['dirty']);
    expect(parseTrace(world.events.map(toLine).join('\n'))).toEqual(world.events);
  });

  test('a dirty flag that the tables never had is told', () => {
    const world = small(cache);
    world.root.own(AT.vmcs, MINE >> 12);
    world.map(MINE);
    const TABLE = 0x2_5000;
    world.root.memory.write32(AT.directory, TABLE | 7);
    for (let k = 0; k < 1024; k++) world.root.memory.write32(TABLE + k * 4, (k << 12) | 7);
    world.go();
    expect(world.verdict()).toEqual([]);
    const entry = world.events.at(-1);
    if (entry?.kind !== 'tlb') throw new Error('no snapshot');
    const clean = entry.entries.find((e) => e.kind === 'linear' && e.vpid === 1 && !e.dirty);
    if (clean === undefined) throw new Error('no clean entry');
    world.judge.add({ kind: 'tlb', entries: [{ ...clean, dirty: true }] });
    expect(broken(world.judge.violations)).toEqual(['dirty']);
    world.judge.add({ kind: 'tlb', entries: [{ ...clean, rights: clean.rights ^ 2 }] });
    world.judge.add({ kind: 'tlb', entries: [{ ...clean, frame: clean.frame ^ 1 }] });
    expect(broken(world.judge.violations)).toEqual(['dirty', 'translation']);
  });
});

describe.each(CACHES)('ringlet’s hypervisor ($kind)', (translationCache) => {
  test.each(['hello', 'pages', 'tasks', 'faults', 'realmode'])(
    '%s beside another VM: nothing to complain about',
    (name) => {
      const machine = new Machine({ memory: 20 * MIB, contexts: 6, translationCache });
      const watched = watch(machine);
      const hypervisor = new Hypervisor(new RootModePort(machine), { slice: 50_000 });
      const vms = [name, 'hello'].map((image) =>
        hypervisor.createVm({ memory: 8 * MIB, image: kernel(image), serial: [keptLine()] }),
      );
      hypervisor.run({ maxInstructions: 60_000 });
      expect(watched.verdict()).toEqual([]);
      for (const vm of vms) {
        expect(beyondGrant(machine.memory, vm.eptPointer, watched.judge.ownership, vm.vcpu.vmcs)).toEqual([]);
        expect(beyondGrant(machine.memory, vm.eptPointer, watched.judge.ownership, 0).length).toBeGreaterThan(2000);
      }
    },
  );
});

describe('a trace in a file', () => {
  test('is judged as it was when it happened', () => {
    const world = small({ kind: 'stalest' });
    world.root.own(AT.vmcs, MINE >> 12);
    world.map(MINE);
    world.go();
    world.map(0, 0);
    world.root.release(AT.vmcs, MINE >> 12);
    world.go();
    const found = world.verdict();
    const text = world.events.map(toLine).join('\n');
    expect(parseTrace(text)).toEqual(world.events);
    expect(judge(parseTrace(text))).toEqual(found);
    expect(found.length).toBeGreaterThan(0);
  });

  test('that is none is refused with its line', () => {
    expect(() => parseTrace('{"kind":"machine","bytes":4096}\n{"kind":"x"}')).toThrow(/line 2: there is no event 'x'/);
    expect(() => parseTrace('nonsense')).toThrow(/line 1 is not JSON/);
    expect(() => parseTrace('{"kind":"own","vm":1,"frame":0,"frames":1e15,"rights":7}')).toThrow(/frames/);
  });
});

test('machine code declares ownership by a port, and a guest cannot', () => {
  const machine = new Machine({ memory: MIB * 2 });
  const watched = watch(machine);
  machine.load(
    assemble(`
bits 32
org 0x100000
%macro tell 2
        mov dx, 0x6e0 + %1
        mov eax, %2
        out dx, eax
%endmacro
        tell 0, 0x6000
        tell 4, 0x30000
        tell 8, 3
        tell 12, 1
        tell 4, 0x40000
        tell 12, 0x102
        tell 12, 3
        hlt
`).bytes,
  );
  machine.run();
  expect(watched.events.filter((e) => 'vm' in e)).toEqual([
    { kind: 'own', vm: 0x6000, frame: 0x30, frames: 3, rights: 7 },
    { kind: 'share', vm: 0x6000, frame: 0x40, frames: 3, rights: 1 },
    { kind: 'release', vm: 0x6000, frame: 0x40, frames: 3, rights: 0 },
  ]);

  const world = small({ kind: 'unlimited' });
  world.root.memory.writeBytes(AT.code, assemble('bits 32\nmov dx, 0x6ec\nmov eax, 1\nout dx, eax\nvmcall').bytes);
  const before = world.events.length;
  expect(world.go()).toBe(EXIT.VMCALL);
  expect(world.events.slice(before).filter((e) => e.kind === 'own')).toEqual([]);
});
