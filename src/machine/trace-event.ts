/** What a machine's memory unit and VMX do, as plain data: the event trace that isolation is judged by, in memory or line by line in a
 *  file. It names hardware only: frames of memory, tables' words, VMCS addresses, tags of cached translations. */

/** What software that controls VMs says about a 4-KiB frame. `vm` is a name that it chooses: the address of the VMCS, or of the first
 *  VMCS of several. `own`: the frames are this VM's alone · `share`: this VM may reach them with `rights`, others may as well ·
 *  `release`: this VM has no claim on them any more. */
export interface OwnershipChange {
  readonly kind: 'own' | 'share' | 'release';
  readonly vm: number;
  readonly frame: number;
  readonly frames: number;
  /** Bit 0 read, 1 write, 2 execute, as in an EPT entry. */
  readonly rights: number;
}

/** A cached translation. Page and frame numbers are of 4 KiB, the first of a page of 2^shift of them. */
export interface TlbEntry {
  /** linear: the TLB · guest-physical: of EPT alone · directory: an entry of the guest's tables that points to a table ·
   *  ept-directory: one of EPT. */
  readonly kind: 'linear' | 'guest-physical' | 'directory' | 'ept-directory';
  readonly vpid: number;
  /** EPTP[51:12], −1 without EPT. */
  readonly eptrta: number;
  readonly global: boolean;
  readonly page: number;
  readonly shift: number;
  readonly frame: number;
  /** What the guest's tables made of the page; the frame itself without EPT. */
  readonly guestFrame: number;
  /** Bit 0 read, 1 write, 2 execute, 3 user: by the guest's tables, and by EPT. */
  readonly rights: number;
  readonly eptRights: number;
  /** Writes need not set the dirty flag any more. */
  readonly dirty: boolean;
  /** Level of the table entry, for the two kinds that hold one. */
  readonly level: number;
}

/** The translation regime: whose tables are walked. */
export interface Regime {
  readonly vpid: number;
  readonly eptrta: number;
  readonly paging: boolean;
  readonly cr3: number;
  readonly cr4: number;
  /** IA32_EFER.NXE. */
  readonly nxe: boolean;
  /** EPT has accessed and dirty flags (bit 6 of the EPT pointer). */
  readonly eptFlags: boolean;
  /** The four PDPTE registers, low and high halves; empty without PAE paging. */
  readonly pdptes: readonly number[];
}

export type TraceEvent =
  /** First of all: how much memory there is. */
  | { readonly kind: 'machine'; readonly bytes: number }
  /** A walk reads this frame for the first time: its words that are not 0, as [index, value]. */
  | { readonly kind: 'table'; readonly frame: number; readonly words: readonly (readonly [number, number])[] }
  /** A word of such a frame has changed, whoever wrote it. Address, and 32-bit value. */
  | { readonly kind: 'write'; readonly at: number; readonly value: number }
  /** Walks are of this regime from now on. */
  | ({ readonly kind: 'regime' } & Regime)
  /** What kills translations: names as in the memory unit's counts. */
  | {
      readonly kind: 'flush';
      readonly event: string;
      readonly vpid: number;
      readonly eptrta: number;
      readonly page: number;
      readonly guestPage: number;
    }
  /** VM entry and exit. `eptp`: low half, −1 without EPT. */
  | { readonly kind: 'entry'; readonly vmcs: number; readonly vpid: number; readonly eptp: number }
  /** `logged`: with page-modification logging, the guest-physical pages that were logged since the entry. */
  | { readonly kind: 'exit'; readonly vmcs: number; readonly reason: number; readonly logged?: readonly number[] }
  | OwnershipChange
  /** All that is cached. */
  | { readonly kind: 'tlb'; readonly entries: readonly TlbEntry[] };
