/** The faults of planted.ts can be planted, and some of them are noticed here, too; all of them by `npm run test:faults`. */
import { expect, test } from 'vitest';
import { planted, runPlanted, sourceOf } from './plant.ts';
import { PLANTED } from './planted.ts';

test('each stands where its place in the sources still is, exactly once, and changes something', () => {
  expect(PLANTED.length).toBeGreaterThanOrEqual(25);
  expect(new Set(PLANTED.map((f) => f.what)).size).toBe(PLANTED.length);
  for (const fault of PLANTED) expect(planted(fault), fault.what).not.toBe(sourceOf(fault));
});

test('nothing is noticed where nothing is planted', async () => {
  expect((await runPlanted(null, 5, 2026)).killed).toBeNull();
});

test.each(['INVLPG spares the TLB', 'INVEPT does nothing', 'scratch memory is taken away without INVEPT'])(
  'noticed: %s',
  async (what) => {
    const fault = PLANTED.find((f) => f.what === what);
    if (fault === undefined) throw new Error(`no fault '${what}'`);
    expect((await runPlanted(fault, 60, 2026)).killed).not.toBeNull();
  },
);
