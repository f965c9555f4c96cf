/** Mutants that no test can notice, or should. A mutant is named by its line of source, not by a number. */
export interface Explained {
  readonly title: string;
  readonly file: string;
  /** The lines as they stand in the source, without indentation. */
  readonly lines: readonly string[];
  /** These replacements only, of these pieces only. */
  readonly only?: readonly string[];
  readonly at?: readonly string[];
  readonly why: string;
}

export const EXPLAINED: readonly Explained[] = [];
