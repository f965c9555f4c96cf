/** Sources with all their mutants at once, each behind a switch: no mutant needs a build of its own. And with a count in every loop, so that a
 *  mutant that never ends is noticed by a number of rounds, not by a clock.
 *
 *  What the texts refer to, `__mutant`, `__reached` and `__round()`, stands around the bundle: see instance.ts. */
import ts from 'typescript';
import type { Mutant } from './mutants.ts';

/** What stands before each mutant: whether it is the one that is tried; or only a note that it was reached. */
export type Switch = (mutant: number) => string;
export const chosen: Switch = (mutant) => `__mutant === ${mutant}`;
export const noted: Switch = (mutant) => `(__reached[${mutant}] = 1, false)`;

/** `first`: the number of the first of these mutants. */
export function instrumented(source: ts.SourceFile, mutants: readonly Mutant[], first: number, isOn: Switch): string {
  const { text } = source;
  const byPlace = new Map<string, number[]>();
  for (const [n, { start, end }] of mutants.entries()) {
    const place = `${start}-${end}`;
    const there = byPlace.get(place);
    if (there === undefined) byPlace.set(place, [n]);
    else there.push(n);
  }

  function rendered(node: ts.Node): string {
    const start = node.getStart(source);
    let out = '';
    let at = start;
    ts.forEachChild(node, (child) => {
      const childStart = child.getStart(source);
      if (childStart < at || ts.isTypeNode(child)) return;
      out += text.slice(at, childStart) + rendered(child);
      at = child.end;
    });
    out += text.slice(at, node.end);
    if (isLoopBody(node)) out = `{ __round(); ${out} }`;
    const here = byPlace.get(`${start}-${node.end}`) ?? [];
    const mine = here.filter((n) => isStatement(node) === (mutants[n].instead === ''));
    byPlace.set(
      `${start}-${node.end}`,
      here.filter((n) => !mine.includes(n)),
    );
    if (mine.length === 0) return out;
    if (isStatement(node)) return `{ if (!(${isOn(first + mine[0])})) { ${out} } }`;
    return `(${mine.map((n) => `${isOn(first + n)} ? ${mutants[n].code} : `).join('')}${out})`;
  }
  return rendered(source);
}

const isStatement = (node: ts.Node): boolean =>
  ts.isExpressionStatement(node) ||
  ts.isReturnStatement(node) ||
  ts.isThrowStatement(node) ||
  ts.isBreakOrContinueStatement(node);

const isLoopBody = (node: ts.Node): boolean =>
  node.parent !== undefined && ts.isIterationStatement(node.parent, false) && node.parent.statement === node;
