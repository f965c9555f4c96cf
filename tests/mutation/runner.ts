/** The part of vitest that the tests use, for many short runs in one process: every instance of the tests gets its own, with nothing kept
 *  from one to the next. The matchers are vitest's. */
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { format } from 'node:util';
import { chai, JestAsymmetricMatchers, JestChaiExpect, JestExtend } from '@vitest/expect';

chai.use(JestExtend);
chai.use(JestChaiExpect);
chai.use(JestAsymmetricMatchers);

type Body = (...args: never[]) => unknown;

export interface Test {
  readonly title: string;
  run(): Promise<void>;
}

interface Suite {
  readonly parent: Suite | null;
  readonly title: string;
  readonly before: Body[];
  readonly after: Body[];
  readonly beforeEach: Body[];
  readonly afterEach: Body[];
  begun: boolean;
}

const suite = (parent: Suite | null, title: string): Suite => ({
  parent,
  title,
  before: [],
  after: [],
  beforeEach: [],
  afterEach: [],
  begun: false,
});

/** Those around a test, outermost first. */
const around = (inner: Suite): Suite[] => (inner.parent === null ? [inner] : [...around(inner.parent), inner]);

async function all(bodies: readonly Body[]): Promise<void> {
  for (const body of bodies) await body();
}

export class Runner {
  readonly tests: Test[] = [];
  #suite = suite(null, '');
  #suites: Suite[] = [];
  /** The file whose tests are being collected: snapshots lie beside it. */
  #file = '';

  /** What `import … from 'vitest'` yields. */
  readonly exports: Record<string, unknown>;

  constructor() {
    const expect = (value: unknown, message?: string) => chai.expect(value, message);
    chai.Assertion.addMethod('toMatchFileSnapshot', function (this: { _obj: unknown }, name: string) {
      const folder = snapshots;
      new chai.Assertion(this._obj).to.equal(readFileSync(join(folder, name), 'utf8'));
    });
    const test = this.#each((title, body) => this.#add(title, body));
    const describe = this.#each((title, body) => this.#describe(title, body));
    this.exports = {
      expect: Object.assign(expect, chai.expect),
      test,
      it: test,
      describe,
      beforeAll: (body: Body) => this.#suite.before.push(body),
      afterAll: (body: Body) => this.#suite.after.push(body),
      beforeEach: (body: Body) => this.#suite.beforeEach.push(body),
      afterEach: (body: Body) => this.#suite.afterEach.push(body),
    };
  }

  /** The tests of a file; `load` executes its module. */
  async collect(file: string, load: () => Promise<unknown>): Promise<Test[]> {
    const from = this.tests.length;
    this.#file = file;
    this.#suite = suite(null, '');
    this.#suites.push(this.#suite);
    await load();
    return this.tests.slice(from);
  }

  async end(): Promise<void> {
    for (const { begun, after } of this.#suites) if (begun) await all(after);
  }

  #add(title: string, body: Body): void {
    const suites = around(this.#suite);
    const folder = dirname(this.#file);
    this.tests.push({
      title: [...suites.map((s) => s.title), title].filter((t) => t !== '').join(' > '),
      async run() {
        snapshots = folder;
        for (const s of suites) {
          if (s.begun) continue;
          s.begun = true;
          await all(s.before);
        }
        for (const s of suites) await all(s.beforeEach);
        try {
          await body();
        } finally {
          for (const s of suites) await all(s.afterEach);
        }
      },
    });
  }

  #describe(title: string, body: Body): void {
    const outer = this.#suite;
    this.#suite = suite(outer, title);
    this.#suites.push(this.#suite);
    body();
    this.#suite = outer;
  }

  #each(add: (title: string, body: Body) => void): unknown {
    const plain = (title: string, ...rest: unknown[]) => add(title, rest.find((r) => typeof r === 'function') as Body);
    const each = (rows: readonly unknown[]) => (title: string, body: Body) => {
      for (const [n, row] of rows.entries()) {
        const args = (Array.isArray(row) ? row : [row]) as never[];
        add(`${format(title, ...args)} [${n}]`, () => body(...args));
      }
    };
    const none = () => undefined;
    const skipIf = (condition: boolean) => (condition ? Object.assign(none, { each: () => none }) : plain);
    return Object.assign(plain, { each, skip: none, skipIf, concurrent: plain, for: each });
  }
}

let snapshots = '';
