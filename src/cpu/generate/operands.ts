/** Reads the manual's operand codes: where an operand stands and how wide it is. */

export type Place = 'E' | 'G' | 'Z' | 'I' | 'J' | 'M' | 'O' | 'X' | 'Y' | 'AL' | 'CL' | 'rAX' | '1';

export interface OperandShape {
  readonly place: Place;
  readonly width: 1 | 2 | 4;
}

const NAMED: Readonly<Record<string, (size: 2 | 4) => OperandShape>> = {
  AL: () => ({ place: 'AL', width: 1 }),
  CL: () => ({ place: 'CL', width: 1 }),
  rAX: (width) => ({ place: 'rAX', width }),
  eAX: (width) => ({ place: 'rAX', width }),
  '1': () => ({ place: '1', width: 1 }),
  M: (width) => ({ place: 'M', width }),
  sIb: (width) => ({ place: 'I', width }),
};

/** The shape of operand code `code` under an operand size of `size` bytes. Throws on codes that no emitter uses. */
export function operandShape(code: string, size: 2 | 4): OperandShape {
  const named = NAMED[code];
  if (named !== undefined) return named(size);
  const place = code[0];
  const width = code[1] === 'b' ? 1 : code[1] === 'w' ? 2 : code[1] === 'd' ? 4 : size;
  if (
    place === 'E' ||
    place === 'G' ||
    place === 'Z' ||
    place === 'I' ||
    place === 'J' ||
    place === 'O' ||
    place === 'X' ||
    place === 'Y' ||
    place === 'M'
  ) {
    return { place, width };
  }
  throw new Error(`no emitter knows operand code ${code}`);
}

/** Name of the out-of-line form of a row: its semantics, operand codes, operand size and whether E is memory. */
export function coldName(semantics: string, operands: readonly string[], size: 2 | 4, memory: boolean): string {
  return [semantics, ...operands, `${size * 8}${memory ? 'm' : ''}`].join('_').replace(/[^A-Za-z0-9_]/g, '');
}
