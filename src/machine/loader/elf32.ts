/** ELF executables for the 386: program headers and symbols.
 *  Reference: "Tool Interface Standard (TIS) Executable and Linking Format", version 1.2, book I. */

import { InvalidInput } from '../../base/errors.ts';
import { hex } from '../../base/int.ts';
import type { ImageSymbol, Segment } from './image.ts';

// ELF header
const E_TYPE = 16;
const E_MACHINE = 18;
const E_ENTRY = 24;
const E_PHOFF = 28;
const E_SHOFF = 32;
const E_PHENTSIZE = 42;
const E_PHNUM = 44;
const E_SHENTSIZE = 46;
const E_SHNUM = 48;
const HEADER_BYTES = 52;
const ET_EXEC = 2;
const EM_386 = 3;
const ELFCLASS32 = 1;
const ELFDATA2LSB = 1;

// Program header
const PT_LOAD = 1;
const PROGRAM_HEADER_BYTES = 32;

// Section header and symbol
const SHT_SYMTAB = 2;
const SECTION_HEADER_BYTES = 40;
const SYMBOL_BYTES = 16;
const SHN_UNDEF = 0;
const STT_SECTION = 3; // and above: no names of code or data

/** Bounds for what a hostile file can make us do. */
const MAX_SYMBOLS = 0x4_0000;
const MAX_NAME = 200;

export const isElf = (file: Uint8Array): boolean =>
  file.length >= 4 && file[0] === 0x7f && file[1] === 0x45 && file[2] === 0x4c && file[3] === 0x46;

const view = (file: Uint8Array): DataView => new DataView(file.buffer, file.byteOffset, file.byteLength);

/** Loadable segments at their physical addresses, and the entry point as a physical address. */
export function elfSegments(file: Uint8Array): { segments: Segment[]; entry: number } {
  if (file.length < HEADER_BYTES)
    throw new InvalidInput('the ELF header is cut off: the file is truncated, copy it again');
  if (file[4] !== ELFCLASS32 || file[5] !== ELFDATA2LSB) {
    throw new InvalidInput('the kernel is not a 32-bit little-endian ELF file: build it for i386 (-m32)');
  }
  const elf = view(file);
  if (elf.getUint16(E_MACHINE, true) !== EM_386) {
    throw new InvalidInput(`the ELF file is for machine ${elf.getUint16(E_MACHINE, true)}: build it for i386 (3)`);
  }
  if (elf.getUint16(E_TYPE, true) !== ET_EXEC) {
    throw new InvalidInput(
      'the ELF file is not an executable at fixed addresses: link it without -r, -shared and -pie',
    );
  }
  const at = elf.getUint32(E_PHOFF, true);
  const size = elf.getUint16(E_PHENTSIZE, true);
  const count = elf.getUint16(E_PHNUM, true);
  if (count === 0) throw new InvalidInput('the ELF file has no program headers: link it, do not pass an object file');
  if (size < PROGRAM_HEADER_BYTES || at + count * size > file.length) {
    throw new InvalidInput('the ELF program headers are cut off: the file is truncated, copy it again');
  }

  const segments: Segment[] = [];
  const virtual = elf.getUint32(E_ENTRY, true);
  let entry: number | null = null;
  for (let i = 0; i < count; i++) {
    const header = at + i * size;
    const [type, offset, vaddr, paddr, fileBytes, length] = [0, 4, 8, 12, 16, 20].map((o) =>
      elf.getUint32(header + o, true),
    );
    if (type !== PT_LOAD || length === 0) continue;
    if (fileBytes > length)
      throw new InvalidInput(`ELF segment ${i} has more bytes in the file than in memory: link again`);
    if (offset + fileBytes > file.length) {
      throw new InvalidInput(`ELF segment ${i} is cut off: the file is truncated, copy it again`);
    }
    segments.push({ at: paddr, bytes: file.subarray(offset, offset + fileBytes), length });
    if (virtual >= vaddr && virtual < vaddr + length) entry = virtual - vaddr + paddr;
  }
  refuseOverlap(segments);
  return { segments, entry: entry ?? virtual };
}

function refuseOverlap(segments: readonly Segment[]): void {
  const sorted = [...segments].sort((a, b) => a.at - b.at);
  for (let i = 1; i < sorted.length; i++) {
    const before = sorted[i - 1];
    if (before.at + before.length > sorted[i].at) {
      throw new InvalidInput(`two ELF segments overlap at ${hex(sorted[i].at)}: correct the linker script`);
    }
  }
}

/** Symbols of an ELF file, sorted by address; as far as they can be read, because nothing depends on them. */
export function elfSymbols(file: Uint8Array): ImageSymbol[] {
  if (!isElf(file) || file.length < HEADER_BYTES || file[4] !== ELFCLASS32 || file[5] !== ELFDATA2LSB) return [];
  const elf = view(file);
  const sections = elf.getUint32(E_SHOFF, true);
  const size = elf.getUint16(E_SHENTSIZE, true);
  const count = elf.getUint16(E_SHNUM, true);
  if (size < SECTION_HEADER_BYTES || sections + count * size > file.length) return [];
  const section = (i: number): { type: number; at: number; bytes: number; link: number } => {
    const [type, at, bytes, link] = [4, 16, 20, 24].map((o) => elf.getUint32(sections + i * size + o, true));
    return { type, at, bytes, link };
  };

  for (let i = 0; i < count; i++) {
    const table = section(i);
    if (table.type !== SHT_SYMTAB || table.at + table.bytes > file.length || table.link >= count) continue;
    const names = section(table.link);
    if (names.at + names.bytes > file.length) continue;
    const found: ImageSymbol[] = [];
    const symbols = Math.min(Math.floor(table.bytes / SYMBOL_BYTES), MAX_SYMBOLS);
    for (let n = 0; n < symbols; n++) {
      const at = table.at + n * SYMBOL_BYTES;
      const name = nameAt(file, names.at + elf.getUint32(at, true), names.at + names.bytes);
      if (name === '' || (elf.getUint8(at + 12) & 15) >= STT_SECTION || elf.getUint16(at + 14, true) === SHN_UNDEF)
        continue;
      found.push({ name, address: elf.getUint32(at + 4, true), size: elf.getUint32(at + 8, true) });
    }
    return found.sort((a, b) => a.address - b.address);
  }
  return [];
}

function nameAt(file: Uint8Array, at: number, limit: number): string {
  let name = '';
  for (let i = at; i < limit && file[i] !== 0 && name.length < MAX_NAME; i++) name += String.fromCharCode(file[i]);
  return name;
}
