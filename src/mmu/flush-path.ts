/** The table entries behind a translation, as they were when they were last found right, and what has become of them. */
import type { PageWalkStep } from './observer.ts';
import type { PhysicalMemory } from './physical-memory.ts';

/** When and where something happened. */
export interface Place {
  /** Instructions retired. */
  readonly instructions: number;
  /** Of the instruction; −1: none was executing, root-mode software acted through its port. */
  readonly eip: number;
  readonly nonRoot: boolean;
}

export interface Path {
  readonly vpid: number;
  readonly eptrta: number;
  /** Linear page. */
  readonly page: number;
  readonly steps: readonly PageWalkStep[];
  /** Frame of the first table. */
  readonly root: number;
  readonly global: boolean;
  /** What may still be cached of it: the translation, the guest's entries above the last, what EPT makes of addresses. */
  linear: boolean;
  upper: boolean;
  ept: boolean;
}

/** A table entry that is another than it was. */
export interface ChangedEntry {
  readonly format: string;
  readonly level: number;
  readonly at: number;
  readonly low: number;
  readonly high: number;
  readonly wasLow: number;
  readonly wasHigh: number;
}

const EPT = 'EPT';
/** Accessed and dirty flags. Set by the processor, which is no change; if software clears D, the next write has to be seen. */
const flagsOf = (format: string): readonly [accessed: number, dirty: number] =>
  format === EPT ? [0x100, 0x200] : [0x20, 0x40];

function isChanged(step: PageWalkStep, low: number, high: number): boolean {
  const [accessed, dirty] = flagsOf(step.format);
  const difference = (step.low ^ low) & ~accessed;
  if ((difference & ~dirty) !== 0 || high !== step.high) return true;
  return (difference & dirty) !== 0 && (low & dirty) === 0;
}

/** Bits that only give rights: R/W; R, W and X of EPT. U/S is none of them: under SMEP and SMAP it takes rights away. */
const rightsOf = (format: string): number => (format === EPT ? 0x7 : 0x2);
const NX = 0x8000_0000 | 0;

/** Whether what is cached of the entry has to go: not if all that happened is that it gives more rights (SDM Vol. 3, "Optional
 *  Invalidation"). */
function takesAway(step: PageWalkStep, low: number, high: number): boolean {
  const given = low & ~step.low & rightsOf(step.format);
  const executable = step.format !== EPT && (step.high & NX) !== 0 ? high | NX : high;
  return isChanged(step, low & ~given, executable);
}

/** Entries of 4 bytes have no high word. */
const highNow = (memory: PhysicalMemory, step: PageWalkStep): number =>
  step.format.startsWith('IA-32') ? 0 : memory.peek32(step.at + 4);

/** Whether some entry of the path, of those chosen, is another by now, and gives more than rights. */
export function differs(memory: PhysicalMemory, path: Path, which: 'all' | 'upper' | 'ept'): boolean {
  return path.steps.some((step) => {
    if (which === 'ept' && step.format !== EPT) return false;
    if (which === 'upper' && step.format !== EPT && step.level === 1) return false;
    return takesAway(step, memory.peek32(step.at), highNow(memory, step));
  });
}

/** The first entry of the present walk, from the root down, that the path had otherwise. */
export function firstChange(path: Path, now: readonly PageWalkStep[]): ChangedEntry | null {
  for (const step of now) {
    const old = path.steps.find((s) => s.at === step.at);
    if (old === undefined || !isChanged(old, step.low, step.high)) continue;
    const { format, level, at, low, high } = step;
    return { format, level, at, low, high, wasLow: old.low, wasHigh: old.high };
  }
  return null;
}

/** Frames with entries of the path. */
export const touchedFrames = (path: Path): Set<number> => new Set(path.steps.map((s) => Math.floor(s.at / 4096)));
