/** One line of source, parsed. */

import type { Expression } from './expression.ts';
import type { Prefix, Size } from './operands.ts';
import type { Register } from './registers.ts';

/** An operand as written; its values are not known yet. */
export type OperandSyntax =
  | {
      readonly kind: 'value';
      readonly expression: Expression;
      readonly size: Size;
      readonly strict: boolean;
      readonly distance: 'short' | 'near' | 'far' | null;
      readonly column: number;
    }
  | {
      readonly kind: 'memory';
      readonly expression: Expression;
      readonly segment: Register | null;
      readonly size: Size;
      readonly displacementSize: Size;
      readonly nosplit: boolean;
      readonly distance: 'near' | 'far' | null;
      readonly column: number;
    }
  | {
      readonly kind: 'far';
      readonly selector: Expression;
      readonly offset: Expression;
      readonly size: Size;
      readonly column: number;
    };

/** An item of db, dw, dd, dq. */
export type DataItem =
  | { readonly kind: 'string'; readonly value: string }
  | { readonly kind: 'number'; readonly expression: Expression; readonly column: number }
  | { readonly kind: 'reserve' };

export type Action =
  | { readonly kind: 'nothing' }
  | {
      readonly kind: 'instruction';
      readonly mnemonic: string;
      readonly prefixes: readonly Prefix[];
      readonly operands: readonly OperandSyntax[];
      readonly column: number;
    }
  | { readonly kind: 'data'; readonly size: number; readonly items: readonly DataItem[] }
  | { readonly kind: 'reserve'; readonly size: number; readonly count: Expression; readonly column: number }
  | {
      readonly kind: 'incbin';
      readonly path: string;
      readonly skip: Expression | null;
      readonly length: Expression | null;
      readonly column: number;
    }
  | { readonly kind: 'equ'; readonly value: Expression; readonly column: number }
  | { readonly kind: 'bits'; readonly bits: 16 | 32 }
  | { readonly kind: 'org'; readonly value: Expression; readonly column: number }
  | {
      readonly kind: 'section';
      readonly name: string;
      readonly align: Expression | null;
      readonly nobits: boolean;
      readonly column: number;
    }
  | { readonly kind: 'absolute'; readonly value: Expression; readonly column: number }
  /** Asks for an alignment of the whole section. */
  | { readonly kind: 'struc'; readonly name: string; readonly value: Expression | null; readonly column: number }
  | { readonly kind: 'endstruc'; readonly column: number }
  | { readonly kind: 'istruc'; readonly name: string; readonly column: number }
  | {
      readonly kind: 'at';
      readonly field: Expression | string;
      readonly rest: Statement | null;
      readonly column: number;
    }
  | { readonly kind: 'iend'; readonly column: number };

export interface Statement {
  readonly label: { readonly name: string; readonly column: number } | null;
  /** TIMES, and the filling of align. */
  readonly times: Expression | null;
  /** align: what the section is aligned to. */
  readonly align: Expression | null;
  readonly action: Action;
}
