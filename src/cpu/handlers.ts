/** All handlers by the name of their semantics. */

import { Unimplemented } from '../base/errors.ts';
import { GP } from '../base/signal.ts';
import type { Cpu } from './cpu.ts';
import { farHandlers } from './far/index.ts';
import { integerHandlers } from './integer/index.ts';
import type { Handler } from './rows.ts';
import { stringHandlers } from './string/index.ts';
import { systemHandlers } from './system/index.ts';
import { intercepted } from './system/privilege.ts';

export const handlers: Readonly<Record<string, Handler<Cpu>>> = {
  ...farHandlers,
  ...systemHandlers,
  ...stringHandlers,
  ...integerHandlers,
  unimplemented: (cpu, i) => {
    if (intercepted(cpu, i)) return; // what a hypervisor takes over need not exist here
    throw new Unimplemented(i.row.feature);
  },
  tooLong: (cpu) => cpu.raise(GP, 0, 'instruction longer than 15 bytes'),
};
