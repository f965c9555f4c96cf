import {
  ACTIVITY,
  CR0,
  CR3,
  CR4,
  EAX,
  EFLAGS,
  EIP,
  FLAG_KIND,
  GDTR_BASE,
  GDTR_LIMIT,
  IDTR_BASE,
  IDTR_LIMIT,
  SEG_ACCESS,
  SEG_BASE,
  SEG_LIMIT,
  SEG_SELECTOR,
} from '../base/registers.ts';
import type { Cpu } from '../cpu/cpu.ts';
import type { EntryRegisters } from './loader/entry.ts';

/** Puts a processor into the state in which an image expects to start. */
export function loadEntry(cpu: Cpu, entry: EntryRegisters): void {
  cpu.reset();
  const S = cpu.S;
  entry.general.forEach((value, k) => {
    S[EAX + k] = value;
  });
  S[EIP] = entry.eip;
  S[FLAG_KIND] = 0;
  S[EFLAGS] = entry.eflags;
  S[CR0] = entry.cr0;
  S[CR3] = 0;
  S[CR4] = 0;
  S[ACTIVITY] = 0;
  entry.segments.forEach((segment, k) => {
    S[SEG_SELECTOR + k] = segment.selector;
    S[SEG_BASE + k] = segment.base;
    S[SEG_LIMIT + k] = segment.limit;
    S[SEG_ACCESS + k] = segment.access;
  });
  S[GDTR_BASE] = entry.gdtr.base;
  S[GDTR_LIMIT] = entry.gdtr.limit;
  S[IDTR_BASE] = entry.idtr.base;
  S[IDTR_LIMIT] = entry.idtr.limit;
  cpu.segmentsChanged();
  cpu.setCpl(0);
}
