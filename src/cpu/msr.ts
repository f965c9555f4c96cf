/** Model-specific registers (SDM Vol. 4, "IA-32 Architectural MSRs"): what RDMSR, WRMSR and the MSR areas of VMX reach. */
import { InvalidInput, type Unvalidated } from '../base/errors.ts';
import { hex, type U64 } from '../base/int.ts';
import { SYSENTER_CS, SYSENTER_EIP, SYSENTER_ESP } from '../base/registers.ts';
import { dword, int32, integer, list, record } from '../base/validate.ts';
import type { MsrRow, ProcessorModel } from './model.ts';
import type { ExecutionMonitor } from './monitor.ts';

export const IA32_TIME_STAMP_COUNTER = 0x10;
export const IA32_SYSENTER_CS = 0x174;
export const IA32_SYSENTER_ESP = 0x175;
export const IA32_SYSENTER_EIP = 0x176;

const SYSENTER_WORD = new Map([
  [IA32_SYSENTER_CS, SYSENTER_CS],
  [IA32_SYSENTER_ESP, SYSENTER_ESP],
  [IA32_SYSENTER_EIP, SYSENTER_EIP],
]);

/** What the registers need of the processor that they belong to. */
export interface MsrHost {
  readonly S: Int32Array;
  readonly monitor: ExecutionMonitor | null;
  now(): number;
}

/** The storage MSRs of one processor and its time-stamp counter. */
export class MsrFile {
  /** Time-stamp counter minus virtual time. */
  tscOffset = 0;
  readonly #model: ProcessorModel;
  readonly #rows = new Map<number, MsrRow>();
  readonly #values = new Map<number, U64>();

  constructor(model: ProcessorModel) {
    this.#model = model;
    for (const row of model.msrs) this.#rows.set(row.index, row);
    this.reset();
  }

  /** Power-up state. The time-stamp counter follows virtual time, which the owner restarts. */
  reset(): void {
    this.tscOffset = 0;
    for (const row of this.#rows.values()) this.#values.set(row.index, row.reset);
  }

  /** The processor's own time-stamp counter, before any VMX offset. */
  tsc(host: MsrHost): number {
    return host.now() + this.tscOffset;
  }

  /** The register's value, or null where RDMSR raises #GP(0). */
  read(host: MsrHost, index: number): U64 | null {
    if (index === IA32_TIME_STAMP_COUNTER && this.#model.features.has('TSC')) return tscHalves(this.softwareTsc(host));
    const word = SYSENTER_WORD.get(index);
    if (word !== undefined) return this.#model.features.has('SEP') ? { lo: host.S[word], hi: 0 } : null;
    return host.monitor?.readMsr(index) ?? this.#values.get(index) ?? null;
  }

  /** False where WRMSR raises #GP(0); then nothing changed. */
  write(host: MsrHost, index: number, lo: number, hi: number): boolean {
    if (index === IA32_TIME_STAMP_COUNTER && this.#model.features.has('TSC')) {
      // Family 6 below model 0Eh: only the low half can be written, the high half becomes 0 (SDM Vol. 3, "Time-Stamp Counter").
      this.tscOffset = (lo >>> 0) - host.now();
      return true;
    }
    const word = SYSENTER_WORD.get(index);
    if (word !== undefined) {
      if (!this.#model.features.has('SEP')) return false;
      host.S[word] = lo;
      return true;
    }
    if (host.monitor?.readMsr(index) !== undefined) return host.monitor.writeMsr(index, lo, hi);
    const row = this.#rows.get(index);
    if (row === undefined || (lo & ~row.writable.lo) !== 0 || (hi & ~row.writable.hi) !== 0) return false;
    this.#values.set(index, { lo: lo | 0, hi: hi | 0 });
    return true;
  }

  /** The time-stamp counter as software sees it: in VMX non-root operation the monitor adds its offset. */
  softwareTsc(host: MsrHost): number {
    const own = this.tsc(host);
    return host.monitor?.nonRoot ? host.monitor.adjustTsc(own) : own;
  }

  save(): MsrState {
    const values = [...this.#values].map(([index, v]) => ({ index, lo: v.lo, hi: v.hi }));
    return { tscOffset: this.tscOffset, values };
  }

  restore(state: Unvalidated<MsrState>): void {
    const size = this.#rows.size;
    const offset = integer(state.tscOffset, 'msr.tscOffset', -Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER);
    const found = new Map<number, U64>();
    for (const [index, v] of list(state.values, 'msr.values', size, size, registerValue)) {
      if (!this.#rows.has(index))
        throw new InvalidInput(`msr.values: ${this.#model.name} has no register ${hex(index, 1)}`);
      found.set(index, v);
    }
    if (found.size !== size) throw new InvalidInput('msr.values: a register is listed twice');
    this.tscOffset = offset;
    for (const [index, v] of found) this.#values.set(index, v);
  }
}

function registerValue(value: unknown, field: string): [number, U64] {
  const v = record(value, field);
  return [dword(v.index, `${field}.index`), { lo: int32(v.lo, `${field}.lo`), hi: int32(v.hi, `${field}.hi`) }];
}

export interface MsrState {
  readonly tscOffset: number;
  readonly values: readonly { readonly index: number; readonly lo: number; readonly hi: number }[];
}

/** The halves of a time-stamp count modulo 2^64; a VMX offset may have made it negative. */
export function tscHalves(tsc: number): U64 {
  return { lo: tsc | 0, hi: Math.floor(tsc / 0x1_0000_0000) | 0 };
}
