/** Segmentation and control transfer: the handlers by the names that opcode rows use. */

import { FLAG_OF } from '../../base/registers.ts';
import { BP, DB, OF, UD } from '../../base/signal.ts';
import type { Cpu } from '../cpu.ts';
import type { Handler } from '../rows.ts';
import { intercepted } from '../system/privilege.ts';
import { PRIVILEGED_SOFTWARE_EXCEPTION, SOFTWARE_EXCEPTION, SOFTWARE_INTERRUPT } from './deliver.ts';
import { softwareEvent } from './events.ts';
import { loadFarPointer, movFromSegment, movToSegment, popSegment, pushSegment } from './moves.ts';
import { arpl, bound, lar, lsl, verr, verw } from './protection.ts';
import { iret, retFar, retFarImmediate } from './returns.ts';
import { sysenter, sysexit } from './system-call.ts';
import { lgdt, lidt, lldt, ltr, sgdt, sidt, sldt, str } from './tables.ts';
import { callFar, jmpFar } from './transfer.ts';

/** `handler`, unless a VM exit takes its place. */
const interceptable =
  (handler: Handler<Cpu>): Handler<Cpu> =>
  (cpu, i) => {
    if (!intercepted(cpu, i)) handler(cpu, i);
  };

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
  sysenter,
  sysexit,
  bound,
  loadFarPointer,
  movToSegment,
  movFromSegment,
  pushSegment,
  popSegment,
  lar,
  lsl,
  verr,
  verw,
  arpl,
  lldt: interceptable(lldt),
  ltr: interceptable(ltr),
  sldt: interceptable(sldt),
  str: interceptable(str),
  lgdt: interceptable(lgdt),
  lidt: interceptable(lidt),
  sgdt: interceptable(sgdt),
  sidt: interceptable(sidt),
  undefined: (cpu) => cpu.raise(UD, -1, 'undefined opcode'),
};
