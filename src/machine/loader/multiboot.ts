/** Multiboot version 1: the header in the image, and the information structure that the kernel finds in EBX.
 *  Reference: "Multiboot Specification version 0.6.96", sections 3.1 and 3.3. */

import { InvalidInput } from '../../base/errors.ts';
import { hex } from '../../base/int.ts';
import { elfSegments, elfSymbols, isElf } from './elf32.ts';
import type { ImagePlan, Segment } from './image.ts';

const HEADER_MAGIC = 0x1bad_b002;
/** The header lies within the first 8192 bytes, on a doubleword. */
const SEARCH_BYTES = 8192;

// Header fields
const FLAGS = 4;
const CHECKSUM = 8;
const HEADER_ADDR = 12;
const LOAD_ADDR = 16;
const LOAD_END_ADDR = 20;
const BSS_END_ADDR = 24;
const ENTRY_ADDR = 28;
const SHORT_HEADER = 12;
const LONG_HEADER = 32;

// Header flags. Bits 15:0 are demands that a loader must refuse when it does not know them.
const PAGE_ALIGN = 0x1;
const MEMORY_INFO = 0x2;
const VIDEO_MODE = 0x4; // there is no screen: the kernel learns that from the information structure
const ADDRESS_FIELDS = 0x1_0000;
const KNOWN_DEMANDS = PAGE_ALIGN | MEMORY_INFO | VIDEO_MODE;

/** Offset of the multiboot header, −1 if the file has none. */
export function findMultibootHeader(file: Uint8Array): number {
  const v = new DataView(file.buffer, file.byteOffset, file.byteLength);
  for (let at = 0; at + SHORT_HEADER <= Math.min(file.length, SEARCH_BYTES); at += 4) {
    if (v.getUint32(at, true) !== HEADER_MAGIC) continue;
    if ((HEADER_MAGIC + v.getUint32(at + FLAGS, true) + v.getUint32(at + CHECKSUM, true)) >>> 0 === 0) return at;
  }
  return -1;
}

/** What to load where, for a file whose header is at `header`. */
export function planMultiboot(file: Uint8Array, header: number): ImagePlan {
  const flags = new DataView(file.buffer, file.byteOffset, file.byteLength).getUint32(header + FLAGS, true);
  const unknown = flags & 0xffff & ~KNOWN_DEMANDS;
  if (unknown) {
    throw new InvalidInput(
      `the multiboot header demands something unknown (flags ${hex(unknown, 4)}): clear those bits`,
    );
  }
  if (flags & ADDRESS_FIELDS) return planByFields(file, header);
  if (!isElf(file)) {
    throw new InvalidInput(
      'the multiboot header has no address fields and the file is not ELF: set flag 16 and the fields',
    );
  }
  const { segments, entry } = elfSegments(file);
  return { format: 'multiboot-elf', segments, entry, entryState: 'multiboot', symbols: elfSymbols(file) };
}

function planByFields(file: Uint8Array, header: number): ImagePlan {
  if (header + LONG_HEADER > file.length) {
    throw new InvalidInput('the multiboot header is cut off: the file is truncated, copy it again');
  }
  const v = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const field = (offset: number): number => v.getUint32(header + offset, true);
  // FFFFFFFFh: load the file from its beginning.
  const loadAddr = field(LOAD_ADDR) === 0xffff_ffff ? field(HEADER_ADDR) - header : field(LOAD_ADDR);
  const from = header - (field(HEADER_ADDR) - loadAddr);
  if (loadAddr < 0 || from < 0 || from > header) {
    throw new InvalidInput(
      `multiboot header_addr ${hex(field(HEADER_ADDR))} and load_addr ${hex(field(LOAD_ADDR))} do not fit the file: the header is at byte ${header}`,
    );
  }
  const inFile = field(LOAD_END_ADDR) === 0 ? file.length - from : field(LOAD_END_ADDR) - loadAddr;
  if (inFile < 0) throw new InvalidInput('multiboot load_end_addr lies before load_addr: correct the header');
  if (from + inFile > file.length) {
    throw new InvalidInput(
      `the file ends ${from + inFile - file.length} bytes before multiboot load_end_addr: it is truncated, copy it again`,
    );
  }
  const length = field(BSS_END_ADDR) === 0 ? inFile : field(BSS_END_ADDR) - loadAddr;
  if (length < inFile) throw new InvalidInput('multiboot bss_end_addr lies before load_end_addr: correct the header');
  const segment: Segment = { at: loadAddr, bytes: file.subarray(from, from + inFile), length };
  return {
    format: 'multiboot-fields',
    segments: [segment],
    entry: field(ENTRY_ADDR),
    entryState: 'multiboot',
    symbols: elfSymbols(file),
  };
}
