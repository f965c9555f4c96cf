/** The kernels of guests/ with shadow paging: nobody could tell it from the bare machine. */
import { describe, expect, test } from 'vitest';
import { firstVmxModel } from '../../../src/cpu/model.ts';
import type { ShadowOptions } from '../../../src/hypervisor/shadow/options.ts';
import { runBare as runAlone, runNested as runOn } from '../../guests/runs.ts';
import { expectedOutput, kernel, runBare, runNested } from '../worlds.ts';

const shadow = (options: ShadowOptions = {}) => ({ paging: 'shadow', shadow: options }) as const;

describe('guest kernels with shadow paging', () => {
  test.each(['hello', 'tasks', 'pages', 'pae', 'faults', 'debug', 'realmode', 'taskswitch', 'v86', 'second'])(
    '%s prints what an independent machine printed, after as many instructions as on the bare machine',
    (name) => {
      const options = name === 'realmode' ? { real: true } : {};
      const image = kernel(name);
      const { vm, ...run } = runNested(image, { ...options, ...shadow({ audit: name !== 'tasks' }) });
      expect(run.output).toBe(expectedOutput(`${name}/expected.txt`));
      expect(run).toEqual(runBare(image, options));
    },
  );
});

describe('on a processor without EPT, VPID and unrestricted guest', () => {
  test.each(['hello', 'tasks', 'pages', 'pae', 'faults', 'realmode', 'taskswitch', 'v86'])('%s', (name) => {
    const options = name === 'realmode' ? { real: true } : {};
    const image = kernel(name);
    const config = { ...options, ...shadow({ audit: name !== 'tasks' }) };
    const run = runOn(image, config, { processor: firstVmxModel });
    expect(run.output).toBe(expectedOutput(`${name}/expected.txt`));
    expect(run).toEqual(runAlone(image, options));
  });
});

const mischief = expectedOutput('mischief/expected.txt').match(/(?<=^ +)[a-z-]+$/gm) ?? [];
describe('mischief with shadow paging', () => {
  test.each(mischief)('%s does what it does on the bare machine', (word) => {
    const image = kernel('mischief');
    const limit = word === 'spin' ? 100_000 : 20_000_000;
    const { vm, ...run } = runNested(image, { commandLine: word, ...shadow() }, limit);
    expect(run.output).toBe(expectedOutput(`mischief/expected/${word}.txt`));
    const bare = runBare(image, { commandLine: word }, limit);
    // It takes its own page directory away and does not flush: here that is felt at once, elsewhere when the translation is lost.
    const sooner = word === 'lose-pages' ? { instructions: 6890, time: 6890 } : {};
    expect(run).toEqual({ ...bare, ...sooner });
  });
});
