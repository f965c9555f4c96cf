/** What the assembler says about a source that it cannot assemble. */

import { InvalidInput } from '../base/errors.ts';

/** A position in a source file; lines and columns count from 1. */
export interface Place {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  /** The use of a macro that produced the line, if one did. */
  readonly from?: { readonly macro: string; readonly place: Place };
}

/** One thing that is wrong, where, and what was expected instead. */
export interface Problem {
  readonly place: Place;
  readonly message: string;
}

/** `file:line:column: message`, with the chain of macro uses behind it. */
export function describeProblem({ place, message }: Problem): string {
  let text = `${place.file}:${place.line}:${place.column}: ${message}`;
  for (let at = place.from; at !== undefined; at = at.place.from)
    text += `\n  in macro ${at.macro}, used at ${at.place.file}:${at.place.line}:${at.place.column}`;
  return text;
}

/** The source cannot be assembled. `problems` lists what is wrong by file and line, at most `MOST_PROBLEMS`. */
export class AssemblyError extends InvalidInput {
  readonly problems: readonly Problem[];

  constructor(problems: readonly Problem[]) {
    super(problems.map(describeProblem).join('\n'));
    this.name = 'AssemblyError';
    this.problems = problems;
  }
}

/** After so many problems assembly stops: what follows is likely noise. */
export const MOST_PROBLEMS = 50;

/** `1 operand`, `2 operands`, `1 or 2 operands`. */
export const counted = (counts: readonly (number | string)[], what: string): string =>
  `${counts.join(' or ')} ${what}${counts.length === 1 && `${counts[0]}` === '1' ? '' : 's'}`;

/** Ends the work on one line; caught where lines are taken up. `column` 0: the line as a whole. */
export class LineError extends Error {
  readonly column: number;

  constructor(column: number, message: string) {
    super(message);
    this.column = column;
  }
}

/** Collects problems; each place is reported once. */
export class Problems {
  readonly list: Problem[] = [];
  readonly #seen = new Set<string>();

  get any(): boolean {
    return this.list.length > 0;
  }

  add(place: Place, message: string): void {
    const problem = { place, message };
    const text = describeProblem(problem);
    if (this.#seen.has(text)) return;
    this.#seen.add(text);
    this.list.push(problem);
    if (this.list.length >= MOST_PROBLEMS) throw this.error;
  }

  /** What was found, by file and line. */
  get error(): AssemblyError {
    const files = [...new Set(this.list.map((p) => p.place.file))];
    const key = ({ place }: Problem): number => files.indexOf(place.file) * 1e9 + place.line;
    return new AssemblyError([...this.list].sort((a, b) => key(a) - key(b)));
  }

  /** Nothing after this can be relied on. */
  fatal(place: Place, message: string): never {
    this.add(place, message);
    throw this.error;
  }

  /** Runs `work` for one line; a LineError becomes a problem there. */
  during<T>(place: Place, work: () => T): T | undefined {
    try {
      return work();
    } catch (error) {
      if (!(error instanceof LineError)) throw error;
      this.add({ ...place, column: error.column || place.column }, error.message);
      return undefined;
    }
  }
}
