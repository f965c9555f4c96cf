/** Kernel images from files: binaries as they are, assembly source assembled on the spot, packaged guests by their name. */

import { existsSync, readdirSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { type Assembled, assemble } from '../asm/index.ts';
import { InvalidInput } from '../base/errors.ts';
import { isElf } from '../machine/loader/elf32.ts';
import type { ImageSymbol } from '../machine/loader/image.ts';
import { findMultibootHeader } from '../machine/loader/multiboot.ts';
import { type ImageOptions, planImage } from '../machine/loader/plan.ts';
import { isFile, packageFolder, readBytes, readFirst } from './files.ts';

export interface Kernel extends ImageOptions {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly symbols: readonly ImageSymbol[];
}

const SECTOR = 512;
const BOOT_SIGNATURE = 0xaa55;

/** The kernel that IMAGE names, checked as far as possible without memory. Throws InvalidInput. */
export function loadKernel(image: string, options: ImageOptions = {}): Kernel {
  const path = resolveImage(image);
  const name = basename(path) === 'kernel.asm' ? basename(dirname(path)) : basename(path);
  const kernel = /\.(asm|nasm|s)$/i.test(path)
    ? assembledKernel(path, name, options)
    : binaryKernel(path, name, readBytes(path), options);
  try {
    const plan = planImage(kernel.bytes, kernel);
    return kernel.symbols.length > 0 ? kernel : { ...kernel, symbols: plan.symbols };
  } catch (error) {
    throw error instanceof InvalidInput ? new InvalidInput(`${image}: ${error.message}`) : error;
  }
}

/** A path that exists, or the source of a packaged guest. */
function resolveImage(image: string): string {
  if (existsSync(image)) return image;
  if (!/^[\w-]+$/.test(image)) throw new InvalidInput(`cannot read ${image}: there is no such file`);
  const guests = join(packageFolder(), 'guests');
  const source = join(guests, image, 'kernel.asm');
  if (isFile(source)) return source;
  const names = readdirSync(guests).filter((name) => isFile(join(guests, name, 'kernel.asm')));
  throw new InvalidInput(`there is neither a file nor a guest '${image}'; guests are: ${names.join(', ')}`);
}

function assembledKernel(path: string, name: string, options: ImageOptions): Kernel {
  const { bytes, origin, symbols } = assembleFile(path);
  const end = origin + bytes.length;
  const labels = [...symbols]
    .filter(([, address]) => address >= origin && address < end)
    .map(([label, address]) => ({ name: label, address, size: 0 }));
  const isFlat = findMultibootHeader(bytes) < 0 && options.load === undefined && options.real === undefined;
  const placed = isFlat && origin !== 0 && !isBootSector(bytes) ? { load: origin } : {};
  return { name, bytes, symbols: labels, ...bootSector(bytes), ...placed, ...options };
}

function binaryKernel(path: string, name: string, bytes: Uint8Array, options: ImageOptions): Kernel {
  const isRaw = options.load !== undefined || options.entry !== undefined || options.real === true;
  if (!isRaw && !isElf(bytes) && findMultibootHeader(bytes) < 0) refuse(path, bytes);
  return { name, bytes, symbols: [], ...bootSector(bytes), ...options };
}

/** One sector with the signature of a boot sector starts in real mode. */
const isBootSector = (bytes: Uint8Array): boolean =>
  bytes.length === SECTOR && (bytes[510] | (bytes[511] << 8)) === BOOT_SIGNATURE && findMultibootHeader(bytes) < 0;
const bootSector = (bytes: Uint8Array): ImageOptions => (isBootSector(bytes) ? { real: true } : {});

const FOREIGN: readonly (readonly [string, string])[] = [
  ['\x1f\x8b', 'a gzip archive: unpack it first'],
  ['\xfd7zXZ', 'an xz archive: unpack it first'],
  ['PK\x03\x04', 'a zip archive: unpack it first'],
  ['\x89PNG', 'a picture: name a kernel'],
  ['MZ', 'a Windows or EFI program: name a multiboot kernel'],
  ['#!', 'a script: name a kernel'],
];

/** Anything could be a flat binary; these are certainly none. */
function refuse(path: string, bytes: Uint8Array): void {
  const start = String.fromCharCode(...bytes.subarray(0, 8));
  const foreign = FOREIGN.find(([magic]) => start.startsWith(magic));
  if (foreign !== undefined) throw new InvalidInput(`${path} is ${foreign[1]}`);
  const isText = bytes.length > 0 && bytes.every((b) => (b >= 0x20 && b !== 0x7f) || (b >= 9 && b <= 13));
  if (isText)
    throw new InvalidInput(`${path} is text, not a kernel: name it .asm to have it assembled, or load it with --load`);
}

export interface AssembleFileOptions {
  readonly defines?: Readonly<Record<string, string | number>>;
  /** Further folders for %include and incbin. */
  readonly includes?: readonly string[];
}

/** Assembles a file. Includes are looked for beside the file, in the given folders, in `include` beside it and above it. */
export function assembleFile(path: string, options: AssembleFileOptions = {}): Assembled {
  const source = new TextDecoder().decode(readBytes(path));
  const home = dirname(path);
  const folders = [home, ...(options.includes ?? []), join(home, 'include'), join(home, '..', 'include')];
  const find = (name: string): Uint8Array | null => readFirst(folders.map((folder) => join(folder, name)));
  return assemble(source, {
    file: path,
    ...(options.defines ? { defines: options.defines } : {}),
    include: (name) => {
      const found = find(name);
      return found === null ? null : new TextDecoder().decode(found);
    },
    includeBinary: find,
  });
}
