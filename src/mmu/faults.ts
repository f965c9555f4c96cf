/** Page faults and EPT violations: what they kill, what the signal says of them. */
import {
  PF,
  SIGNAL_APIC_ACCESS,
  SIGNAL_EPT_MISCONFIGURATION,
  SIGNAL_EPT_VIOLATION,
  SIGNAL_PML_FULL,
  type Signal,
} from '../base/signal.ts';
import { type FastContext, USER_CLASS } from './fast-tables.ts';
import { invalidate, NO_PAGE } from './invalidate.ts';
import type { Nested } from './nested.ts';
import type { MmuCounts } from './observer.ts';
import { ALL_RIGHTS, EXECUTE, USER, WRITE } from './table-format.ts';
import type { TranslationCaches } from './translation-caches.ts';

/** #PF error code (SDM Vol. 3, "Page-Fault Exceptions"). */
export const PF_PRESENT = 1;
export const PF_WRITE = 2;
export const PF_USER = 4;
export const PF_RESERVED = 8;
/** Instruction fetch: told only where NX or SMEP is on. */
export const PF_FETCH = 16;

/** Exit qualification of an EPT violation (SDM Vol. 3, "Exit Qualification for EPT Violations"): bits 2:0 are the access,
 *  5:3 the rights that the entries gave. */
const EPT_RIGHTS = 3;
const EPT_LINEAR_VALID = 0x80;
/** The access was to the translated address, not to a paging-structure entry. */
const EPT_FINAL = 0x100;
/** "Advanced VM-exit information": what the guest's own tables say of the linear address. */
const LINEAR_USER = 0x200;
const LINEAR_WRITABLE = 0x400;
const LINEAR_EXECUTE_DISABLE = 0x800;
/** Kind of an access to the APIC-access page that is none by a linear address. */
export const APIC_GUEST_PHYSICAL = 15;
/** Rights of every linear address while paging is off. */
export const UNPAGED_RIGHTS = ALL_RIGHTS;

const advanced = (rights: number): number =>
  ((rights & USER) !== 0 ? LINEAR_USER : 0) |
  ((rights & WRITE) !== 0 ? LINEAR_WRITABLE : 0) |
  ((rights & EXECUTE) !== 0 ? 0 : LINEAR_EXECUTE_DISABLE);

export class Faults {
  /** Whether violations tell the rights of the linear address. */
  advancedInformation = false;
  readonly #signal: Signal;
  readonly #caches: TranslationCaches;
  readonly #counts: MmuCounts;

  constructor(signal: Signal, caches: TranslationCaches, counts: MmuCounts) {
    this.#signal = signal;
    this.#caches = caches;
    this.#counts = counts;
  }

  /** #PF. `cause`: PF_PRESENT, PF_RESERVED and PF_FETCH. CR2 is the processor's to write, from signal.linear. */
  pageFault(c: FastContext, linear: number, cause: number, access: number, because: string): never {
    this.#counts.pageFaults++;
    const target = { vpid: c.vpid, eptrta: c.eptrta, page: linear >>> 12, guestPage: 0 };
    invalidate(this.#caches, this.#counts, 'pageFault', target);
    this.#signal.linear = linear >>> 0;
    const code = cause | (access === WRITE ? PF_WRITE : 0) | (c.class === USER_CLASS ? PF_USER : 0);
    return this.#signal.raise(PF, code, because);
  }

  /** What EPT refused last. `guestRights`: of the linear address by the guest's tables, if it was the access itself; −1 if it was one to
   *  these tables. */
  eptFailure(c: FastContext, linear: number, nested: Nested, guestRights: number): never {
    const { failedPage, failedOffset, failedAccess, rights, suppressVe } = nested;
    if (nested.apicAccess) return this.#apicAccess(linear, nested);
    if (nested.logFull)
      return this.#raise(SIGNAL_PML_FULL, linear, failedPage, failedOffset, 0, 'the page-modification log is full');
    if (!nested.misconfigured)
      return this.eptViolation(c, linear, failedPage, failedOffset, failedAccess, rights, guestRights, suppressVe);
    this.#counts.eptMisconfigurations++;
    const because = 'an EPT entry is misconfigured';
    return this.#raise(SIGNAL_EPT_MISCONFIGURATION, linear, failedPage, failedOffset, 0, because);
  }

  eptViolation(
    c: FastContext,
    linear: number,
    page: number,
    offset: number,
    access: number,
    rights: number,
    guestRights: number,
    suppressVe: boolean,
  ): never {
    this.#counts.eptViolations++;
    const final = guestRights >= 0;
    // Combined mappings of the linear address go only if it is what was translated.
    const target = { vpid: c.vpid, eptrta: c.eptrta, page: final ? linear >>> 12 : NO_PAGE, guestPage: page };
    invalidate(this.#caches, this.#counts, 'eptViolation', target);
    let qualification = access | ((rights & 7) << EPT_RIGHTS) | EPT_LINEAR_VALID;
    if (final) qualification |= EPT_FINAL | (this.advancedInformation ? advanced(guestRights) : 0);
    this.#signal.convertible = !suppressVe;
    const because = 'EPT does not allow the access';
    return this.#raise(SIGNAL_EPT_VIOLATION, linear, page, offset, qualification, because);
  }

  /** EPT refused a read of the page-directory-pointer table: no linear address has to do with it. */
  pointerTableFailure(c: FastContext, nested: Nested): never {
    const { failedPage, failedOffset, failedAccess, rights, misconfigured } = nested;
    if (misconfigured || nested.apicAccess) return this.eptFailure(c, 0, nested, -1);
    this.#counts.eptViolations++;
    const target = { vpid: c.vpid, eptrta: c.eptrta, page: NO_PAGE, guestPage: failedPage };
    invalidate(this.#caches, this.#counts, 'eptViolation', target);
    const qualification = failedAccess | ((rights & 7) << EPT_RIGHTS);
    this.#signal.convertible = !nested.suppressVe;
    const because = 'EPT does not allow the load of the PDPTE registers';
    return this.#raise(SIGNAL_EPT_VIOLATION, 0, failedPage, failedOffset, qualification, because);
  }

  /** A table of the guest lies in the APIC-access page (SDM Vol. 3, "Exit Qualification for APIC-Access VM Exits"). */
  #apicAccess(linear: number, { failedPage, failedOffset }: Nested): never {
    const qualification = failedOffset | (APIC_GUEST_PHYSICAL << 12);
    const because = 'a table of the guest lies in the APIC-access page';
    return this.#raise(SIGNAL_APIC_ACCESS, linear, failedPage, failedOffset, qualification, because);
  }

  #raise(kind: number, linear: number, page: number, offset: number, qualification: number, because: string): never {
    const signal = this.#signal;
    signal.kind = kind;
    signal.linear = linear >>> 0;
    signal.guestPhysicalLow = ((page << 12) | offset) >>> 0;
    signal.guestPhysicalHigh = page >>> 20;
    signal.qualification = qualification;
    signal.because = because;
    throw signal;
  }
}
