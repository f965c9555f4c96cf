/** All handlers by the name of their semantics. */

import { Unimplemented } from '../base/errors.ts';
import { GP } from '../base/signal.ts';
import type { Cpu } from './cpu.ts';
import { farHandlers } from './far/index.ts';
import { integerHandlers } from './integer/index.ts';
import type { Handler } from './rows.ts';
import { stringHandlers } from './string/index.ts';
import { systemHandlers } from './system/index.ts';

export const handlers: Readonly<Record<string, Handler<Cpu>>> = {
  ...farHandlers,
  ...systemHandlers,
  ...stringHandlers,
  ...integerHandlers,
  unimplemented: (_, i) => {
    throw new Unimplemented(i.row.feature);
  },
  tooLong: (cpu) => cpu.raise(GP, 0, 'instruction longer than 15 bytes'),
};
