import { existsSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { defineConfig } from 'tsup';

/** The entries whose source exists. */
const present = (entries: Record<string, string>): Record<string, string> =>
  Object.fromEntries(Object.entries(entries).filter(([, source]) => existsSync(source)));

const library = present({ index: 'src/index.ts', node: 'src/node.ts', invariants: 'src/invariants/index.ts' });

export default defineConfig({
  entry: { ...library, ...present({ cli: 'src/cli/main.ts' }) },
  format: 'esm',
  target: 'node20',
  dts: { entry: library },
  sourcemap: true,
  clean: true,
  silent: true,
  removeNodeProtocol: false,
  // The core library has no dependency at run time; the command line carries its own.
  noExternal: ['commander'],
  esbuildOptions(options) {
    // Inlines constants across modules: the interpreter's loop reads dozens of them.
    options.minifySyntax = true;
    options.keepNames = true;
  },
  esbuildPlugins: [
    {
      // commander is CommonJS and calls require('node:…'), which an ES module does not have: such calls become imports.
      name: 'import-built-ins',
      setup(build) {
        build.onResolve({ filter: /^node:/ }, ({ path, kind }) =>
          kind === 'require-call' && isBuiltin(path) ? { path, namespace: 'built-in' } : null,
        );
        build.onLoad({ filter: /.*/, namespace: 'built-in' }, ({ path }) => ({
          contents: `export * from '${path}'; export { default } from '${path}';`,
        }));
      },
    },
  ],
});
