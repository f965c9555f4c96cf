/** Arithmetic flags by name, for masks and messages. */

export const FLAGS = { CF: 0x1, PF: 0x4, AF: 0x10, ZF: 0x40, SF: 0x80, OF: 0x800 } as const;

export const ALL_FLAGS = 0x8d5;

/** Compares the flags in `compared`. A difference outside `defined` is forgiven, by the flag's name. */
export function compareFlags(
  actual: number,
  expected: number,
  defined: number,
  compared: number,
): { difference: string | null; forgiven: string[] } {
  const wrong = (actual ^ expected) & compared;
  const bad = wrong & defined;
  return {
    difference:
      bad === 0 ? null : `flags ${hex(actual)} instead of ${hex(expected)} (${names(bad).join(' ') || hex(bad)})`,
    forgiven: names(wrong & ~defined),
  };
}

const names = (bits: number): string[] =>
  Object.entries(FLAGS)
    .filter(([, bit]) => (bits & bit) !== 0)
    .map(([name]) => name);

const hex = (n: number): string => `${(n >>> 0).toString(16).toUpperCase().padStart(4, '0')}h`;
