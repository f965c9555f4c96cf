/** String instructions (SDM Vol. 1, "String Instructions"), by the names that opcode rows use. */
import type { Cpu } from '../cpu.ts';
import type { Handler } from '../rows.ts';
import { cmps, scas } from './compare.ts';
import { ins, outs } from './io.ts';
import { lods, movs, stos } from './move.ts';

export const stringHandlers: Readonly<Record<string, Handler<Cpu>>> = { movs, cmps, stos, lods, scas, ins, outs };
