import { describe, expect, test } from 'vitest';
import { expectedOutput, kernel, runBare, runNested } from './worlds.ts';

describe('guest kernels under the hypervisor', () => {
  test.each(['hello', 'tasks', 'pages', 'pae', 'faults', 'debug', 'realmode', 'taskswitch', 'v86', 'second'])(
    '%s prints what an independent machine printed, after as many instructions as on the bare machine',
    (name) => {
      const options = name === 'realmode' ? { real: true } : {};
      const image = kernel(name);
      const { vm, ...nested } = runNested(image, options);
      expect(nested.output).toBe(expectedOutput(`${name}/expected.txt`));
      expect(nested).toEqual(runBare(image, options));
    },
  );

  const mischief = expectedOutput('mischief/expected.txt').match(/(?<=^ +)[a-z-]+$/gm) ?? [];
  test('there is mischief to be tried', () => expect(mischief.length).toBeGreaterThan(20));
  test.each(mischief)('mischief with %s does what it does on the bare machine', (word) => {
    const image = kernel('mischief');
    const limit = word === 'spin' ? 100_000 : 20_000_000;
    const { vm, ...nested } = runNested(image, { commandLine: word }, limit);
    expect(nested.output).toBe(expectedOutput(`mischief/expected/${word}.txt`));
    expect(nested).toEqual(runBare(image, { commandLine: word }, limit));
  });
});
