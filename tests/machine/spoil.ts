/** The corrupt-one-field assertion: whatever stands in one field of a saved state, restoring it is refused with a sentence, or gives
 *  a component that works. */
import { expect } from 'vitest';
import { InvalidInput } from '../../src/base/errors.ts';

const BAD: readonly unknown[] = ['x', true, null, -1, 0.5, 7, 0x1_0000, 0xffff_ffff, 2 ** 60, Number.NaN, [], {}];

export interface Spoilt {
  readonly path: string;
  readonly state: unknown;
}

/** Copies of a plain-data state with one leaf, or one whole branch, replaced. Long lists of numbers: the first and last `edge`. */
export function* spoilt(state: unknown, edge = 2): Generator<Spoilt> {
  const copy = structuredClone(state) as Record<string, unknown>;
  function* visit(parent: Record<string, unknown>, path: string): Generator<Spoilt> {
    const keys = Object.keys(parent);
    const wanted =
      Array.isArray(parent) && keys.length > 2 * edge ? [...keys.slice(0, edge), ...keys.slice(-edge)] : keys;
    for (const key of wanted) {
      const here = path === '' ? key : `${path}.${key}`;
      const value = parent[key];
      if (typeof value === 'object' && value !== null) yield* visit(value as Record<string, unknown>, here);
      for (const bad of BAD) {
        parent[key] = bad;
        yield { path: `${here} = ${JSON.stringify(bad)}`, state: structuredClone(copy) };
      }
      delete parent[key];
      yield { path: `${here} missing`, state: structuredClone(copy) };
      parent[key] = value;
    }
  }
  yield* visit(copy, '');
}

/** Restores every spoilt state; `use` is called where it was accepted. Returns how many were refused and accepted. */
export function assertSurvivesSpoiling(
  state: unknown,
  restore: (state: Record<string, unknown>) => void,
  use: (path: string) => void,
): { refused: number; accepted: number } {
  const result = { refused: 0, accepted: 0 };
  for (const { path, state: bad } of spoilt(state)) {
    try {
      restore(bad as Record<string, unknown>);
    } catch (error) {
      if (!(error instanceof InvalidInput)) throw new Error(`${path}: ${String(error)}`, { cause: error });
      result.refused++;
      continue;
    }
    result.accepted++;
    use(path);
  }
  expect(result.refused).toBeGreaterThan(0);
  return result;
}
