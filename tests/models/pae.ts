/** PAE paging as the manual tells it (SDM Vol. 3, "PAE Paging", "Access Rights", "Page-Fault Exceptions"), without caches, one step after
 *  the other. Written for tests, apart from the product: bigint entries, no shared constants. */
import type { MemoryAccess, TranslationOutcome } from './paging.ts';

export interface PaeRegime {
  /** The four PDPTE registers. */
  readonly pdptes: readonly bigint[];
  readonly nxe: boolean;
  readonly writeProtect: boolean;
  readonly smep: boolean;
  readonly smap: boolean;
  /** EFLAGS.AC */
  readonly ac: boolean;
}

const MAXPHYADDR = 36n;
const bits = (value: bigint, high: bigint, low: bigint): bigint => (value >> low) & ((1n << (high - low + 1n)) - 1n);

export class ReferencePae {
  readonly ram: Uint8Array;
  /** Table entries read so far. */
  references = 0;

  constructor(ram: Uint8Array) {
    this.ram = ram;
  }

  /** Translates, setting accessed and dirty flags in `ram`. */
  access(regime: PaeRegime, { linear, kind, user }: MemoryAccess): TranslationOutcome {
    const fault = (present: boolean, reserved: boolean): TranslationOutcome => {
      const fetched = kind === 'fetch' && (regime.nxe || regime.smep) ? 16 : 0;
      const errorCode = (present ? 1 : 0) + (kind === 'write' ? 2 : 0) + (user ? 4 : 0) + (reserved ? 8 : 0) + fetched;
      return { kind: 'page fault', errorCode };
    };
    const hasReserved = (entry: bigint, large: boolean): boolean =>
      bits(entry, 62n, MAXPHYADDR) !== 0n ||
      (!regime.nxe && bits(entry, 63n, 63n) !== 0n) ||
      (large && bits(entry, 20n, 13n) !== 0n);

    const address = BigInt(linear);
    const pdpte = regime.pdptes[Number(bits(address, 31n, 30n))];
    if (bits(pdpte, 0n, 0n) === 0n) return fault(false, false);
    const used: [at: bigint, entry: bigint][] = [];
    const read = (at: bigint): bigint => {
      const entry = this.#read64(at);
      used.push([at, entry]);
      this.references++;
      return entry;
    };
    const pde = read((bits(pdpte, MAXPHYADDR - 1n, 12n) << 12n) + 8n * bits(address, 29n, 21n));
    if (bits(pde, 0n, 0n) === 0n) return fault(false, false);
    const large = bits(pde, 7n, 7n) === 1n;
    if (hasReserved(pde, large)) return fault(true, true);
    if (!large) {
      const pte = read((bits(pde, MAXPHYADDR - 1n, 12n) << 12n) + 8n * bits(address, 20n, 12n));
      if (bits(pte, 0n, 0n) === 0n) return fault(false, false);
      if (hasReserved(pte, false)) return fault(true, true);
    }

    const entries = used.map(([, entry]) => entry);
    const writable = entries.every((e) => bits(e, 1n, 1n) === 1n);
    const userPage = entries.every((e) => bits(e, 2n, 2n) === 1n);
    const executable = !regime.nxe || entries.every((e) => bits(e, 63n, 63n) === 0n);
    if (!allows(regime, kind, user, { writable, userPage, executable })) return fault(true, false);

    const [leafAt, leaf] = used[used.length - 1];
    for (const [at] of used) this.#or8(at, at === leafAt && kind === 'write' ? 0x60 : 0x20);
    const low = large ? 21n : 12n;
    const physical = (bits(leaf, MAXPHYADDR - 1n, low) << low) + bits(address, low - 1n, 0n);
    return { kind: 'translated', physical: Number(physical) };
  }

  /** Nothing answers beyond the memory. */
  #read64(at: bigint): bigint {
    let value = 0n;
    for (let k = 7; k >= 0; k--) value = (value << 8n) | BigInt(this.ram[Number(at) + k] ?? 0xff);
    return value;
  }

  #or8(at: bigint, flags: number): void {
    if (at < this.ram.length) this.ram[Number(at)] |= flags;
  }
}

/** "Determination of Access Rights". */
function allows(
  { writeProtect, smep, smap, ac }: PaeRegime,
  kind: MemoryAccess['kind'],
  user: boolean,
  page: { writable: boolean; userPage: boolean; executable: boolean },
): boolean {
  if (user) {
    if (!page.userPage) return false;
    return kind === 'read' || (kind === 'write' ? page.writable : page.executable);
  }
  if (kind === 'fetch') return page.executable && !(page.userPage && smep);
  if (page.userPage && smap && !ac) return false;
  return kind === 'read' || page.writable || !writeProtect;
}
