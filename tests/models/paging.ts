/** Address translation as the manual tells it (SDM Vol. 3, "32-Bit Paging", "EPT Translation Mechanism"), without caches, one step after
 *  the other. Written for tests, apart from the product: bigint entries, no shared constants. */

import { type PaeRegime, paeWalk } from './pae-paging.ts';

export interface PagingRegime {
  readonly paging: boolean;
  readonly writeProtect: boolean;
  readonly pageSizeExtensions: boolean;
  readonly cr3: number;
  /** EPT pointer, null without EPT. */
  readonly eptp: bigint | null;
  /** PAE paging: the PDPTE registers, and IA32_EFER.NXE. */
  readonly pae?: PaeRegime | undefined;
}

export interface MemoryAccess {
  readonly linear: number;
  readonly kind: 'read' | 'write' | 'fetch';
  readonly user: boolean;
}

export type TranslationOutcome =
  | { readonly kind: 'translated'; readonly physical: number }
  | { readonly kind: 'page fault'; readonly errorCode: number }
  | { readonly kind: 'EPT violation'; readonly guestPhysical: number; readonly qualification: number }
  | { readonly kind: 'EPT misconfiguration'; readonly guestPhysical: number };

class Ended {
  readonly outcome: TranslationOutcome;
  constructor(outcome: TranslationOutcome) {
    this.outcome = outcome;
  }
}

/** What a processor may offer beyond 4-KiB and 2-MiB EPT pages. */
export interface EptFeatures {
  readonly executeOnly: boolean;
  readonly pages1G: boolean;
  /** Violations tell the rights of the linear address. */
  readonly advanced: boolean;
}

const MAXPHYADDR = 36n;
const bits = (value: bigint, high: bigint, low: bigint): bigint => (value >> low) & ((1n << (high - low + 1n)) - 1n);

export class ReferenceMmu {
  readonly ram: Uint8Array;
  /** Table entries read so far. */
  references = 0;
  /** Guest-physical pages whose EPT dirty flag was set, in order. */
  readonly dirtied: number[] = [];
  readonly #features: EptFeatures;

  constructor(ram: Uint8Array, features: EptFeatures = { executeOnly: false, pages1G: false, advanced: false }) {
    this.ram = ram;
    this.#features = features;
  }

  /** Translates, setting accessed and dirty flags in `ram`. */
  access(regime: PagingRegime, access: MemoryAccess): TranslationOutcome {
    try {
      return { kind: 'translated', physical: this.#linear(regime, access) };
    } catch (e) {
      if (e instanceof Ended) return e.outcome;
      throw e;
    }
  }

  #linear(regime: PagingRegime, { linear, kind, user }: MemoryAccess): number {
    const eptFlags = regime.eptp !== null && bits(regime.eptp, 6n, 6n) === 1n;
    const final = (address: number, linearRights: number) =>
      this.#guestPhysical(
        regime,
        address,
        { read: kind === 'read', write: kind === 'write', fetch: kind === 'fetch' },
        linearRights,
      );
    if (!regime.paging) return final(linear, 0x600);
    if (regime.pae !== undefined) {
      const found = paeWalk(regime.pae, regime.writeProtect, { linear, kind, user }, (at) => {
        const physical = this.#guestPhysical(regime, at, { read: true, write: eptFlags, fetch: false }, null);
        this.references++;
        return this.#read64(physical);
      });
      if (found.kind === 'fault') throw new Ended({ kind: 'page fault', errorCode: found.errorCode });
      for (const [at, flags] of found.marks) {
        const physical = this.#guestPhysical(regime, at, { read: true, write: true, fetch: false }, null);
        this.#write32(physical, this.#read32(physical) | flags);
      }
      return final(found.physical, found.rights);
    }
    const fault = (present: boolean, reserved: boolean): never => {
      const code = (present ? 1 : 0) + (kind === 'write' ? 2 : 0) + (user ? 4 : 0) + (reserved ? 8 : 0);
      throw new Ended({ kind: 'page fault', errorCode: code });
    };
    const readEntry = (at: number): number => {
      const physical = this.#guestPhysical(regime, at, { read: true, write: eptFlags, fetch: false }, null);
      this.references++;
      return this.#read32(physical);
    };
    const orEntry = (at: number, flags: number): void => {
      const physical = this.#guestPhysical(regime, at, { read: true, write: true, fetch: false }, null);
      this.#write32(physical, this.#read32(physical) | flags);
    };

    // page-directory entry
    const pdeAt = (regime.cr3 & 0xffff_f000) + 4 * (linear >>> 22);
    const pde = readEntry(pdeAt >>> 0);
    if ((pde & 1) === 0) fault(false, false);
    const large = regime.pageSizeExtensions && (pde & 0x80) !== 0;
    if (large && (pde & 0x003f_e000) !== 0) fault(true, true);
    // page-table entry
    let pteAt = 0;
    let pte = 0;
    if (!large) {
      pteAt = ((pde & 0xffff_f000) >>> 0) + 4 * ((linear >>> 12) & 0x3ff);
      pte = readEntry(pteAt);
      if ((pte & 1) === 0) fault(false, false);
    }
    // access rights
    const both = large ? pde : pde & pte;
    const mayWrite = (both & 2) !== 0;
    const mayUser = (both & 4) !== 0;
    if (user && !mayUser) fault(true, false);
    if (kind === 'write' && !mayWrite && (user || regime.writeProtect)) fault(true, false);
    // accessed and dirty flags
    const pdeFlags = 0x20 | (large && kind === 'write' ? 0x40 : 0);
    if ((pde & pdeFlags) !== pdeFlags) orEntry(pdeAt >>> 0, pdeFlags);
    if (!large) {
      const pteFlags = 0x20 | (kind === 'write' ? 0x40 : 0);
      if ((pte & pteFlags) !== pteFlags) orEntry(pteAt, pteFlags);
    }
    const frame = large ? ((pde & 0xffc0_0000) >>> 0) + (linear & 0x003f_f000) : (pte & 0xffff_f000) >>> 0;
    return final(frame + (linear & 0xfff), (mayUser ? 0x200 : 0) + (mayWrite ? 0x400 : 0));
  }

  #guestPhysical(
    regime: PagingRegime,
    address: number,
    access: { read: boolean; write: boolean; fetch: boolean },
    /** Bits 11:9 of the qualification for a final address; null for an entry of the guest's tables. */
    linearRights: number | null,
  ): number {
    if (regime.eptp === null) return address;
    const misconfigured = (): never => {
      throw new Ended({ kind: 'EPT misconfiguration', guestPhysical: address });
    };
    const violation = (rights: bigint): never => {
      const wanted = (access.read ? 1 : 0) + (access.write ? 2 : 0) + (access.fetch ? 4 : 0);
      const final = linearRights === null ? 0 : 0x100 + (this.#features.advanced ? linearRights : 0);
      const qualification = wanted + Number(rights) * 8 + 0x80 + final;
      throw new Ended({ kind: 'EPT violation', guestPhysical: address, qualification });
    };
    const gpa = BigInt(address);
    let rights = 7n;
    let table = bits(regime.eptp, 51n, 12n) << 12n;
    const eptFlags = bits(regime.eptp, 6n, 6n) === 1n;
    const used: [at: number, entry: bigint][] = [];
    for (let level = 4n; ; level--) {
      this.references++;
      const shift = 12n + 9n * (level - 1n);
      const at = Number(table + 8n * bits(gpa, shift + 8n, shift));
      const entry = this.#read64(at);
      used.push([at, entry]);
      const rwx = bits(entry, 2n, 0n);
      if (rwx === 0n) violation(0n);
      if (rwx === 2n || rwx === 6n || (rwx === 4n && !this.#features.executeOnly)) misconfigured();
      if (bits(entry, 51n, MAXPHYADDR) !== 0n) misconfigured();
      const mayBeLarge = level === 2n || (level === 3n && this.#features.pages1G);
      const leaf = level === 1n || (mayBeLarge && bits(entry, 7n, 7n) === 1n);
      if (leaf) {
        if (![0n, 1n, 4n, 5n, 6n].includes(bits(entry, 5n, 3n))) misconfigured();
        if (level === 2n && bits(entry, 20n, 12n) !== 0n) misconfigured();
        if (level === 3n && bits(entry, 29n, 12n) !== 0n) misconfigured();
      } else {
        if (bits(entry, 6n, 3n) !== 0n) misconfigured();
        if (level > 2n && bits(entry, 7n, 7n) !== 0n) misconfigured();
      }
      rights &= rwx;
      const frame = bits(entry, 51n, 12n) << 12n;
      if (leaf) {
        const denied =
          (access.read && !(rights & 1n)) || (access.write && !(rights & 2n)) || (access.fetch && !(rights & 4n));
        if (denied) violation(rights);
        if (eptFlags) {
          for (const [where, value] of used) {
            const dirty = where === at && access.write;
            if (dirty && bits(value, 9n, 9n) === 0n) this.dirtied.push(Math.floor(address / 4096));
            this.#write32(where, Number(bits(value, 31n, 0n)) | 0x100 | (dirty ? 0x200 : 0));
          }
        }
        return Number(frame + bits(gpa, shift - 1n, 0n));
      }
      table = frame;
    }
  }

  #read32(at: number): number {
    let value = 0;
    for (let k = 3; k >= 0; k--) value = (value << 8) | (this.ram[at + k] ?? 0xff);
    return value;
  }

  #write32(at: number, value: number): void {
    for (let k = 0; k < 4; k++) if (at + k < this.ram.length) this.ram[at + k] = value >>> (8 * k);
  }

  #read64(at: number): bigint {
    return BigInt(this.#read32(at) >>> 0) | (BigInt(this.#read32(at + 4) >>> 0) << 32n);
  }
}
