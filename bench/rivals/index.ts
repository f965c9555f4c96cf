/** Whom ringlet's interpreter is compared with. */

import type { ImageMaker } from '../images.ts';
import type { Options } from '../options.ts';
import type { Contestant } from '../race.ts';
import { bochs } from './bochs.ts';
import { qemu } from './qemu.ts';
import { v86 } from './v86.ts';

/** The rivals that are installed and wanted; `tell` hears of each one that is left out. */
export function rivals(options: Options, maker: ImageMaker, tell: (line: string) => void): Contestant[] {
  const all: readonly (readonly [string, () => Contestant | string])[] = [
    ['v86-nojit', () => v86(options.v86, false)],
    ['bochs', () => bochs(maker)],
    ['v86', () => v86(options.v86, true)],
    ['qemu', () => qemu()],
    ...options.peers.map(({ name, command }) => [name, () => commandLine(name, command)] as const),
  ];
  return all.flatMap(([name, make]) => {
    if (options.rivals !== null && !options.rivals.includes(name)) return [];
    const rival = make();
    if (typeof rival !== 'string') return [rival];
    tell(`${name}: left out: ${rival}`);
    return [];
  });
}

const commandLine = (name: string, command: string): Contestant => ({
  name,
  launch: (image) => ({
    command: ['sh', '-c', `exec ${command.replaceAll('{image}', image.file)}`],
    serial: 'stdout',
  }),
});
