/** Some worker processes that take jobs; one that does not answer is replaced. */
import { type ChildProcess, fork } from 'node:child_process';
import { join } from 'node:path';
import type { Answer, Job } from './worker.ts';

/** The clock counts while this process runs: a machine that is stopped for a while takes no time. */
const TICK = 250;

/** Many short runs of the same code. */
const FLAGS = ['--max-old-space-size=3000', '--max-semi-space-size=64', '--no-flush-bytecode'];
/** Part of the random cases of an ordinary run: there are many mutants. */
const EFFORT = '0.3';

export class Pool {
  readonly #words: readonly string[];
  readonly #idle: ChildProcess[] = [];

  /** The bundle's file, and how many mutants it has. */
  constructor(bundle: string, mutants: number) {
    this.#words = [bundle, String(mutants)];
  }

  /** Null: no answer within so many milliseconds. */
  run(job: Job, milliseconds: number): Promise<Answer | null> {
    const child =
      this.#idle.pop() ??
      fork(join(import.meta.dirname, 'worker.ts'), this.#words, {
        execArgv: [...process.execArgv, ...FLAGS],
        env: { ...process.env, RINGLET_EFFORT: EFFORT },
        stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
      });
    return new Promise((resolve) => {
      let left = milliseconds;
      const end = (answer: Answer | null) => {
        clearInterval(clock);
        child.removeAllListeners();
        if (answer === null) child.kill('SIGKILL');
        else this.#idle.push(child);
        resolve(answer);
      };
      const clock = setInterval(() => {
        left -= TICK;
        if (left < 0) end(null);
      }, TICK);
      child.on('message', (answer: Answer) => end(answer));
      child.on('exit', () => end(null));
      child.send(job);
    });
  }

  end(): void {
    for (const child of this.#idle) child.kill('SIGKILL');
  }
}
