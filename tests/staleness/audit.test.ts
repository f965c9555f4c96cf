/** The audit of flushes names the flush that is missing, and counts those that were for nothing. The expected words follow from what the
 *  guests of this folder do (remap.asm), and from SDM Vol. 3, "Operations that Invalidate TLBs and Paging-Structure Caches". */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { assemble } from '../../src/asm/index.ts';
import { CR0, CR0_PG, CR0_WP, CR3, CR4, CR4_PSE } from '../../src/base/registers.ts';
import { Machine } from '../../src/machine/machine.ts';
import type { FlushAudit } from '../../src/mmu/flush-audit.ts';
import { flushReport } from '../../src/mmu/flush-report.ts';
import { assembled, guestFile, MIB } from '../guests/runs.ts';
import { machine, type TestMachine, writeEpt } from '../mmu/machine.ts';

const SOURCE = readFileSync(new URL('remap.asm', import.meta.url), 'utf8');
const PAGES = 64;

function remap(flush: number, global: number, events = 0): FlushAudit {
  const m = new Machine({ memory: 8 * MIB, translationCache: { kind: 'stalest' } });
  m.load(assembled(SOURCE, { FLUSH: flush, GLOBAL: global, BACKWARDS: 0, EVENTS: events }));
  const audit = m.auditFlushes();
  m.run({ maxInstructions: 1_000_000 });
  return audit;
}

/** Address of a label of a kernel. */
function addressOf(source: string, label: string, defines: Record<string, number>): number {
  const options = {
    include: (path: string) => guestFile(`include/${path}`),
    defines: { GLOBAL: 0, BACKWARDS: 0, ...defines },
  };
  return Number(assemble(source, options).symbols.get(label));
}

describe('a kernel that changes 64 pages in use', () => {
  test('without a flush: each page, its entry before and after, and what was needed', () => {
    const { stale } = remap(0, 0);
    expect(stale.map((use) => use.linear)).toEqual(Array.from({ length: PAGES }, (_, n) => 0xc000_0000 + n * 4096));
    const [first] = stale;
    expect(first).toMatchObject({
      access: 'read',
      vpid: 0,
      eptrta: -1,
      global: false,
      frame: 0x400,
      now: { ok: true },
    });
    expect(first?.changed).toMatchObject({ at: 0x30_1000, level: 1, wasLow: 0x40_0023, low: 0x60_0003 });
    expect(first?.written?.instructions).toBeGreaterThan(0);
    expect(first?.written?.instructions).toBeLessThan(first?.used.instructions as number);
    expect(first?.needed).toBe('INVLPG C0000000h or a load of CR3');
  });

  test('a load of CR3 is not enough for global pages', () => {
    const { stale } = remap(2, 1);
    expect(stale).toHaveLength(PAGES);
    expect(stale[0]?.needed).toBe('INVLPG C0000000h or a change of CR4.PGE (the page is global)');
  });

  test('with INVLPG for each, or a load of CR3, nothing is missing and nothing of it was superfluous', () => {
    const each = remap(1, 0);
    expect(each.stale).toEqual([]);
    expect(each.flushes.get('invlpg')).toEqual({ event: 'invlpg', done: PAGES, superfluous: 0, places: [] });
    expect(remap(2, 0).stale).toEqual([]);
  });

  test('INVLPG of a page that nobody needs is superfluous', () => {
    const { flushes } = remap(1, 0, 5);
    const place = { eip: addressOf(SOURCE, 'start.event', { FLUSH: 1, EVENTS: 5 }), nonRoot: false, superfluous: 5 };
    expect(flushes.get('invlpg')).toEqual({ event: 'invlpg', done: PAGES + 5, superfluous: 5, places: [place] });
  });

  test('the report says it in words', () => {
    const lines = flushReport(remap(0, 0));
    expect(lines[0]).toBe(`missed flushes: ${PAGES}`);
    expect(lines[1]).toContain(
      '  read of C0000000h (VPID 0, no EPT) used frame 00400000h; the tables lead to 00600000h',
    );
    expect(lines).toContain('    needed: INVLPG C0000000h or a load of CR3');
    expect(flushReport(remap(1, 0))).toContain('no flush was missed');
    expect(flushReport(remap(1, 0, 5)).some((line) => /^ {4}5 of them at EIP 001[0-9A-F]{5}h$/.test(line))).toBe(true);
  });
});

describe('a kernel that calls code in a page, and moves the page without a flush', () => {
  const MOVES = `
    bits 32
    org 0x100000
    %include "multiboot.inc"
    %include "serial.inc"
    %include "power.inc"
    DIRECTORY equ 0x300000
    TABLE     equ 0x301000
    WINDOW    equ 0xc0001000    ; no page of the same slot as the kernel's where fetches are remembered
    start:  mov esp, 0x200000
            mov dword [DIRECTORY], 0x83
            mov dword [DIRECTORY + (WINDOW >> 22) * 4], TABLE + 3
            mov dword [TABLE + 4], 0x400003
            mov dword [TABLE + 8], 0x401003
            mov byte [0x400000], 0xc3           ; RET
            mov dword [0x600000], 0xc343        ; INC EBX, RET
            mov eax, cr4
            or eax, 0x10
            mov cr4, eax
            mov eax, DIRECTORY
            mov cr3, eax
            mov eax, cr0
            or eax, 0x80000000
            mov cr0, eax
            mov edi, WINDOW
            call edi
            mov al, [WINDOW + 0x1000]
    code:   mov dword [TABLE + 4], 0x600003
    data:   mov dword [TABLE + 8], 0x601003
            mov dword [TABLE + 12], 0x602003    ; nobody has used that one
            call edi
    use:    mov al, [WINDOW + 0x1000]
            jmp power_off`;
  const at = (symbol: string): number => addressOf(MOVES, symbol, {});
  function stale(): FlushAudit['stale'] {
    const m = new Machine({ memory: 8 * MIB, translationCache: { kind: 'stalest' } });
    m.load(assembled(MOVES));
    const audit = m.auditFlushes();
    m.run({ maxInstructions: 1000 });
    return audit.stale;
  }

  test('the fetch is found, and the store that changed its entry', () => {
    const [use, ...others] = stale();
    expect(use).toMatchObject({ linear: 0xc000_1000, access: 'fetch', frame: 0x400, used: { eip: 0xc000_1000 } });
    expect(use?.written?.eip).toBe(at('code'));
    expect(use?.needed).toBe('INVLPG C0001000h or a load of CR3');
    expect(others).toHaveLength(1);
  });

  test('entries of one table have writers of their own', () => {
    const use = stale()[1];
    expect(use).toMatchObject({ linear: 0xc000_2000, access: 'read', used: { eip: at('use') } });
    expect(use?.written?.eip).toBe(at('data'));
  });
});

describe('flushes that the manual does not ask for', () => {
  /** A page at 5000h by the entry `before`; then the entry becomes `after`, and INVLPG. True if that was superfluous. */
  function superfluous(before: number, after: number): boolean {
    const m = machine(1 << 22, { cache: { kind: 'stalest' } });
    m.memory.write32(0x1000, 0x2067);
    m.memory.write32(0x2014, before);
    Object.assign(m.S, { [CR0]: CR0_PG | CR0_WP, [CR3]: 0x1000, [CR4]: CR4_PSE });
    m.mmu.selectContext();
    const audit = m.mmu.auditFlushes(() => ({ instructions: 7, eip: 0x1234, nonRoot: false }));
    try {
      m.mmu.read32(0x5000);
    } catch {
      // a page fault
    }
    m.memory.write32(0x2014, after);
    m.mmu.invlpg(0x5000);
    return audit.flushes.get('invlpg')?.superfluous === 1;
  }

  test.each([
    ['an entry that was not present', 0, 0x5067],
    ['a right to write that was added', 0x5065, 0x5067],
    ['an accessed flag that the processor set', 0x5007, 0x5027],
  ])('%s needs none', (_, before, after) => {
    expect(superfluous(before, after)).toBe(true);
  });

  test.each([
    ['another frame', 0x5067, 0x6067],
    ['a right to write that was taken away', 0x5067, 0x5065],
    ['a right of user mode, which SMAP and SMEP turn round', 0x5063, 0x5067],
    ['an entry that is present no more', 0x5067, 0x5066],
    ['a dirty flag that was cleared', 0x5067, 0x5027],
  ])('%s needs one', (_, before, after) => {
    expect(superfluous(before, after)).toBe(false);
  });
});

test('what root-mode software writes through its port was written by no instruction', () => {
  const m = new Machine({ memory: 8 * MIB, translationCache: { kind: 'stalest' } });
  m.memory.write32(0x1000, 0x2067);
  m.memory.write32(0x2014, 0x5067);
  Object.assign(m.cpu.S, { [CR0]: CR0_PG | CR0_WP | 1, [CR3]: 0x1000, [CR4]: CR4_PSE });
  m.cpu.mmu.selectContext();
  const audit = m.auditFlushes();
  m.cpu.mmu.read32(0x5000);
  m.memory.write32(0x2014, 0x6067);
  m.cpu.mmu.read32(0x5000);
  expect(audit.stale[0]?.written?.eip).toBe(-1);
  expect(flushReport(audit)).toContain('    written last at 0 instructions, by root-mode software');
});

describe('a hypervisor that changes EPT', () => {
  function guest(): TestMachine & { audit: FlushAudit } {
    const m = machine(1 << 22, { cache: { kind: 'stalest' } });
    writeEpt(m, 0x300, 0, 0x301, 7);
    writeEpt(m, 0x301, 0, 0x302, 7);
    writeEpt(m, 0x302, 0, 0x303, 7);
    for (let f = 0; f < 16; f++) writeEpt(m, 0x303, f, 0x100 + f, 0x37);
    m.memory.write32(0x101_000, 0x2067);
    m.memory.write32(0x102_000 + 4 * 5, 0x5067);
    Object.assign(m.mmu, { vpid: 3, eptEnabled: true, eptpLow: 0x300_000 });
    m.S[CR0] = CR0_PG | CR0_WP;
    m.S[CR3] = 0x1000;
    m.S[CR4] = CR4_PSE;
    m.mmu.selectContext();
    const audit = m.mmu.auditFlushes(() => ({ instructions: 7, eip: 0x1234, nonRoot: true }));
    m.mmu.read32(0x5000);
    return { ...m, audit };
  }

  test('INVVPID does not do, INVEPT does', () => {
    const m = guest();
    writeEpt(m, 0x303, 5, 0x10f, 0x37);
    m.mmu.invvpid(1, 3, 0);
    m.mmu.read32(0x5000);
    expect(m.audit.stale).toHaveLength(1);
    const [use] = m.audit.stale;
    expect(use).toMatchObject({
      linear: 0x5000,
      vpid: 3,
      eptrta: 0x300,
      frame: 0x105,
      changed: { format: 'EPT', level: 1 },
    });
    expect(use?.needed).toBe('INVEPT of EPT root 00300000h');
    m.mmu.invept(1, 0x300_000, 0);
    m.mmu.read32(0x5000);
    expect(use?.count).toBe(1);
    expect(m.audit.flushes.get('inveptSingle')).toMatchObject({ done: 1, superfluous: 0 });
  });

  test('INVEPT after nothing has changed is superfluous', () => {
    const m = guest();
    m.mmu.invept(2, 0, 0);
    expect(m.audit.flushes.get('inveptAll')).toMatchObject({ done: 1, superfluous: 1 });
  });

  test('INVEPT after nothing but rights were added is superfluous; after one was taken away it is not', () => {
    for (const [before, after, superfluous] of [
      [0x31, 0x37, 1],
      [0x37, 0x31, 0],
    ] as const) {
      const m = guest();
      writeEpt(m, 0x303, 5, 0x105, before);
      m.mmu.invept(1, 0x300_000, 0);
      m.mmu.read32(0x5000);
      m.audit.flushes.clear();
      writeEpt(m, 0x303, 5, 0x105, after);
      m.mmu.invept(1, 0x300_000, 0);
      expect(m.audit.flushes.get('inveptSingle')).toMatchObject({ done: 1, superfluous });
    }
  });

  test('a write by a translation whose dirty flag software has cleared is lost', () => {
    const m = guest();
    m.mmu.write32(0x5000, 1);
    m.memory.write32(0x102_000 + 4 * 5, 0x5027);
    m.mmu.write32(0x5004, 1);
    expect(m.audit.stale[0]).toMatchObject({
      access: 'write',
      now: { ok: true },
      changed: { wasLow: 0x5067, low: 0x5027 },
    });
    expect(m.audit.stale[0]?.needed).toContain('INVVPID of VPID 3');
  });
});
