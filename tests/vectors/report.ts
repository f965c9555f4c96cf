/** What one set of vectors came to. */

/** Why a vector was not run; the text is the reason that gets printed. */
export interface Skip {
  readonly skip: string;
}

/** A vector that ran: what differed (nothing: passed), and the named rules that forgave a difference. */
export interface Outcome {
  readonly differences: readonly string[];
  readonly forgiven: readonly string[];
}

const EXAMPLES = 3;

export class SetReport {
  readonly name: string;
  total = 0;
  run = 0;
  passed = 0;
  readonly #forgiven = new Map<string, number>();
  readonly #skipped = new Map<string, number>();
  readonly #failed = new Map<string, { count: number; examples: string[] }>();

  constructor(name: string) {
    this.name = name;
  }

  get failed(): number {
    return this.run - this.passed;
  }

  /** Counts a vector. `group`: what failures are listed under; `text`: the vector itself, for the report. */
  add(group: string, text: string, result: Outcome | Skip): void {
    this.total++;
    if ('skip' in result) {
      count(this.#skipped, result.skip);
      return;
    }
    this.run++;
    if (result.differences.length === 0) {
      this.passed++;
      for (const rule of result.forgiven) count(this.#forgiven, rule);
      return;
    }
    const failures = this.#failed.get(group) ?? { count: 0, examples: [] };
    this.#failed.set(group, failures);
    failures.count++;
    if (failures.examples.length < EXAMPLES)
      failures.examples.push(`${text}\n        ${result.differences.join(', ')}`);
  }

  toString(): string {
    const { name, total, run, passed, failed } = this;
    const lines = [`${name}: ${total} vectors, ${run} run, ${passed} passed, ${failed} failed, ${total - run} skipped`];
    for (const [reason, n] of sorted(this.#skipped)) lines.push(`  skipped ${n}: ${reason}`);
    for (const [rule, n] of sorted(this.#forgiven)) lines.push(`  masked in ${n}: ${rule}`);
    for (const [group, { count: n, examples }] of this.#failed) {
      lines.push(`  FAILED ${n}: ${group}`);
      for (const example of examples) lines.push(`      ${example}`);
    }
    return lines.join('\n');
  }
}

function count(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}

const sorted = (counts: Map<string, number>): [string, number][] => [...counts].sort((a, b) => b[1] - a[1]);
