/** Task-state segments in memory: where each register stands in the 32-bit and in the 16-bit format (SDM Vol. 3, "Task-State
 *  Segment (TSS)", "16-Bit Task-State Segment (TSS)"). No rules, only layout. */

/** Offsets in a TSS. General registers follow each other in the order of their numbers, segment registers in theirs. */
export interface TssLayout {
  /** Bytes of a general register. */
  readonly width: 2 | 4;
  /** The smallest limit that holds all that a switch reads. */
  readonly limit: number;
  /** Last byte of what a switch away from the task writes, which starts at EIP. */
  readonly lastSaved: number;
  /** −1: the format has no such field. */
  readonly cr3: number;
  readonly eip: number;
  readonly eflags: number;
  readonly general: number;
  readonly segments: number;
  /** Bytes from one selector to the next. */
  readonly apart: 2 | 4;
  /** ES CS SS DS, and FS GS in the 32-bit format. */
  readonly segmentCount: 4 | 6;
  readonly ldt: number;
  /** The word with the debug trap flag, −1 if there is none. */
  readonly trap: number;
}

export const TSS32: TssLayout = {
  width: 4,
  limit: 0x67,
  lastSaved: 0x5f,
  cr3: 0x1c,
  eip: 0x20,
  eflags: 0x24,
  general: 0x28,
  segments: 0x48,
  apart: 4,
  segmentCount: 6,
  ldt: 0x60,
  trap: 0x64,
};

export const TSS16: TssLayout = {
  width: 2,
  limit: 0x2b,
  lastSaved: 0x29,
  cr3: -1,
  eip: 0x0e,
  eflags: 0x10,
  general: 0x12,
  segments: 0x22,
  apart: 2,
  segmentCount: 4,
  ldt: 0x2a,
  trap: -1,
};

/** The format that a TSS descriptor's type, or TR's, tells: bit 3 is set in those of the 386. */
export const layoutOf = (access: number): TssLayout => (access & 8 ? TSS32 : TSS16);

/** What a switch takes from a TSS. */
export interface TaskState {
  /** Null in a 16-bit TSS. */
  readonly cr3: number | null;
  readonly eip: number;
  readonly eflags: number;
  /** By register number. */
  readonly general: readonly number[];
  /** ES CS SS DS FS GS. */
  readonly selectors: readonly number[];
  readonly ldt: number;
  /** The debug trap flag T. */
  readonly trap: boolean;
}

/** How a TSS is reached: implicit supervisor accesses on the processor, walks of the guest's tables in a hypervisor. */
export interface TssMemory {
  read16(linear: number): number;
  read32(linear: number): number;
  write16(linear: number, value: number): void;
  write32(linear: number, value: number): void;
}

/** Bits of EFLAGS that a TSS can set: those that exist. */
export const TASK_FLAGS = 0x3f_7fd5;

/** Upper halves of general registers that a 16-bit TSS does not hold: the manual leaves them open, processors set them. */
const UPPER_HALF = 0xffff_0000 | 0;

/** Reads the state of a task. */
export function readTask(memory: TssMemory, base: number, t: TssLayout): TaskState {
  const at = (offset: number): number => (base + offset) >>> 0;
  const register = (offset: number): number =>
    t.width === 4 ? memory.read32(at(offset)) | 0 : memory.read16(at(offset)) & 0xffff;
  const general = Array.from({ length: 8 }, (_, n) => register(t.general + n * t.width));
  return {
    cr3: t.cr3 < 0 ? null : memory.read32(at(t.cr3)) | 0,
    eip: register(t.eip),
    eflags: register(t.eflags),
    general: t.width === 4 ? general : general.map((value) => value | UPPER_HALF),
    selectors: Array.from({ length: 6 }, (_, n) =>
      n < t.segmentCount ? memory.read16(at(t.segments + n * t.apart)) & 0xffff : 0,
    ),
    ldt: memory.read16(at(t.ldt)) & 0xffff,
    trap: t.trap >= 0 && (memory.read16(at(t.trap)) & 1) !== 0,
  };
}

/** Writes the registers that change while a task runs: all but CR3, LDTR, T and the stacks of inner rings. */
export function writeTask(
  memory: TssMemory,
  base: number,
  t: TssLayout,
  state: Pick<TaskState, 'eip' | 'eflags' | 'general' | 'selectors'>,
): void {
  const write = (offset: number, value: number): void => {
    if (t.width === 4) memory.write32((base + offset) >>> 0, value);
    else memory.write16((base + offset) >>> 0, value & 0xffff);
  };
  write(t.eip, state.eip);
  write(t.eflags, state.eflags);
  state.general.forEach((value, n) => {
    write(t.general + n * t.width, value);
  });
  for (let n = 0; n < t.segmentCount; n++)
    memory.write16((base + t.segments + n * t.apart) >>> 0, state.selectors[n] as number);
}
