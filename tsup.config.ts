import { defineConfig } from 'tsup';

export default defineConfig({
  entry: { index: 'src/index.ts', node: 'src/node.ts', invariants: 'src/invariants/index.ts', cli: 'src/cli/main.ts' },
  format: 'esm',
  target: 'node20',
  dts: { entry: { index: 'src/index.ts', node: 'src/node.ts', invariants: 'src/invariants/index.ts' } },
  sourcemap: true,
  clean: true,
  // The core library has no dependency at run time; the command line carries its own.
  noExternal: ['commander'],
});
