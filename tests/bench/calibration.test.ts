/** The charge for the hypervisor's work against a shadow pager in machine code. */

import { expect, test } from 'vitest';
import { assemble } from '../../src/asm/index.ts';
import { calibrate, KINDS } from '../../src/bench/paging/calibration.ts';
import { Machine } from '../../src/machine/machine.ts';
import { sources } from './sources.ts';

test('the pager in machine code serves its guest to the end, with each exit that the guest asks for', () => {
  const image = assemble(sources('pager.asm') ?? '', { include: sources, defines: { ROUNDS: 3 } });
  let text = '';
  const transmit = (byte: number): void => {
    text += String.fromCharCode(byte);
  };
  const machine = new Machine({ memory: 32 << 20, serial: [{ transmit }], translationCache: { kind: 'stalest' } });
  machine.load(image.bytes);
  expect(machine.run({ maxInstructions: 2_000_000 })).toEqual({ kind: 'power-off' });
  expect(text).toBe('done\n'); // as on Bochs
});

test('what is charged for an exit encloses what the pager in machine code takes for it', () => {
  const calibration = calibrate(sources);
  expect(calibration.map(({ kind }) => kind)).toEqual([...KINDS]);
  // of a round of its guest: 64 pages read first, then written, taken back, mapped again by the guest's own handler, taken back
  const exits = { 'hidden fault': 192, 'true fault': 64, 'table write': 256, INVLPG: 128, 'CR3 load': 64 };
  expect(Object.fromEntries(calibration.map(({ kind, assembled }) => [kind, assembled.exits]))).toEqual(exits);
  for (const { kind, assembled, measured, charged } of calibration) {
    expect(measured.exits, kind).toBeGreaterThan(100);
    expect(charged[0], kind).toBeLessThanOrEqual(assembled.instructions);
    expect(charged[1], kind).toBeGreaterThanOrEqual(assembled.instructions);
  }
});
