/** Which forms stand in the loop itself. The loop may not grow beyond what V8 still optimises (a test measures it), so the
 *  list holds what compiled code and hand-written kernels spend their time in; everything else runs out of line. */

import type { HotForm } from './hot.ts';

const plain = (operation: string, ...shapes: string[]): HotForm[] =>
  shapes.map((shape) => ({ operation, operands: shape === '' ? [] : shape.split(' '), fused: -1, unseen: false }));
const unseen = (operation: string, ...shapes: string[]): HotForm[] =>
  plain(operation, ...shapes).map((form) => ({ ...form, unseen: true }));
const fused = (operation: string, shape: string, conditions: readonly number[]): HotForm[] =>
  plain(operation, shape).flatMap((form) => conditions.map((cc) => ({ ...form, fused: cc })));

const [B, AE, Z, NZ, BE, A, S, NS, L, GE, LE, G] = [2, 3, 4, 5, 6, 7, 8, 9, 12, 13, 14, 15];
const ORDER = [B, AE, Z, NZ, BE, A, L, GE, LE, G];

export const hotForms: readonly HotForm[] = [
  ...plain('mov', 'r4 r4', 'r4 i4', 'r4 b4', 'r4 x4', 'b4 r4', 'x4 r4', 'b4 i4', 'x4 i4'),
  ...plain('mov', 'h1 h1', 'h1 i1', 'h1 b1', 'h1 x1', 'b1 h1', 'x1 h1', 'b1 i1', 'x1 i1'),
  ...plain('mov', 'q2 b2', 'b2 q2'),
  ...plain('movzx', 'r4 h1', 'r4 b1', 'r4 x1', 'r4 q2', 'r4 b2', 'r4 x2'),
  ...plain('movsx', 'r4 h1', 'r4 b1', 'r4 x1', 'r4 q2', 'r4 b2', 'r4 x2'),
  ...plain('lea', 'r4 b4', 'r4 x4'),
  ...plain('xchg', 'r4 r4', 'h1 h1'),

  ...plain(
    'add',
    'r4 r4',
    'r4 i4',
    'r4 b4',
    'r4 x4',
    'b4 r4',
    'b4 i4',
    'x4 r4',
    'h1 h1',
    'h1 i1',
    'h1 b1',
    'h1 x1',
    'b1 h1',
  ),
  ...plain('sub', 'r4 r4', 'r4 i4', 'r4 b4', 'b4 r4', 'b4 i4', 'h1 h1', 'h1 i1'),
  ...plain('and', 'r4 r4', 'r4 i4', 'r4 b4', 'b4 i4', 'h1 h1', 'h1 i1'),
  ...plain('or', 'r4 r4', 'r4 i4', 'r4 b4', 'b4 r4', 'b4 i4', 'h1 h1', 'h1 i1'),
  ...plain('xor', 'r4 r4', 'r4 i4', 'r4 b4', 'r4 x4', 'h1 h1', 'h1 i1', 'h1 b1', 'h1 x1'),
  ...plain('cmp', 'r4 r4', 'r4 i4', 'r4 b4', 'b4 r4', 'b4 i4', 'h1 h1', 'h1 i1', 'b1 i1'),
  ...plain('test', 'r4 r4', 'r4 i4', 'h1 h1', 'h1 i1'),
  ...plain('adc', 'r4 r4', 'r4 i4', 'r4 b4', 'b4 r4', 'x4 r4', 'h1 h1', 'h1 i1'),
  ...plain('sbb', 'r4 r4', 'r4 i4', 'b1 h1', 'x1 h1', 'h1 h1', 'h1 i1'),
  ...plain('inc', 'r4', 'h1', 'b4'),
  ...plain('dec', 'r4', 'h1', 'b4'),
  ...plain('neg', 'r4', 'h1'),
  ...plain('not', 'r4', 'h1'),
  ...plain('shl', 'r4 i4', 'r4 c1'),
  ...plain('shr', 'r4 i4', 'r4 c1'),
  ...plain('sar', 'r4 i4'),
  ...plain('rol', 'r4 i4', 'h1 i1'),
  ...plain('ror', 'r4 i4', 'h1 i1'),
  // To set two flags and leave the others is most of a rotate's work, and hash functions never look at them.
  ...unseen('rol', 'r4 i4'),
  ...unseen('ror', 'r4 i4'),
  ...plain('imul2', 'r4 r4', 'r4 b4', 'r4 x4'),
  ...plain('imul3', 'r4 r4 i4'),
  ...plain('mul', 'r4'),
  ...plain('cwd', ''),
  ...plain('nop', ''),

  ...plain('movs', 'd1 s1', 'd4 s4'),
  ...plain('stos', 'd1 h1', 'd2 q2', 'd4 r4'),
  ...plain('lods', 'h1 s1', 'q2 s2', 'r4 s4'),
  ...plain('scas', 'h1 d1'),

  ...plain('push', 'r4', 'i4', 'b4'),
  ...plain('pop', 'r4'),
  ...plain('leave', ''),
  ...plain('setcc', 'h1'),
  ...plain('cmovcc', 'r4 r4'),

  ...plain('jmpNear', ''),
  ...plain('callNear', ''),
  ...plain('jmpIndirect', 'r4', 'x4'),
  ...plain('callIndirect', 'r4', 'b4'),
  ...plain('retNear', ''),
  ...plain('retNearImmediate', 'i4'),
  ...plain('jcc', ''),

  ...fused('cmp', 'r4 r4', ORDER),
  ...fused('cmp', 'r4 i4', ORDER),
  ...fused('cmp', 'r4 b4', [Z, NZ, B, AE, L, GE, LE, G]),
  ...fused('cmp', 'b4 i4', [Z, NZ, B, L, LE, G]),
  ...fused('cmp', 'b1 i1', [Z, NZ]),
  ...fused('cmp', 'h1 i1', [Z, NZ, B, BE, A]),
  ...fused('test', 'r4 r4', [Z, NZ, S, NS, LE, G]),
  ...fused('test', 'h1 i1', [Z, NZ]),
  ...fused('test', 'h1 h1', [Z, NZ]),
  ...fused('dec', 'r4', [Z, NZ, NS]),
  ...fused('sub', 'r4 i4', [Z, NZ]),
];
