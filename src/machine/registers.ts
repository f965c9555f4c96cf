/** Registers as a plain object with the manual's names. */

import {
  ACTIVITY,
  CPL,
  CR0,
  CR2,
  CR3,
  CR4,
  EIP,
  GDTR_BASE,
  GDTR_LIMIT,
  IDTR_BASE,
  IDTR_LIMIT,
  INTERRUPTIBILITY,
  SEG_ACCESS,
  SEG_BASE,
  SEG_LIMIT,
  SEG_SELECTOR,
} from '../base/registers.ts';
import type { Cpu } from '../cpu/cpu.ts';

const GENERAL = ['eax', 'ecx', 'edx', 'ebx', 'esp', 'ebp', 'esi', 'edi'] as const;
const SEGMENTS = ['es', 'cs', 'ss', 'ds', 'fs', 'gs', 'ldtr', 'tr'] as const;
const CONTROL = { cr0: CR0, cr2: CR2, cr3: CR3, cr4: CR4 } as const;

/** Visible and hidden part of a segment register; limit in bytes, access rights in VMX's format. */
export interface SegmentValue {
  selector: number;
  base: number;
  limit: number;
  access: number;
}

export interface TableRegister {
  base: number;
  limit: number;
}

/** All values unsigned. */
export type Registers = Record<(typeof GENERAL)[number] | 'eip' | 'eflags' | keyof typeof CONTROL, number> &
  Record<(typeof SEGMENTS)[number], SegmentValue> & {
    readonly cpl: number;
    readonly activity: number;
    readonly interruptibility: number;
    gdtr: TableRegister;
    idtr: TableRegister;
  };

/** What `setRegisters` takes: any of them but those that follow from others. */
export type WritableRegisters = Partial<Omit<Registers, 'activity' | 'interruptibility'>>;

export function readRegisters(cpu: Cpu): Registers {
  const S = cpu.S;
  const value = (k: number): number => (S[k] as number) >>> 0;
  const result: Record<string, unknown> = {};
  GENERAL.forEach((name, k) => {
    result[name] = value(k);
  });
  result.eip = value(EIP);
  result.eflags = cpu.getFlags() >>> 0;
  for (const [name, k] of Object.entries(CONTROL)) result[name] = value(k);
  SEGMENTS.forEach((name, k) => {
    result[name] = {
      selector: value(SEG_SELECTOR + k),
      base: value(SEG_BASE + k),
      limit: value(SEG_LIMIT + k),
      access: value(SEG_ACCESS + k),
    };
  });
  result.gdtr = { base: value(GDTR_BASE), limit: value(GDTR_LIMIT) };
  result.idtr = { base: value(IDTR_BASE), limit: value(IDTR_LIMIT) };
  result.cpl = value(CPL);
  result.activity = value(ACTIVITY);
  result.interruptibility = value(INTERRUPTIBILITY);
  return result as Registers;
}

/** Sets what `values` names, without the checks that instructions make: for tests, debuggers and loaders. */
export function writeRegisters(cpu: Cpu, values: WritableRegisters): void {
  const S = cpu.S;
  GENERAL.forEach((name, k) => {
    S[k] = values[name] ?? (S[k] as number);
  });
  S[EIP] = values.eip ?? (S[EIP] as number);
  for (const [name, k] of Object.entries(CONTROL)) S[k] = values[name as 'cr0'] ?? (S[k] as number);
  SEGMENTS.forEach((name, k) => {
    const segment = values[name];
    if (segment === undefined) return;
    S[SEG_SELECTOR + k] = segment.selector;
    S[SEG_BASE + k] = segment.base;
    S[SEG_LIMIT + k] = segment.limit;
    S[SEG_ACCESS + k] = segment.access;
  });
  if (values.gdtr) [S[GDTR_BASE], S[GDTR_LIMIT]] = [values.gdtr.base, values.gdtr.limit];
  if (values.idtr) [S[IDTR_BASE], S[IDTR_LIMIT]] = [values.idtr.base, values.idtr.limit];
  if (values.eflags !== undefined) cpu.setFlags(values.eflags);
  cpu.segmentsChanged();
  cpu.setCpl(values.cpl ?? (S[CPL] as number));
}
