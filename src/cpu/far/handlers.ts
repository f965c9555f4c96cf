/** Segmentation and control transfer: the handlers by the names that opcode rows use. */

import { FLAG_OF } from '../../base/registers.ts';
import { BP, DB, OF, UD } from '../../base/signal.ts';
import type { Cpu } from '../cpu.ts';
import type { Handler } from '../rows.ts';
import { PRIVILEGED_SOFTWARE_EXCEPTION, SOFTWARE_EXCEPTION, SOFTWARE_INTERRUPT } from './deliver.ts';
import { softwareEvent } from './events.ts';
import { guarded } from './guard.ts';
import { loadFarPointer, movFromSegment, movToSegment, popSegment, pushSegment } from './moves.ts';
import { arpl, bound, lar, lsl, verr, verw } from './protection.ts';
import { iret, retFar, retFarImmediate } from './returns.ts';
import { lgdt, lidt, lldt, ltr, sgdt, sidt, sldt, str } from './tables.ts';
import { callFar, jmpFar } from './transfer.ts';

export const farHandlers: Readonly<Record<string, Handler<Cpu>>> = {
  jmpFar,
  callFar,
  retFar,
  retFarImmediate,
  iret,
  intN: (cpu, i) => softwareEvent(cpu, i, i.immediate & 0xff, SOFTWARE_INTERRUPT),
  int3: (cpu, i) => softwareEvent(cpu, i, BP, SOFTWARE_EXCEPTION),
  int1: (cpu, i) => softwareEvent(cpu, i, DB, PRIVILEGED_SOFTWARE_EXCEPTION),
  into: (cpu, i) => {
    if (cpu.getFlags() & FLAG_OF) softwareEvent(cpu, i, OF, SOFTWARE_EXCEPTION);
  },
  bound,
  loadFarPointer,
  movToSegment,
  movFromSegment,
  pushSegment,
  popSegment,
  lar: guarded(lar),
  lsl: guarded(lsl),
  verr: guarded(verr),
  verw: guarded(verw),
  arpl: guarded(arpl),
  lldt: guarded(lldt),
  ltr: guarded(ltr),
  sldt: guarded(sldt),
  str: guarded(str),
  lgdt: guarded(lgdt),
  lidt: guarded(lidt),
  sgdt: guarded(sgdt),
  sidt: guarded(sidt),
  undefined: (cpu) => cpu.raise(UD, -1, 'undefined opcode'),
};
