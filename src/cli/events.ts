/** Events in words. */

import { hex } from '../base/int.ts';
import type { ProcessorEvent } from '../cpu/monitor.ts';

const NAMES: Readonly<Record<number, string>> = {
  0: '#DE',
  1: '#DB',
  2: 'NMI',
  3: '#BP',
  4: '#OF',
  5: '#BR',
  6: '#UD',
  7: '#NM',
  8: '#DF',
  10: '#TS',
  11: '#NP',
  12: '#SS',
  13: '#GP',
  14: '#PF',
  16: '#MF',
  17: '#AC',
  18: '#MC',
};
const PAGE_FAULT = 14;
const EXTERNAL = 0;
const SOFTWARE = 4;

/** The event's name: `#PF`, `interrupt 32`, `INT 128`. */
export function eventName(event: ProcessorEvent): string {
  if (event.type === EXTERNAL) return `interrupt ${event.vector}`;
  if (event.type === SOFTWARE) return `INT ${event.vector}`;
  return NAMES[event.vector] ?? `exception ${event.vector}`;
}

/** Name, error code, fault address. */
export function eventText(event: ProcessorEvent): string {
  const code = event.errorCode >= 0 ? `, error code ${hex(event.errorCode, 4)}` : '';
  const isPageFault = event.type === 3 && event.vector === PAGE_FAULT;
  return `${eventName(event)}${code}${isPageFault ? `, address ${hex(event.address)}` : ''}`;
}
