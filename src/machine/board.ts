/** What a board is made of, as data: devices, their ports and interrupt lines. The machine and every VM of the hypervisor
 *  make their own devices from the same description. */

/** One device of a board. `irq`: input of the interrupt controller pair, 0 to 15 without 2. */
export type DeviceDescription =
  | { readonly kind: 'pic'; readonly master: number; readonly slave: number; readonly elcr: number }
  | { readonly kind: 'pit'; readonly port: number; readonly systemControl: number; readonly irq: number }
  | { readonly kind: 'uart'; readonly port: number; readonly irq: number }
  | { readonly kind: 'debug-exit'; readonly port: number }
  | { readonly kind: 'power-off'; readonly port: number };

export interface BoardDescription {
  readonly name: string;
  readonly devices: readonly DeviceDescription[];
}

/** A PC as far as small kernels know it. The first serial port carries the console. */
export const PC: BoardDescription = {
  name: 'pc',
  devices: [
    { kind: 'pic', master: 0x20, slave: 0xa0, elcr: 0x4d0 },
    { kind: 'pit', port: 0x40, systemControl: 0x61, irq: 0 },
    { kind: 'uart', port: 0x3f8, irq: 4 },
    { kind: 'uart', port: 0x2f8, irq: 3 },
    { kind: 'debug-exit', port: 0xf4 },
    { kind: 'power-off', port: 0x604 },
  ],
};
