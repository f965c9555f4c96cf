import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';

// The default module loader turns every import into a property read, which makes emulator code about six times slower.
export default defineConfig(({ mode }) => ({
  test: {
    include: ['tests/**/*.test.ts'],
    execArgv: ['--import', 'tsx'],
    experimental: { viteModuleRunner: false, nodeLoader: false },
    // The code under test has no globals: files may share a process, and with it the compiled interpreter.
    isolate: false,
    // Of two cores both have work, although each process compiles the interpreter for itself.
    maxWorkers: Math.max(2, availableParallelism() - 1),
    env: mode === 'properties' ? { RINGLET_EFFORT: '10' } : {},
    testTimeout: mode === 'properties' ? 7_200_000 : 120_000,
  },
}));
