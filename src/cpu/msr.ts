/** Model-specific registers (SDM Vol. 4, "IA-32 Architectural MSRs"): what RDMSR, WRMSR and the MSR areas of VMX reach. */
import { InvalidInput } from '../base/errors.ts';
import { hex, type U64 } from '../base/int.ts';
import { DEBUGCTL, EFER, EFER_NXE, SYSENTER_CS, SYSENTER_EIP, SYSENTER_ESP } from '../base/registers.ts';
import { dword, int32, list, record } from '../base/validate.ts';
import type { ProcessorModel } from './model.ts';
import type { ExecutionMonitor } from './monitor.ts';

export const IA32_TIME_STAMP_COUNTER = 0x10;
export const IA32_PMC0 = 0xc1;
export const IA32_SYSENTER_CS = 0x174;
export const IA32_SYSENTER_ESP = 0x175;
export const IA32_SYSENTER_EIP = 0x176;
export const IA32_DEBUGCTL = 0x1d9;
/** Bits of IA32_DEBUGCTL: single step on branches. There are no last-branch records. */
export const DEBUGCTL_BITS = 2;
export const IA32_PAT = 0x277;
export const IA32_PERF_GLOBAL_CTRL = 0x38f;
export const IA32_EFER = 0xc000_0080;
export const IA32_TSC_AUX = 0xc000_0103;

const SYSENTER_WORD = new Map([
  [IA32_SYSENTER_CS, SYSENTER_CS],
  [IA32_SYSENTER_ESP, SYSENTER_ESP],
  [IA32_SYSENTER_EIP, SYSENTER_EIP],
]);

/** The processor, as far as its model-specific registers are concerned. */
export interface MsrOwner {
  readonly S: Int32Array;
  readonly model: ProcessorModel;
  readonly monitor: ExecutionMonitor | null;
  readonly mmu: { selectContext(): void };
  /** Storage MSRs that software has written; the others hold their reset value. */
  readonly msrs: Map<number, U64>;
  /** Time-stamp counter minus virtual time. */
  tscOffset: number;
  now(): number;
}

/** The register's value, or null where RDMSR raises #GP(0). */
export function readMsr(cpu: MsrOwner, index: number): U64 | null {
  const { features, msrs } = cpu.model;
  if (index === IA32_TIME_STAMP_COUNTER && features.has('TSC')) return timeStampCounter(cpu);
  const word = SYSENTER_WORD.get(index);
  if (word !== undefined) return features.has('SEP') ? { lo: cpu.S[word], hi: 0 } : null;
  if (index === IA32_DEBUGCTL) return { lo: cpu.S[DEBUGCTL], hi: 0 };
  if (index === IA32_EFER) return features.has('NX') ? { lo: cpu.S[EFER], hi: 0 } : null;
  return cpu.monitor?.readMsr(index) ?? cpu.msrs.get(index) ?? msrs.find((row) => row.index === index)?.reset ?? null;
}

/** Writes the register. False where WRMSR raises #GP(0); then nothing changed. */
export function writeMsr(cpu: MsrOwner, index: number, lo: number, hi: number): boolean {
  const { features, msrs } = cpu.model;
  if (index === IA32_TIME_STAMP_COUNTER && features.has('TSC')) {
    // Family 6 below model 0Eh: only the low half can be written, the high half becomes 0 (SDM Vol. 3, "Time-Stamp Counter").
    cpu.tscOffset = (lo >>> 0) - cpu.now();
    return true;
  }
  const word = SYSENTER_WORD.get(index);
  if (word !== undefined) {
    if (!features.has('SEP')) return false;
    cpu.S[word] = lo;
    return true;
  }
  if (index === IA32_DEBUGCTL) {
    if (hi !== 0 || (lo & ~DEBUGCTL_BITS) !== 0) return false;
    cpu.S[DEBUGCTL] = lo;
    return true;
  }
  if (index === IA32_EFER) {
    // SCE, LME and LMA belong to Intel 64
    if (!features.has('NX') || hi !== 0 || (lo & ~EFER_NXE) !== 0) return false;
    cpu.S[EFER] = lo;
    cpu.mmu.selectContext();
    return true;
  }
  if (cpu.monitor?.readMsr(index) !== undefined) return cpu.monitor.writeMsr(index, lo, hi);
  const row = msrs.find((r) => r.index === index);
  if (row === undefined || (lo & ~row.writable.lo) !== 0 || (hi & ~row.writable.hi) !== 0) return false;
  if (index === IA32_PAT && !(isMemoryTypes(lo) && isMemoryTypes(hi))) return false;
  cpu.msrs.set(index, { lo: lo | 0, hi: hi | 0 });
  return true;
}

/** Four entries of IA32_PAT: each must be UC, WC, WT, WP, WB or UC− (SDM Vol. 3, "IA32_PAT MSR"). */
export function isMemoryTypes(half: number): boolean {
  for (let shift = 0; shift < 32; shift += 8) {
    const type = (half >>> shift) & 0xff;
    if (type > 7 || type === 2 || type === 3) return false;
  }
  return true;
}

/** The time-stamp counter as software sees it: in VMX non-root operation the monitor scales it and adds an offset. */
export function timeStampCounter(cpu: MsrOwner): U64 {
  const own = tscHalves(cpu.now() + cpu.tscOffset);
  return cpu.monitor?.nonRoot ? cpu.monitor.adjustTsc(own) : own;
}

/** The halves of a time-stamp count modulo 2^64; an offset may have made it negative. */
export function tscHalves(tsc: number): U64 {
  return { lo: tsc | 0, hi: Math.floor(tsc / 0x1_0000_0000) | 0 };
}

/** One written storage MSR in a snapshot. */
export interface SavedMsr extends U64 {
  readonly index: number;
}

/** Storage MSRs as plain data, in order of index. */
export function saveMsrs(cpu: MsrOwner): SavedMsr[] {
  return [...cpu.msrs].map(([index, v]) => ({ index, lo: v.lo, hi: v.hi })).sort((a, b) => a.index - b.index);
}

/** Replaces the storage MSRs by those of a snapshot. */
export function restoreMsrs(cpu: MsrOwner, state: unknown): void {
  const saved = list(state, 'msrs', 0, cpu.model.msrs.length, savedMsr);
  for (const { index } of saved) {
    if (!cpu.model.msrs.some((row) => row.index === index)) {
      throw new InvalidInput(`msrs: processor ${cpu.model.name} has no register ${hex(index, 1)}`);
    }
  }
  cpu.msrs.clear();
  for (const { index, lo, hi } of saved) cpu.msrs.set(index, { lo, hi });
}

function savedMsr(value: unknown, field: string): SavedMsr {
  const v = record(value, field);
  return { index: dword(v.index, `${field}.index`), lo: int32(v.lo, `${field}.lo`), hi: int32(v.hi, `${field}.hi`) };
}
