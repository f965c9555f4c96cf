/** Writes docs/mutation.md: the score, and what survived, explained or not. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { EXPLAINED, type Explained } from './explained.ts';
import type { Mutant } from './mutants.ts';
import { ROOT } from './plan.ts';
import type { Result, Results } from './results.ts';

interface Tried {
  readonly mutant: Mutant;
  readonly result: Result;
  /** Why nothing can notice it, or nothing should. */
  readonly why: Explained | null;
}

const isNoticed = ({ result }: Tried): boolean => result.outcome === 'killed' || result.outcome === 'endless';
const count = (tried: readonly Tried[], outcome: Result['outcome']): number =>
  tried.filter(({ result }) => result.outcome === outcome).length;

const percent = (part: number, whole: number): string => (whole === 0 ? '–' : `${((100 * part) / whole).toFixed(1)} %`);

/** Of all; and of those that anything could notice. */
function scores(tried: readonly Tried[]): [string, string] {
  const noticed = tried.filter(isNoticed).length;
  const equivalent = tried.filter((t) => !isNoticed(t) && t.why !== null).length;
  return [percent(noticed, tried.length), percent(noticed, tried.length - equivalent)];
}

function row(name: string, all: number, tried: readonly Tried[]): string {
  const explained = tried.filter((t) => !isNoticed(t) && t.why !== null).length;
  const cells = [
    name,
    all,
    tried.length,
    count(tried, 'killed'),
    count(tried, 'endless'),
    count(tried, 'survived'),
    count(tried, 'not covered'),
    explained,
    ...scores(tried),
  ];
  return `| ${cells.join(' | ')} |`;
}

const HEAD = `| file | mutants | tried | killed | endless | survived | not covered | explained | score | without explained |
| --- | --: | --: | --: | --: | --: | --: | --: | --: | --: |`;

const code = (text: string): string => {
  const plain = text.replace(/\s+/g, ' ').replaceAll('|', '\\|');
  return `\`${plain.length > 90 ? `${plain.slice(0, 88)} …` : plain}\``;
};

const change = ({ mutant }: Tried): string =>
  mutant.instead === '' ? `${code(mutant.original)} left out` : `${code(mutant.original)} → ${code(mutant.instead)}`;

function table(file: string, tried: readonly Tried[]): string {
  const rows = tried.map((t) => {
    const { shown, of, outcome } = t.result;
    const tests = outcome === 'not covered' ? 'none' : shown < of ? `${shown} of ${of}` : `${of}`;
    return `| ${t.mutant.line} | ${change(t)} | ${tests} |`;
  });
  return `### ${file}\n\n| line | change | tests |\n| --: | --- | --: |\n${rows.join('\n')}\n`;
}

const byFile = (tried: readonly Tried[]): [string, Tried[]][] => {
  const files: Map<string, Tried[]> = new Map();
  for (const t of tried) files.set(t.mutant.file, [...(files.get(t.mutant.file) ?? []), t]);
  return [...files];
};

export function writePage(
  mutants: readonly Mutant[],
  results: Results,
  folders: readonly string[],
  seed: string,
): void {
  const lines = new Map<string, string[]>();
  const lineOf = ({ file, line }: Mutant): string => {
    const known = lines.get(file) ?? readFileSync(join(ROOT, file), 'utf8').split('\n');
    lines.set(file, known);
    return known[line - 1].trim();
  };
  const whyOf = (m: Mutant): Explained | null =>
    EXPLAINED.find(
      (e) =>
        e.file === m.file &&
        e.lines.includes(lineOf(m)) &&
        (e.only === undefined || e.only.includes(m.instead)) &&
        (e.at === undefined || e.at.includes(m.original)),
    ) ?? null;
  const known: Tried[] = mutants.flatMap((mutant) => {
    const result = results.of(mutant);
    return result === null ? [] : [{ mutant, result, why: whyOf(mutant) }];
  });
  const tried = known.length === mutants.length ? known : known.filter(({ result }) => !result.picked);
  const hours = tried.reduce((sum, { result }) => sum + result.seconds, 0) / 3600;
  const survivors = tried.filter((t) => !isNoticed(t));
  const explained = EXPLAINED.map((e) => ({ e, of: survivors.filter((t) => t.why === e) })).filter(
    ({ of }) => of.length > 0,
  );
  const [score, withoutExplained] = scores(tried);
  const files = [...new Set(mutants.map(({ file }) => file))];
  const rows = files.map((file) =>
    row(
      `\`${file}\``,
      mutants.filter((m) => m.file === file).length,
      tried.filter((t) => t.mutant.file === file),
    ),
  );
  const page = `# Mutation testing

Written by \`npm run test:mutation\`${folders.length > 0 ? ` for ${folders.map((f) => `\`${f}\``).join(' and ')}` : ''}. Every mutant is one small change of the sources: a condition held true or false, a
comparison, an operator or a constant replaced, a statement left out, a value returned that was not computed. The tests that come to
its place are run against it until one notices. What they do not notice is either no change of behaviour, or a test that is missing.

**${score} of the mutants are noticed (${withoutExplained} without those explained below)**: ${tried.length} of ${mutants.length} tried${tried.length < mutants.length ? ` (a random sample, seed ${seed})` : ''},
${count(tried, 'killed')} killed by a test, ${count(tried, 'endless')} endless, ${count(tried, 'survived')} survived, ${count(tried, 'not covered')} at places that no test comes to. ${hours.toFixed(1)} hours of processor time.

How: \`tests/mutation\` puts all mutants into one copy of the sources, each behind a switch, bundles it with the tests once, and gives each
mutant a fresh instance of all modules. A test alone says beforehand which mutants it comes to, and how many rounds of loops it makes:
ten times as many and a million are *endless*. Where the tests that come to a mutant take more than the time allowed for one, the dearest are
left out: the lists below say how many of them ran. Left out of the mutants are generated files, generators, and what only makes texts (\`explain\`, messages, errors).
StrykerJS, which works alike, was tried first: with vitest it starts all modules of a test file for each mutant and each file, and had not
done the 172 mutants of two small files after seven minutes.

## By file

${HEAD}
${row('all', mutants.length, tried)}
${rows.join('\n')}

## Survivors explained

${explained.map(({ e, of }) => `### ${e.title}\n\n\`${e.file}\`: ${e.why}\n\n${of.map((t) => `- line ${t.mutant.line}: ${change(t)}`).join('\n')}\n`).join('\n')}
## Survivors not explained

Each is a test that nobody has written yet, or an equivalent that nobody has looked at yet. *Tests* is how many ran against it, of those that come to its place.

${byFile(survivors.filter((t) => t.why === null))
  .map(([file, of]) => table(file, of))
  .join('\n')}`;
  writeFileSync(join(ROOT, 'docs/mutation.md'), page);
}
