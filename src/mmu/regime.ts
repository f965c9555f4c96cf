/** What the control registers make of paging: which tables, which class an access is of, what rights allow
 *  (SDM Vol. 3, "Paging Modes and Control Bits", "Access Rights"). */
import {
  CPL,
  CR0,
  CR0_PG,
  CR0_WP,
  CR3,
  CR4,
  CR4_PAE,
  CR4_PSE,
  CR4_SMAP,
  CR4_SMEP,
  EFER,
  EFER_NXE,
  EFLAGS,
  FLAG_AC,
} from '../base/registers.ts';
import { SMAP_CLASS, SUPERVISOR, SUPERVISOR_WP, UNPAGED, USER_CLASS } from './fast-tables.ts';
import { ia32, ia32Pse } from './ia32.ts';
import { paeFormat, pageDirectory } from './pae.ts';
import { EXECUTE, type TableFormat, USER, WRITE } from './table-format.ts';

export class Regime {
  /** MAXPHYADDR. */
  readonly physicalAddressBits: number;
  readonly #S: Int32Array;
  readonly #pae: TableFormat;
  readonly #paeNx: TableFormat;

  constructor(registers: Int32Array, physicalAddressBits: number) {
    this.#S = registers;
    this.physicalAddressBits = physicalAddressBits;
    this.#pae = paeFormat(physicalAddressBits, false);
    this.#paeNx = paeFormat(physicalAddressBits, true);
  }

  /** CR4.PAE; counts only while paging is on. */
  get pae(): boolean {
    return (this.#S[CR4] & CR4_PAE) !== 0;
  }

  get #nxe(): boolean {
    return (this.#S[EFER] & EFER_NXE) !== 0;
  }

  /** Format of the tables. */
  format(): TableFormat {
    if (this.pae) return this.#nxe ? this.#paeNx : this.#pae;
    return (this.#S[CR4] & CR4_PSE) !== 0 ? ia32Pse : ia32;
  }

  /** Frame of the first table of a walk; −1 if no PDPTE register leads to one. */
  root(page: number): number {
    return this.pae ? pageDirectory(this.#S, page) : this.#S[CR3] >>> 12;
  }

  /** Class of explicit accesses at the CPL in force. */
  classInForce(): number {
    const S = this.#S;
    if ((S[CR0] & CR0_PG) === 0) return UNPAGED;
    if (S[CPL] === 3) return USER_CLASS;
    return (S[EFLAGS] & FLAG_AC) !== 0 ? this.#supervisorClass() : this.systemClass();
  }

  /** Class of implicit supervisor accesses: EFLAGS.AC does not help them. */
  systemClass(): number {
    const cls = this.#supervisorClass();
    return (this.#S[CR4] & CR4_SMAP) !== 0 ? cls | SMAP_CLASS : cls;
  }

  #supervisorClass(): number {
    return (this.#S[CR0] & CR0_WP) !== 0 ? SUPERVISOR_WP : SUPERVISOR;
  }

  /** Whether rights by the guest's tables allow the access to this class. */
  permits(rights: number, access: number, cls: number): boolean {
    if (access !== EXECUTE) return permitsData(rights, access, cls);
    if ((rights & EXECUTE) === 0 && this.#nxe) return false;
    return cls === USER_CLASS ? (rights & USER) !== 0 : (rights & USER) === 0 || (this.#S[CR4] & CR4_SMEP) === 0;
  }

  /** What besides rights decides on a fetch. */
  fetchRules(): number {
    return (this.#S[CR4] & CR4_SMEP) | (this.#S[EFER] & EFER_NXE);
  }

  /** The rule that such an access breaks. */
  refusal(rights: number, access: number, cls: number): string {
    if (cls === USER_CLASS && (rights & USER) === 0) return 'the page is a supervisor page';
    if (access === EXECUTE)
      return (rights & EXECUTE) === 0 && this.#nxe ? 'the page may not be executed' : 'the page is a user page (SMEP)';
    return (cls & SMAP_CLASS) !== 0 && (rights & USER) !== 0 && permitsData(rights, access, cls & ~SMAP_CLASS)
      ? 'the page is a user page (SMAP)'
      : 'the page may not be written';
  }

  /** Whether the error code of #PF tells instruction fetches. */
  tellsFetches(): boolean {
    return (this.#S[CR4] & CR4_SMEP) !== 0 || (this.pae && this.#nxe);
  }
}

/** The same for data accesses, which ask for nothing but the class. */
export function permitsData(rights: number, access: number, cls: number): boolean {
  if (cls === USER_CLASS) return (rights & USER) !== 0 && (rights & access) !== 0;
  if ((cls & SMAP_CLASS) !== 0 && (rights & USER) !== 0) return false;
  return (rights & access) !== 0 || (access === WRITE && (cls & ~SMAP_CLASS) === SUPERVISOR);
}
