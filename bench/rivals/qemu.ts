/** QEMU with its translator (TCG), one thread. */

import type { Contestant } from '../race.ts';
import { findProgram } from './find.ts';

export function qemu(): Contestant | string {
  const path = findProgram('qemu-system-i386');
  if (path === null) return 'qemu-system-i386 is not installed';
  return {
    name: 'qemu',
    launch: (image) => ({
      command: [
        path,
        ...['-accel', 'tcg,thread=single', '-m', '64', '-net', 'none', '-no-reboot'],
        ...['-display', 'none', '-vga', 'none', '-monitor', 'none', '-serial', 'stdio'],
        ...['-device', 'isa-debug-exit,iobase=0xf4,iosize=4', '-kernel', image.file],
      ],
      serial: 'stdout',
    }),
  };
}
