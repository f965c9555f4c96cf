/** Hypervisors that forget INVEPT or INVVPID. A small one on the root-mode port changes tables under a guest that reads 64 pages and
 *  tells what it saw (SDM Vol. 3, "Operations that Invalidate Cached Mappings"); and ringlet's own, with the instruction taken away. */
import { describe, expect, test } from 'vitest';
import { assemble } from '../../src/asm/index.ts';
import { EAX } from '../../src/base/registers.ts';
import type { RootModePort } from '../../src/machine/root-mode-port.ts';
import type { TranslationCacheOptions } from '../../src/mmu/policy.ts';
import { SECONDARY } from '../../src/vmx/controls.ts';
import { EXIT } from '../../src/vmx/exit-reasons.ts';
import * as F from '../../src/vmx/fields.ts';
import { nestedWorld, runBare } from '../guests/runs.ts';
import { AT, baseline, control, exitReason, type World } from '../vmx/support.ts';

/** Addresses of the guest; below 2 MiB they are the host's too. */
const SEEN = 0x3_1000;
const TABLE = 0x2_5000;
const OTHER_DIRECTORY = 0x2_6000;
const OTHER_TABLE = 0x2_7000;
/** Pages that EPT maps one by one, and pages that the guest's own table maps. */
const BY_EPT = 0x20_0000;
const BY_TABLE = 0x40_0000;
/** Host frames with the letter o, and with n. */
const OLD = 0x30_0000;
const NEW = 0x38_0000;
const OTHER_EPT = 0x29_0000;
const PAGES = 64;
const PAGE = 4096;
const VMCALL_BYTES = 3;
const WRITE_BACK = 6 << 3;

const guest = (window: number): Uint8Array =>
  assemble(`
bits 32
org ${AT.code}
again:  xor ebx, ebx
.next:  mov ecx, ebx
        shl ecx, 12
        mov al, [${window} + ecx]
        mov [${SEEN} + ebx], al
        inc ebx
        cmp ebx, ${PAGES}
        jb .next
        vmcall
        jmp again
`).bytes;

const ALL_OLD = 'o'.repeat(PAGES);
const ALL_NEW = 'n'.repeat(PAGES);
const STALEST: TranslationCacheOptions = { kind: 'stalest' };
const UNLIMITED: TranslationCacheOptions = { kind: 'unlimited' };
/** Caches no guest-physical translations of its own. */
const MODELLED: TranslationCacheOptions = { kind: 'modelled' };
const SEEDS = Array.from({ length: 8 }, (_, seed) => seed);

interface SmallHypervisor extends World {
  /** Lets the guest look once; the letters that it saw. */
  look(): string;
  /** EPT maps the pages one by one to the frames from `host` on, with these rights; 0 takes them away. */
  mapByEpt(host: number, rights?: number): void;
  /** The guest's table maps its pages to these frames. */
  mapByTable(host: number, table?: number, flags?: number): void;
}

function smallHypervisor(translationCache: TranslationCacheOptions, window: number, vpid = 1): SmallHypervisor {
  const world = baseline({ translationCache });
  const { memory } = world.root;
  for (let page = 0; page < PAGES; page++) {
    memory.write8(OLD + page * PAGE, 'o'.charCodeAt(0));
    memory.write8(NEW + page * PAGE, 'n'.charCodeAt(0));
  }
  memory.writeBytes(AT.code, guest(window));
  if (window === BY_EPT) memory.write32(AT.eptDirectory + 8, AT.eptTable | 7);
  memory.write32(AT.directory + 4, TABLE | 7);
  control(world, F.SECONDARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS, SECONDARY.ENABLE_VPID, vpid !== 0);
  world.set(F.VIRTUAL_PROCESSOR_IDENTIFIER, vpid);
  const mapByTable = (host: number, table = TABLE, flags = 7): void => {
    for (let page = 0; page < PAGES; page++) memory.write32(table + page * 4, (host + page * PAGE) | flags);
  };
  const mapByEpt = (host: number, rights = 7): void => {
    for (let page = 0; page < PAGES; page++) {
      memory.write32(AT.eptTable + page * 8, rights === 0 ? 0 : (host + page * PAGE) | rights | WRITE_BACK);
    }
  };
  mapByTable(OLD);
  mapByEpt(OLD);
  let launched = false;
  return {
    ...world,
    mapByEpt,
    mapByTable,
    look() {
      expect(exitReason(world, !launched)).toBe(EXIT.VMCALL);
      launched = true;
      world.set(F.GUEST_RIP, world.get(F.GUEST_RIP) + VMCALL_BYTES);
      return String.fromCharCode(...memory.readBytes(SEEN, PAGES));
    },
  };
}

const EPTP = AT.pml4 | 0x1e;
const succeed = (result: { ok: boolean }): void => expect(result).toEqual({ ok: true });
/** What a hypervisor may do before it enters again. */
const FLUSHES = {
  nothing: () => {},
  'INVEPT, single context': ({ root }) => succeed(root.invept(1, EPTP, 0)),
  'INVEPT, single context, of other tables': ({ root }) => succeed(root.invept(1, OTHER_EPT | 0x1e, 0)),
  'INVEPT, all contexts': ({ root }) => succeed(root.invept(2, 0, 0)),
  'INVVPID, each address': ({ root }) => {
    for (let page = 0; page < PAGES; page++) {
      for (const window of [BY_EPT, BY_TABLE]) succeed(root.invvpid(0, 1, window + page * PAGE));
    }
  },
  'INVVPID, single context': ({ root }) => succeed(root.invvpid(1, 1, 0)),
  'INVVPID, single context, of another VPID': ({ root }) => succeed(root.invvpid(1, 2, 0)),
  'INVVPID, all contexts': ({ root }) => succeed(root.invvpid(2, 0, 0)),
  'INVVPID, single context but globals': ({ root }) => succeed(root.invvpid(3, 1, 0)),
} satisfies Record<string, (world: World) => void>;
type Flush = keyof typeof FLUSHES;
const ALL_FLUSHES = Object.keys(FLUSHES) as Flush[];

describe('a hypervisor that gives its guest other frames by EPT', () => {
  function remapped(cache: TranslationCacheOptions, flush: Flush, vpid = 1): string {
    const world = smallHypervisor(cache, BY_EPT, vpid);
    expect(world.look()).toBe(ALL_OLD);
    world.mapByEpt(NEW);
    FLUSHES[flush](world);
    return world.look();
  }
  const RIGHT: readonly Flush[] = ['INVEPT, single context', 'INVEPT, all contexts'];

  test.each(ALL_FLUSHES)('%s', (flush) => {
    // INVVPID never kills what is cached of EPT alone
    expect(remapped(STALEST, flush)).toBe(RIGHT.includes(flush) ? ALL_NEW : ALL_OLD);
  });

  test('a processor that caches nothing of EPT alone forgives INVVPID in the place of INVEPT, but not nothing', () => {
    expect(remapped(MODELLED, 'nothing')).toBe(ALL_OLD);
    expect(remapped(MODELLED, 'INVVPID, single context')).toBe(ALL_NEW);
    for (const flush of RIGHT) expect(remapped(MODELLED, flush)).toBe(ALL_NEW);
  });

  test('without VPIDs the same: entries and exits do not touch what is cached of EPT', () => {
    expect(remapped(STALEST, 'nothing', 0)).toBe(ALL_OLD);
    expect(remapped(STALEST, 'INVEPT, single context', 0)).toBe(ALL_NEW);
    expect(remapped(MODELLED, 'nothing', 0)).toBe(ALL_NEW);
  });

  test('with a seed it is drawn, the same way each time; with INVEPT it does not matter', () => {
    const seen = SEEDS.map((seed) => {
      const cache = { kind: 'stalest', seed } as const;
      expect(remapped(cache, 'INVEPT, single context')).toBe(ALL_NEW);
      const letters = remapped(cache, 'INVVPID, single context, of another VPID');
      expect(letters).toMatch(/^[on]+$/);
      expect(remapped(cache, 'INVVPID, single context, of another VPID')).toBe(letters);
      return letters;
    });
    expect(new Set(seen).size).toBe(SEEDS.length);
    for (const letters of seen) expect(new Set(letters).size).toBe(2);
  });

  test('frames that are taken away stay in use until INVEPT; then the guest exits', () => {
    const world = smallHypervisor(STALEST, BY_EPT);
    world.look();
    world.mapByEpt(OLD, 0);
    expect(world.look()).toBe(ALL_OLD);
    FLUSHES['INVEPT, single context'](world);
    expect(exitReason(world, false)).toBe(EXIT.EPT_VIOLATION);
    expect(world.get(F.GUEST_PHYSICAL_ADDRESS)).toBe(BY_EPT);
    world.mapByEpt(NEW); // what was absent is not cached: nothing to invalidate
    expect(world.look()).toBe(ALL_NEW);
  });

  test('other tables need no INVEPT: what is cached bears their address', () => {
    const world = smallHypervisor(STALEST, BY_EPT);
    const { memory } = world.root;
    memory.write32(OTHER_EPT, (OTHER_EPT + 0x1000) | 7);
    memory.write32(OTHER_EPT + 0x1000, (OTHER_EPT + 0x2000) | 7);
    memory.write32(OTHER_EPT + 0x2000, 0xb7);
    memory.write32(OTHER_EPT + 0x2008, (OTHER_EPT + 0x3000) | 7);
    for (let page = 0; page < PAGES; page++) {
      memory.write32(OTHER_EPT + 0x3000 + page * 8, (NEW + page * PAGE) | 7 | WRITE_BACK);
    }
    expect(world.look()).toBe(ALL_OLD);
    world.set(F.EPT_POINTER, OTHER_EPT | 0x1e);
    expect(world.look()).toBe(ALL_NEW);
    world.mapByEpt(NEW);
    world.set(F.EPT_POINTER, EPTP);
    expect(world.look()).toBe(ALL_OLD); // and stays cached meanwhile
  });
});

describe('a hypervisor that changes the page table of its guest behind its back', () => {
  function changed(cache: TranslationCacheOptions, flush: Flush, vpid = 1, flags = 7): string {
    const world = smallHypervisor(cache, BY_TABLE, vpid);
    world.set(F.GUEST_CR4, world.get(F.GUEST_CR4) | 0x80); // PGE
    world.mapByTable(OLD, TABLE, flags);
    expect(world.look()).toBe(ALL_OLD);
    world.mapByTable(NEW, TABLE, flags);
    FLUSHES[flush](world);
    return world.look();
  }
  const WRONG: readonly Flush[] = [
    'nothing',
    'INVEPT, single context, of other tables',
    'INVVPID, single context, of another VPID',
  ];
  const GLOBAL = 0x107;

  test.each(ALL_FLUSHES)('%s', (flush) => {
    for (const cache of [STALEST, UNLIMITED]) {
      expect(changed(cache, flush)).toBe(WRONG.includes(flush) ? ALL_OLD : ALL_NEW);
      const sparesGlobals = flush === 'INVVPID, single context but globals';
      expect(changed(cache, flush, 1, GLOBAL)).toBe(WRONG.includes(flush) || sparesGlobals ? ALL_OLD : ALL_NEW);
    }
  });

  test('without VPIDs the VM entry is enough', () => {
    for (const cache of [STALEST, UNLIMITED]) {
      expect(changed(cache, 'nothing', 0)).toBe(ALL_NEW);
      expect(changed(cache, 'nothing', 0, GLOBAL)).toBe(ALL_NEW);
    }
  });

  test('INVVPID of one address is about that page alone', () => {
    const world = smallHypervisor(STALEST, BY_TABLE);
    world.look();
    world.mapByTable(NEW);
    succeed(world.root.invvpid(0, 1, BY_TABLE + 5 * PAGE + 123));
    expect(world.look()).toBe(`${'o'.repeat(5)}n${'o'.repeat(PAGES - 6)}`);
  });

  test('with a seed it is drawn, the same way each time; with INVVPID it does not matter', () => {
    const seen = SEEDS.map((seed) => {
      const cache = { kind: 'stalest', seed } as const;
      expect(changed(cache, 'INVVPID, single context')).toBe(ALL_NEW);
      const letters = changed(cache, 'INVVPID, single context, of another VPID');
      expect(changed(cache, 'INVVPID, single context, of another VPID')).toBe(letters);
      return letters;
    });
    expect(new Set(seen).size).toBe(SEEDS.length);
    for (const letters of seen) expect(new Set(letters).size).toBe(2);
  });
});

describe('a hypervisor that gives a VPID to another guest', () => {
  /** The second guest has page tables of its own, in which the pages are new. */
  function recycled(cache: TranslationCacheOptions, vpid: number, flush: Flush): string {
    const world = smallHypervisor(cache, BY_TABLE);
    const { memory } = world.root;
    expect(world.look()).toBe(ALL_OLD);
    memory.write32(OTHER_DIRECTORY, 0x83);
    memory.write32(OTHER_DIRECTORY + 4, OTHER_TABLE | 7);
    world.mapByTable(NEW, OTHER_TABLE);
    world.set(F.GUEST_CR3, OTHER_DIRECTORY); // VM entry loads it, and flushes nothing
    world.set(F.VIRTUAL_PROCESSOR_IDENTIFIER, vpid);
    FLUSHES[flush](world);
    return world.look();
  }

  test.each([STALEST, UNLIMITED])(
    'shows it the pages of the first one, unless INVVPID comes between ($kind)',
    (cache) => {
      expect(recycled(cache, 1, 'nothing')).toBe(ALL_OLD);
      expect(recycled(cache, 1, 'INVVPID, single context')).toBe(ALL_NEW);
      expect(recycled(cache, 2, 'nothing')).toBe(ALL_NEW);
    },
  );
});

describe('ringlet’s hypervisor without its flushes', () => {
  /** The port with one kind of flush that succeeds and does nothing. */
  const without =
    (...names: readonly ('invept' | 'invvpid')[]) =>
    (root: RootModePort): RootModePort =>
      new Proxy(root, {
        get(target, name) {
          if (names.some((forgotten) => forgotten === name)) return () => ({ ok: true });
          const value = Reflect.get(target, name, target);
          return typeof value === 'function' ? value.bind(target) : value;
        },
      });

  const forgetful = (...names: readonly ('invept' | 'invvpid')[]) =>
    nestedWorld({ translationCache: STALEST, between: without(...names) });

  /** Stores eight registers where there is no memory, and sends the first byte of what is there then. */
  const storing = assemble(`
bits 32
org 0x100000
        mov esi, 20
        mov dx, 0x3f8
        mov edi, 'x'
.again: mov esp, 0x80001000
        pushad
        mov al, [esp]
        out dx, al
        dec esi
        jnz .again
        mov dx, 0x604
        mov ax, 0x2000
        out dx, ax
`).bytes;

  function stored(...forgotten: readonly ('invept' | 'invvpid')[]): string {
    const { hypervisor, add, result } = forgetful(...forgotten);
    const vm = add(storing);
    hypervisor.run({ maxInstructions: 100_000 });
    expect(vm.stopReason?.kind).toBe('power-off');
    return result(vm).output;
  }

  test('INVEPT: memory that is there for one instruction only does not go away', () => {
    const nothing = '\xff'.repeat(20);
    expect(runBare(storing).output).toBe(nothing);
    expect(stored()).toBe(nothing);
    expect(stored('invvpid')).toBe(nothing);
    expect(stored('invept')).toBe(`\xff${'x'.repeat(19)}`);
  });

  /** Sends 20 times what it sees in a page, gives the page another frame, sends it 20 times more. */
  const changing = assemble(`
bits 32
org 0x100000
        mov byte [0x400000], 'o'
        mov byte [0x500000], 'n'
        mov dword [0x201000], 0x83              ; 4 MiB at their own addresses
        mov dword [0x201000 + 4], 0x202003
        mov dword [0x202000], 0x400003
        mov eax, cr4
        or eax, 0x10
        mov cr4, eax
        mov eax, 0x201000
        mov cr3, eax
        mov eax, cr0
        or eax, 0x80000000
        mov cr0, eax
        mov dx, 0x3f8
        mov ecx, 20
.old:   mov al, [0x400000]
        out dx, al
        loop .old
        mov dword [0x202000], 0x500003
        invlpg [0x400000]
        mov ecx, 20
.new:   mov al, [0x400000]
        out dx, al
        loop .new
        mov dx, 0x604
        mov ax, 0x2000
        out dx, ax
`).bytes;

  /** Its output, and what it sends when it is set back to where it had sent 10 letters. */
  function setBack(...forgotten: readonly ('invept' | 'invvpid')[]): [string, string] {
    const { hypervisor, add, result } = forgetful(...forgotten);
    const vm = add(changing);
    hypervisor.run({ until: () => result(vm).output.length === 10 });
    const state = hypervisor.save(vm);
    hypervisor.run();
    const whole = result(vm).output;
    hypervisor.restore(vm, state);
    hypervisor.run();
    return [whole, result(vm).output.slice(whole.length)];
  }

  test('INVVPID: a guest that is set back goes on with translations from its future', () => {
    const whole = 'o'.repeat(20) + 'n'.repeat(20);
    expect(setBack()).toEqual([whole, whole.slice(10)]);
    expect(setBack('invept')).toEqual([whole, whole.slice(10)]);
    expect(setBack('invvpid', 'invept')).toEqual([whole, 'n'.repeat(30)]);
  });
});

test('a flush leaves registers alone', () => {
  const world = smallHypervisor(STALEST, BY_EPT);
  world.look();
  world.root.setRegister(EAX, 77);
  for (const flush of ALL_FLUSHES) FLUSHES[flush](world);
  expect(world.root.getRegister(EAX)).toBe(77);
});
