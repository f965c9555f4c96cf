/** `ringlet bench`: what it refuses, and what it says. */
import { expect, test } from 'vitest';
import { bench } from '../../src/cli/commands/bench.ts';

test.each([
  ['speed', {}, "there is no benchmark 'speed': use paging"],
  ['paging', { only: 'gups,nothing' }, "--only 'nothing' is no workload: use syscall, fault"],
  ['paging', { seeds: '0' }, '--seeds 0: give a number from 1 to 100'],
  ['paging', { json: 'package.json/inside/it' }, 'cannot make package.json/inside'],
  ['paging', { charts: 'package.json' }, 'cannot make package.json'],
  ['paging', { rounds: 'many' }, "--rounds 'many' is not a number"],
])('bench %s with %j is refused in one line', (suite, options, message) => {
  expect(() => bench(suite, options)).toThrow(message);
});
