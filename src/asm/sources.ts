/** Where lines come from: files, bodies of macros, bodies of %rep. */

import type { Place } from './errors.ts';
import { type Token, tokenize } from './tokens.ts';

/** One line of source text; tokens are made when somebody asks for them. */
export class RawLine {
  readonly text: string;
  readonly place: Place;
  #tokens: readonly Token[] | null = null;

  constructor(text: string, place: Place) {
    this.text = text;
    this.place = place;
  }

  /** Throws LineError. */
  get tokens(): readonly Token[] {
    this.#tokens ??= tokenize(this.text);
    return this.#tokens;
  }

  /** The directive that the line starts with, in lower case without its %, or ''. */
  get directive(): string {
    return /^\s*%([A-Za-z]+)/.exec(this.text)?.[1]?.toLowerCase() ?? '';
  }
}

/** A preprocessed line. */
export interface Line {
  readonly tokens: readonly Token[];
  readonly place: Place;
}

/** One use of a multi-line macro: what %1, %0, %%label mean in its body. */
export interface Frame {
  readonly name: string;
  /** Arguments without %rotate. */
  readonly args: readonly (readonly Token[])[];
  rotation: number;
  /** Makes %%labels differ between uses. */
  readonly serial: number;
  /** The label in front of the use: %00. */
  readonly label: readonly Token[];
  readonly place: Place;
}

/** The state of one %if. */
export interface Condition {
  /** on: this branch counts · waiting: no branch did yet · done: one did · never: the %if itself is in a dead branch */
  state: 'on' | 'waiting' | 'done' | 'never';
  sawElse: boolean;
  readonly place: Place;
}

/** A source of lines on the preprocessor's stack. */
export interface Source {
  readonly kind: 'file' | 'macro' | 'rep';
  readonly lines: readonly RawLine[];
  at: number;
  /** How often the lines are still to be read, this time included. */
  rounds: number;
  readonly frame: Frame | null;
  /** The open %ifs of the file; macros share it with the file that uses them. */
  readonly conditions: Condition[];
  /** How many of them were open when this source began. */
  readonly openBefore: number;
  /** Runs when the source is left. */
  readonly leave: () => void;
}

/** Lines of a file; a backslash at a line's end joins it with the next. */
export function linesOf(file: string, text: string): RawLine[] {
  const physical = text.split(/\r\n|\n|\r/);
  const lines: RawLine[] = [];
  for (let i = 0; i < physical.length; i++) {
    const line = i + 1;
    let whole = physical[i] as string;
    while (whole.endsWith('\\') && i + 1 < physical.length) whole = whole.slice(0, -1) + physical[++i];
    lines.push(new RawLine(whole, { file, line, column: 1 }));
  }
  return lines;
}
