/** Recognises an image by its content. */

import { InvalidInput } from '../../base/errors.ts';
import { hex } from '../../base/int.ts';
import { isElf } from './elf32.ts';
import type { ImagePlan } from './image.ts';
import { findMultibootHeader, planMultiboot } from './multiboot.ts';

export interface ImageOptions {
  /** Take the image for a flat binary and load it here. @defaultValue 100000h for what is nothing else */
  readonly load?: number;
  /** Entry of a flat binary. @defaultValue where it is loaded */
  readonly entry?: number;
  /** Start a flat binary in real mode. @defaultValue false; then `load` is 7C00h */
  readonly real?: boolean;
}

const DEFAULT_LOAD = 0x10_0000;
const BOOT_SECTOR = 0x7c00;
const REAL_MODE_LIMIT = 0x1_0000;
const BZIMAGE_MAGIC_AT = 0x202;

/** The plan for an image. Throws InvalidInput with one line that says what is wrong and what to change. */
export function planImage(file: Uint8Array, options: ImageOptions = {}): ImagePlan {
  if (file.length === 0) throw new InvalidInput('the image is empty: give a kernel');
  if (options.real === true || options.load !== undefined) return planFlat(file, options);
  const header = findMultibootHeader(file);
  if (header >= 0) return planMultiboot(file, header);
  if (isElf(file)) {
    throw new InvalidInput(
      'the ELF file has no multiboot header in its first 8192 bytes: add one, or make a flat binary with objcopy -O binary',
    );
  }
  const magic = file.subarray(BZIMAGE_MAGIC_AT, BZIMAGE_MAGIC_AT + 4);
  if (String.fromCharCode(...magic) === 'HdrS') {
    throw new InvalidInput('the image is a Linux bzImage, which cannot be loaded yet: use a multiboot kernel');
  }
  return planFlat(file, options);
}

function planFlat(file: Uint8Array, options: ImageOptions): ImagePlan {
  const real = options.real === true;
  const load = options.load ?? (real ? BOOT_SECTOR : DEFAULT_LOAD);
  const entry = options.entry ?? load;
  for (const [name, value] of Object.entries({ load, entry })) {
    if (!Number.isInteger(value) || value < 0 || value > 0xffff_ffff) {
      throw new InvalidInput(`--${name} is ${value}: give an address from 0 to FFFF_FFFFh`);
    }
  }
  if (real && entry >= REAL_MODE_LIMIT) {
    throw new InvalidInput(`--entry ${hex(entry)} cannot be reached with CS = 0 in real mode: choose one below 10000h`);
  }
  return {
    format: real ? 'real' : 'flat',
    segments: [{ at: load, bytes: file, length: file.length }],
    entry,
    entryState: real ? 'real' : 'flat',
    symbols: [],
  };
}
