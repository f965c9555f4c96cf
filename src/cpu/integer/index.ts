/** Integer instructions that are too intricate for the code generator, by the names that opcode rows use. */
import type { Cpu } from '../cpu.ts';
import type { Handler } from '../rows.ts';
import { bsf, bsr, bt, btc, btr, bts, salc, xlat } from './bits.ts';
import { aaa, aad, aam, aas, daa, das } from './decimal.ts';
import { div, idiv } from './divide.ts';
import { cmpxchg, cmpxchg8b, xadd } from './exchange.ts';
import { enter, popa, pusha } from './frames.ts';

export const integerHandlers: Readonly<Record<string, Handler<Cpu>>> = {
  div,
  idiv,
  daa,
  das,
  aaa,
  aas,
  aam,
  aad,
  enter,
  pusha,
  popa,
  cmpxchg,
  cmpxchg8b,
  xadd,
  xlat,
  bt,
  bts,
  btr,
  btc,
  bsf,
  bsr,
  salc,
};
