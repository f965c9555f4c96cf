import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { assemble } from '../../../src/asm/index.ts';
import { Machine } from '../../../src/machine/machine.ts';

const text = (name: string): string => readFileSync(new URL(name, import.meta.url), 'utf8');

test('frames, selectors, flags and descriptors are those that Bochs leaves behind', () => {
  let output = '';
  const machine = new Machine({
    memory: 0x40_0000,
    serial: [
      {
        transmit(byte: number): void {
          output += String.fromCharCode(byte);
        },
      },
    ],
  });
  machine.load(assemble(text('frames.asm')).bytes);
  expect(machine.run({ maxInstructions: 2_000_000 })).toEqual({ kind: 'debug-exit', value: 0 });
  expect(output.split('\n')).toEqual(text('frames.expected.txt').split('\n'));
});
