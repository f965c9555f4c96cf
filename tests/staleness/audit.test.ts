/** The audit of flushes names the flush that is missing, and counts those that were for nothing. The expected words follow from what the
 *  guests of this folder do (remap.asm), and from SDM Vol. 3, "Operations that Invalidate TLBs and Paging-Structure Caches". */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { CR0, CR0_PG, CR0_WP, CR3, CR4, CR4_PSE } from '../../src/base/registers.ts';
import { Machine } from '../../src/machine/machine.ts';
import type { FlushAudit } from '../../src/mmu/flush-audit.ts';
import { flushReport } from '../../src/mmu/flush-report.ts';
import { assembled, MIB } from '../guests/runs.ts';
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
    expect(each.flushes.get('invlpg')).toEqual({ event: 'invlpg', done: PAGES, superfluous: 0 });
    expect(remap(2, 0).stale).toEqual([]);
  });

  test('INVLPG of a page that nobody needs is superfluous', () => {
    const { flushes } = remap(1, 0, 5);
    expect(flushes.get('invlpg')).toEqual({ event: 'invlpg', done: PAGES + 5, superfluous: 5 });
  });

  test('the report says it in words', () => {
    const lines = flushReport(remap(0, 0));
    expect(lines[0]).toBe(`missed flushes: ${PAGES}`);
    expect(lines[1]).toContain(
      '  read of C0000000h (VPID 0, no EPT) used frame 00400000h; the tables lead to 00600000h',
    );
    expect(lines).toContain('    needed: INVLPG C0000000h or a load of CR3');
    expect(flushReport(remap(1, 0))).toContain('no flush was missed');
  });
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
