/** ringlet itself, by the ways in which it runs an image. */

import { program } from '../build.ts';
import type { Contestant } from '../race.ts';
import type { Way } from '../ways.ts';

export const ringlet = (way: Way, name: string = way): Contestant => ({
  name,
  launch: (image) => ({ command: [process.execPath, program('driver'), way, image.file], serial: 'stdout' }),
});
