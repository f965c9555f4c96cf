/** The multiboot information structure.
 *  Reference: "Multiboot Specification version 0.6.96", section 3.3, "Boot information format". */

import { InvalidInput } from '../../base/errors.ts';

/** EAX at the entry. */
export const BOOT_MAGIC = 0x2bad_b002;
/** Where the structure, its lists and strings lie: below everything that kernels load. */
export const INFO_AT = 0x9000;
const INFO_LIMIT = 0x1_0000;
const INFO_BYTES = 116;
const MODULE_BYTES = 16;

// Flags: which fields are valid
const HAS_MEMORY = 0x1;
const HAS_COMMAND_LINE = 0x4;
const HAS_MODULES = 0x8;
const HAS_MEMORY_MAP = 0x40;
const HAS_LOADER_NAME = 0x200;

const AVAILABLE = 1;
const RESERVED = 2;

const LOWER_END = 0xa_0000;
const UPPER_START = 0x10_0000;

export interface PlacedModule {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

/** Text as bytes; what is not Latin-1 becomes a question mark. */
const ascii = (text: string): number[] => [...text].map((c) => (c.charCodeAt(0) < 256 ? c.charCodeAt(0) : 0x3f));

/** The bytes that go to INFO_AT. Throws InvalidInput when they do not fit. */
export function multibootInfo(memoryBytes: number, commandLine: string, modules: readonly PlacedModule[]): Uint8Array {
  const out = new Uint8Array(INFO_LIMIT - INFO_AT);
  const v = new DataView(out.buffer);
  let end = INFO_BYTES;
  const reserve = (bytes: number): number => {
    const at = end;
    end += (bytes + 3) & ~3;
    if (end > out.length) {
      throw new InvalidInput('the command line and the module list need more than 28 KiB: shorten them');
    }
    return at;
  };
  const text = (s: string): number => {
    const bytes = ascii(s);
    const at = reserve(bytes.length + 1);
    out.set(bytes, at);
    return INFO_AT + at;
  };

  const ranges = [
    [0, LOWER_END, AVAILABLE],
    [LOWER_END, UPPER_START, RESERVED],
    [UPPER_START, memoryBytes, AVAILABLE],
  ];
  const map = reserve(ranges.length * 24);
  ranges.forEach(([from, to, type], i) => {
    const at = map + i * 24;
    v.setUint32(at, 20, true); // size of the entry without this field
    v.setUint32(at + 4, from, true);
    v.setUint32(at + 12, to - from, true);
    v.setUint32(at + 20, type, true);
  });

  const list = reserve(modules.length * MODULE_BYTES);
  modules.forEach((module, i) => {
    const at = list + i * MODULE_BYTES;
    v.setUint32(at, module.start, true);
    v.setUint32(at + 4, module.end, true);
    v.setUint32(at + 8, text(module.text), true);
  });

  const flags = HAS_MEMORY | HAS_COMMAND_LINE | HAS_MODULES | HAS_MEMORY_MAP | HAS_LOADER_NAME;
  const fields = {
    0: flags,
    4: LOWER_END >> 10, // mem_lower, KiB
    8: (memoryBytes - UPPER_START) >> 10, // mem_upper, KiB
    16: text(commandLine),
    20: modules.length,
    24: INFO_AT + list,
    44: ranges.length * 24, // mmap_length
    48: INFO_AT + map, // mmap_addr
    64: text('ringlet'), // boot_loader_name
  };
  for (const [at, value] of Object.entries(fields)) v.setUint32(Number(at), value, true);
  return out.subarray(0, end);
}
