/** What a run consists of: the mutants of the folders asked for, and the bundle of all tests with the mutants in it. */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import ts from 'typescript';
import { chosen, instrumented, noted, type Switch } from './instrument.ts';
import { type Mutant, mutantsOf } from './mutants.ts';

export const ROOT = join(import.meta.dirname, '../..');

/** Written by programs, run by nothing else, or only text that explains. */
const LEFT_OUT = /\.generated\.ts$|\/generate\/|\/state-map\.ts$|\/explain\/|\/document\.ts$|\/words\.ts$/;

export interface Plan {
  readonly mutants: readonly Mutant[];
  readonly sources: ReadonlyMap<string, { source: ts.SourceFile; mutants: Mutant[]; first: number }>;
}

/** All mutants below the folders. */
export function planOf(folders: readonly string[]): Plan {
  const config = ts.parseJsonConfigFileContent(
    ts.readConfigFile(join(ROOT, 'tsconfig.json'), ts.sys.readFile).config,
    ts.sys,
    ROOT,
  );
  const names = config.fileNames.filter((name) => relative(ROOT, name).startsWith('src'));
  const program = ts.createProgram(names, config.options);
  const checker = program.getTypeChecker();
  const mutants: Mutant[] = [];
  const sources: Map<string, { source: ts.SourceFile; mutants: Mutant[]; first: number }> = new Map();
  for (const name of names) {
    const source = program.getSourceFile(name);
    if (source === undefined) continue;
    const file = relative(ROOT, name).replaceAll('\\', '/');
    const asked = folders.some((folder) => file.startsWith(`${folder}/`)) && !LEFT_OUT.test(file);
    const own = asked ? mutantsOf(source, file, checker) : [];
    sources.set(join(ROOT, file), { source, mutants: own, first: mutants.length });
    mutants.push(...own);
  }
  return { mutants, sources };
}

/** Test files of rooms of tests/, and files. */
export const testFiles = (rooms: readonly string[]): string[] =>
  rooms.flatMap((room) =>
    room.endsWith('.test.ts')
      ? [`tests/${room}`]
      : readdirSync(join(ROOT, 'tests', room), { recursive: true, encoding: 'utf8' })
          .map((name) => `tests/${room}/${name.replaceAll('\\', '/')}`)
          .filter((name) => name.endsWith('.test.ts'))
          .sort(),
  );

/** One script with all these test files, each to be loaded when it is asked for; module code runs anew in every instance. */
export async function bundled(plan: Plan, files: readonly string[], isOn: Switch): Promise<string> {
  const entry = files.map((file) => `${JSON.stringify(file)}: () => import(${JSON.stringify(join(ROOT, file))}),`);
  const { outputFiles } = await build({
    stdin: { contents: `export const files = {\n${entry.join('\n')}\n};`, resolveDir: ROOT, loader: 'ts' },
    bundle: true,
    write: false,
    format: 'cjs',
    platform: 'node',
    target: 'node20',
    minifySyntax: true,
    packages: 'external',
    logLevel: 'error',
    plugins: [
      {
        name: 'mutants',
        setup({ onLoad }) {
          onLoad({ filter: /[\\/](src|tests|bench)[\\/].*\.ts$/ }, ({ path }) => {
            const known = plan.sources.get(path);
            const text = known
              ? instrumented(known.source, known.mutants, known.first, isOn)
              : readFileSync(path, 'utf8');
            const contents = text
              .replaceAll('import.meta.url', JSON.stringify(pathToFileURL(path).href))
              .replaceAll('import.meta.dirname', JSON.stringify(dirname(path)));
            return { contents, loader: 'ts' };
          });
        },
      },
    ],
  });
  return outputFiles[0].text;
}

export const bundles = async (plan: Plan, files: readonly string[]): Promise<{ mutated: string; noting: string }> => ({
  mutated: await bundled(plan, files, chosen),
  noting: await bundled(plan, files, noted),
});

export const hashOf = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 16);

/** Each file of tests with the hash of what it says. */
export const suiteOf = (files: readonly string[]): Record<string, string> =>
  Object.fromEntries(files.map((file) => [file, hashOf(readFileSync(join(ROOT, file), 'utf8'))]));

/** The mutated sources, to know whether measurements still hold. */
export const sourcesHash = ({ sources }: Plan): string =>
  hashOf([...sources.values()].map(({ source }) => source.text).join('\n'));
