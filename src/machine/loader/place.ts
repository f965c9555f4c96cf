/** Puts a planned image into memory and says how the processor starts. */

import { InvalidInput } from '../../base/errors.ts';
import { hex } from '../../base/int.ts';
import { type EntryRegisters, flatEntry, realEntry } from './entry.ts';
import { endOf, type ImagePlan } from './image.ts';
import { BOOT_MAGIC, INFO_AT, multibootInfo, type PlacedModule } from './multiboot-info.ts';

/** Memory that an image is placed into: a machine's, or a guest's that lies scattered in it. */
export interface ImageMemory {
  readonly bytes: number;
  writeBytes(at: number, bytes: Uint8Array): void;
}

export interface PlaceOptions {
  /** What the kernel finds as its command line. @defaultValue '' */
  readonly commandLine?: string;
  /** Multiboot modules, in order. @defaultValue none */
  readonly modules?: readonly { readonly bytes: Uint8Array; readonly commandLine?: string }[];
}

const PAGE = 4096;
const MEGABYTE = 0x10_0000;
const ZEROS = new Uint8Array(0x1_0000);
const KIB = 1024;

/** Writes the image, modules and boot information; returns the registers at the first instruction.
 *  Throws InvalidInput, before anything is written, when it does not fit. */
export function placeImage(plan: ImagePlan, memory: ImageMemory, options: PlaceOptions = {}): EntryRegisters {
  const modules = options.modules ?? [];
  const commandLine = options.commandLine ?? '';
  checkFits(plan, memory.bytes);
  if (plan.entryState !== 'multiboot' && modules.length > 0) {
    throw new InvalidInput('only a multiboot kernel can be given modules: drop them, or add a multiboot header');
  }

  const placed = placeModules(modules, Math.max(endOf(plan), MEGABYTE), memory.bytes);
  const info = plan.entryState === 'multiboot' ? multibootInfo(memory.bytes, commandLine, placed) : null;
  if (info !== null) refuseOverInfo(plan, info.length);

  for (const segment of plan.segments) {
    memory.writeBytes(segment.at, segment.bytes);
    for (let at = segment.at + segment.bytes.length, end = segment.at + segment.length; at < end; at += ZEROS.length) {
      memory.writeBytes(at, ZEROS.subarray(0, Math.min(ZEROS.length, end - at)));
    }
  }
  placed.forEach((module, i) => {
    memory.writeBytes(module.start, modules[i].bytes);
  });
  if (plan.entryState === 'real') return realEntry(plan.entry);
  if (info === null) return flatEntry(plan.entry, 0, 0);
  memory.writeBytes(INFO_AT, info);
  return flatEntry(plan.entry, BOOT_MAGIC, INFO_AT);
}

function checkFits(plan: ImagePlan, bytes: number): void {
  if (plan.segments.length === 0) throw new InvalidInput('the image loads nothing: it has no loadable segment');
  const end = endOf(plan);
  if (end > bytes) {
    throw new InvalidInput(
      `the image reaches up to ${hex(end)} but memory ends at ${hex(bytes)}: give at least ${Math.ceil(end / KIB)} KiB of memory`,
    );
  }
  if (plan.entryState === 'multiboot' && bytes < 2 * MEGABYTE) {
    throw new InvalidInput(`${bytes / KIB} KiB are too little memory for a multiboot kernel: give at least 2 MiB`);
  }
  if (!plan.segments.some((s) => plan.entry >= s.at && plan.entry < s.at + s.length)) {
    throw new InvalidInput(`the entry ${hex(plan.entry)} lies outside what the image loads: correct the entry point`);
  }
}

/** Page-aligned, behind the kernel. */
function placeModules(
  modules: readonly { readonly bytes: Uint8Array; readonly commandLine?: string }[],
  from: number,
  memoryBytes: number,
): PlacedModule[] {
  let at = from;
  return modules.map((module, i) => {
    const start = Math.ceil(at / PAGE) * PAGE;
    at = start + module.bytes.length;
    if (at > memoryBytes) {
      throw new InvalidInput(
        `module ${i} reaches up to ${hex(at)} but memory ends at ${hex(memoryBytes)}: give more memory`,
      );
    }
    return { start, end: at, text: module.commandLine ?? '' };
  });
}

function refuseOverInfo(plan: ImagePlan, bytes: number): void {
  for (const { at, length } of plan.segments) {
    if (at < INFO_AT + bytes && INFO_AT < at + length) {
      throw new InvalidInput(
        `the kernel covers ${hex(INFO_AT)} to ${hex(INFO_AT + bytes)}, where the boot information goes: link it at 1 MiB`,
      );
    }
  }
}
