/** A processor's registers, memory and memory unit without a processor. */
import { CPL, CR0, CR0_PG, CR0_WP, CR3, CR4, REGISTER_FILE_WORDS } from '../../src/base/registers.ts';
import {
  PF,
  SIGNAL_EPT_MISCONFIGURATION,
  SIGNAL_EPT_VIOLATION,
  SIGNAL_EXCEPTION,
  Signal,
} from '../../src/base/signal.ts';
import { Mmu, type MmuOptions } from '../../src/mmu/mmu.ts';
import { PhysicalMemory } from '../../src/mmu/physical-memory.ts';
import type { TranslationOutcome } from '../models/paging.ts';

export interface TestMachine {
  readonly memory: PhysicalMemory;
  readonly signal: Signal;
  readonly S: Int32Array;
  readonly mmu: Mmu;
}

export function machine(bytes = 1 << 22, options: Partial<MmuOptions> = {}): TestMachine {
  const memory = new PhysicalMemory(bytes);
  const signal = new Signal();
  const S = new Int32Array(REGISTER_FILE_WORDS);
  const mmu = new Mmu({ memory, signal, registers: S, contexts: 4, ...options });
  return { memory, signal, S, mmu };
}

/** Turns paging on or off, with the rest of the regime, as MOV CR would. */
export function setRegime(
  m: TestMachine,
  r: { cr3: number; paging: boolean; writeProtect: boolean; cr4: number },
): void {
  const [cr0, cr4] = [m.S[CR0], m.S[CR4]];
  m.S[CR0] = (r.paging ? CR0_PG : 0) | (r.writeProtect ? CR0_WP : 0);
  m.S[CR4] = r.cr4;
  m.S[CR3] = r.cr3;
  m.mmu.controlRegistersChanged(cr0, cr4);
}

export function setCpl(m: TestMachine, cpl: number): void {
  m.S[CPL] = cpl;
  m.mmu.selectContext();
}

/** Runs one access; the outcome in the words of the reference model. `run` returns the bus address, −1 outside RAM. */
export function outcomeOf(m: TestMachine, run: () => unknown): TranslationOutcome {
  try {
    return { kind: 'translated', physical: Number(run() ?? 0) };
  } catch (e) {
    if (e !== m.signal) throw e;
    const { signal } = m;
    const guestPhysical = signal.guestPhysicalHigh * 2 ** 32 + signal.guestPhysicalLow;
    if (signal.kind === SIGNAL_EXCEPTION && signal.vector === PF)
      return { kind: 'page fault', errorCode: signal.errorCode };
    if (signal.kind === SIGNAL_EPT_VIOLATION)
      return { kind: 'EPT violation', guestPhysical, qualification: signal.qualification };
    if (signal.kind === SIGNAL_EPT_MISCONFIGURATION) return { kind: 'EPT misconfiguration', guestPhysical };
    throw e;
  }
}

/** Writes an EPT entry: frame and low bits. */
export function writeEpt(m: TestMachine, table: number, index: number, frame: number, low: number): void {
  m.memory.write32(table * 4096 + index * 8, (frame << 12) | low);
  m.memory.write32(table * 4096 + index * 8 + 4, frame >>> 20);
}
