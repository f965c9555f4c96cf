/** The VMX test kernels of guests/vmx-suite: every test passes, on every way of caching translations; and what is recorded of Bochs is explained. */
import { readdirSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { assemble } from '../../src/asm/index.ts';
import { firstVmxModel } from '../../src/cpu/model.ts';
import { guestFile, type RunOptions, runBare } from './runs.ts';

const FOLDER = 'vmx-suite';
/** Tests that an image has at least, so that none is lost unseen. */
const TESTS: Readonly<Record<string, number>> = {
  'apic-access': 54,
  bitmaps: 26,
  capabilities: 29,
  'control-registers': 27,
  controls: 35,
  debugging: 105,
  'descriptor-tables': 30,
  ept: 32,
  'ept-flags': 71,
  events: 45,
  exceptions: 34,
  fields: 14,
  flushes: 39,
  'guest-state': 48,
  halted: 8,
  'host-state': 20,
  injection: 24,
  intercepts: 39,
  interrupts: 24,
  invalidation: 21,
  lifecycle: 20,
  modes: 40,
  'monitor-trap': 50,
  'msr-areas': 23,
  'msr-fields': 34,
  nmi: 43,
  pae: 61,
  'page-rights': 16,
  'pause-loop': 13,
  pml: 42,
  pointers: 21,
  'shadow-vmcs': 42,
  'task-switches': 41,
  tsc: 23,
  'virtual-interrupts': 56,
  'virtualization-exceptions': 41,
  'vm-functions': 37,
  vmxon: 32,
  windows: 31,
};

function image(name: string): Uint8Array {
  const include = (path: string): string | null => {
    for (const folder of [FOLDER, 'include'])
      try {
        return guestFile(`${folder}/${path}`);
      } catch {
        // in the other one
      }
    return null;
  };
  return assemble(guestFile(`${FOLDER}/${name}.asm`), { include, file: `${name}.asm` }).bytes;
}

test('every image is listed, here and on its page', () => {
  const files = readdirSync(new URL(`../../guests/${FOLDER}`, import.meta.url))
    .filter((file) => file.endsWith('.asm'))
    .map((file) => file.slice(0, -4));
  expect(files.sort()).toEqual(Object.keys(TESTS).sort());
  for (const name of files) expect(guestFile(`${FOLDER}/README.md`)).toContain(`| \`${name}\` |`);
});

describe.each(Object.entries(TESTS))('%s', (name, fewest) => {
  const bytes = image(name);

  const passed = (options: RunOptions): number => {
    const { output, end } = runBare(bytes, options);
    const lines = output.trimEnd().split('\n');
    expect(lines.filter((line) => !/^(PASS|SKIP|DONE) /.test(line))).toEqual([]);
    expect([lines.at(-1), end]).toEqual(['DONE 0 failed', 'power-off']);
    return lines.filter((line) => line.startsWith('PASS')).length;
  };

  test.each([
    { kind: 'unlimited' as const },
    { kind: 'modelled' as const, entries: 16, seed: 1 },
    { kind: 'stalest' as const },
  ])('passes, translations: $kind', (translationCache) => {
    expect(passed({ translationCache })).toBeGreaterThanOrEqual(fewest);
  });

  test('passes or is skipped on a processor of the first generation of VMX', () => {
    passed({ processor: firstVmxModel });
  });
});

test('what fails on Bochs is a test of its image, and is explained', () => {
  const page = guestFile('../docs/bochs-differences.md');
  const records = guestFile(`${FOLDER}/bochs.txt`).split('\n');
  for (const record of records.filter((line) => line !== '' && !line.startsWith('#'))) {
    const [, name, title] = /^([a-z-]+): (?:hangs: )?(.+)$/.exec(record) ?? [];
    const source = guestFile(`${FOLDER}/${name}.asm`);
    if (title !== '*') expect(source.includes(`test_name "${title}"`) || source.includes(`, "${title}", `)).toBe(true);
    expect(page).toContain(title === '*' ? `\`${name}\`: all` : title);
  }
});
