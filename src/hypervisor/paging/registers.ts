/** A guest's registers, as far as paging depends on them: as the guest sees them. */

import { CR0_CD, CR0_NW, CR0_PG, CR4_PAE, CR4_PGE, CR4_PSE, CR4_SMEP, EFER_NXE } from '../../base/registers.ts';
import type { GuestFormat, GuestFormats, TableMemory } from './formats.ts';

export interface PagingRegisters {
  cr0: number;
  cr3: number;
  cr4: number;
  /** IA32_EFER, low half. */
  efer: number;
  /** The PDPTE registers: low and high word of each. */
  readonly pdptes: Int32Array;
}

export const PDPTE_WORDS = 8;
export const IA32_EFER = 0xc000_0080;

/** Bits of CR0 and CR4 whose change loads the PDPTE registers (SDM Vol. 3, "PDPTE Registers"). */
const CR0_LOADS = CR0_CD | CR0_NW | CR0_PG;
const CR4_LOADS = CR4_PAE | CR4_PGE | CR4_PSE | CR4_SMEP;

export const usesPae = (cr0: number, cr4: number): boolean => (cr0 & CR0_PG) !== 0 && (cr4 & CR4_PAE) !== 0;

/** IA32_EFER.NXE counts. */
export const usesNx = (r: PagingRegisters): boolean => (r.cr4 & CR4_PAE) !== 0 && (r.efer & EFER_NXE) !== 0;

/** The format of the tables, while paging is on. */
export const formatOf = (formats: GuestFormats, r: PagingRegisters): GuestFormat =>
  (r.cr4 & CR4_PAE) !== 0 ? formats.pae((r.efer & EFER_NXE) !== 0) : formats.ia32((r.cr4 & CR4_PSE) !== 0);

/** Whether the error code of #PF tells instruction fetches. */
export const tellsFetches = (r: PagingRegisters): boolean => (r.cr4 & CR4_SMEP) !== 0 || usesNx(r);

/** Whether writing new values to CR0 or CR4 loads the PDPTE registers. */
export const loadsPdptes = (cr0: number, cr4: number, newCr0: number, newCr4: number): boolean =>
  usesPae(newCr0, newCr4) && (((cr0 ^ newCr0) & CR0_LOADS) !== 0 || ((cr4 ^ newCr4) & CR4_LOADS) !== 0);

/** What CR3 with this value would load into the PDPTE registers; null if a reserved bit of a present entry is set. */
export function readPdptes(memory: TableMemory, formats: GuestFormats, cr3: number): readonly number[] | null {
  const table = (cr3 & ~31) >>> 0;
  const words = Array.from({ length: PDPTE_WORDS }, (_, k) => memory.read32(table + 4 * k));
  for (let k = 0; k < PDPTE_WORDS; k += 2) if (!formats.holds(words[k], words[k + 1])) return null;
  return words;
}
