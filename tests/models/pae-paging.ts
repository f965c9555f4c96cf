/** PAE paging as the manual tells it (SDM Vol. 3, "PAE Paging", "Access Rights", "Page-Fault Exceptions"): from the PDPTE registers down,
 *  one step after the other, without caches. Written for tests, apart from the product. */

export interface PaeRegime {
  /** The four PDPTE registers. */
  readonly pointers: readonly bigint[];
  /** IA32_EFER.NXE. */
  readonly noExecute: boolean;
}

interface Access {
  readonly linear: number;
  readonly kind: 'read' | 'write' | 'fetch';
  readonly user: boolean;
}

export type PaeOutcome =
  | { readonly kind: 'fault'; readonly errorCode: number }
  | {
      readonly kind: 'found';
      readonly physical: number;
      /** Flags that the access sets in table entries, which have not got them yet: where, and which. */
      readonly marks: readonly (readonly [at: number, flags: number])[];
      /** Bits 11:9 of the qualification of an EPT violation. */
      readonly rights: number;
    };

const MAXPHYADDR = 36n;
const bit = (entry: bigint, n: bigint): boolean => ((entry >> n) & 1n) === 1n;
const addressIn = (entry: bigint, low: bigint): number => Number(((entry & ((1n << 52n) - 1n)) >> low) << low);

/** Walks for an access; `read` yields the entry at a guest-physical address. */
export function paeWalk(
  { pointers, noExecute }: PaeRegime,
  writeProtect: boolean,
  { linear, kind, user }: Access,
  read: (at: number) => bigint,
): PaeOutcome {
  const fault = (present: boolean, reserved: boolean): PaeOutcome => ({
    kind: 'fault',
    errorCode:
      (present ? 1 : 0) +
      (kind === 'write' ? 2 : 0) +
      (user ? 4 : 0) +
      (reserved ? 8 : 0) +
      (kind === 'fetch' && noExecute ? 16 : 0),
  });
  const hasReserved = (entry: bigint): boolean =>
    (entry & ((1n << 63n) - (1n << MAXPHYADDR))) !== 0n || (bit(entry, 63n) && !noExecute);

  const pointer = pointers[Math.floor(linear / 2 ** 30)] ?? 0n;
  if (!bit(pointer, 0n)) return fault(false, false);

  const pdeAt = addressIn(pointer, 12n) + 8 * (Math.floor(linear / 2 ** 21) % 512);
  const pde = read(pdeAt);
  if (!bit(pde, 0n)) return fault(false, false);
  const large = bit(pde, 7n);
  if (hasReserved(pde) || (large && (pde & 0x1f_e000n) !== 0n)) return fault(true, true);

  const entries = [pde];
  let leafAt = pdeAt;
  if (!large) {
    leafAt = addressIn(pde, 12n) + 8 * (Math.floor(linear / 4096) % 512);
    const pte = read(leafAt);
    if (!bit(pte, 0n)) return fault(false, false);
    if (hasReserved(pte)) return fault(true, true);
    entries.push(pte);
  }
  const leaf = entries[entries.length - 1] ?? 0n;

  const mayWrite = entries.every((e) => bit(e, 1n));
  const mayUser = entries.every((e) => bit(e, 2n));
  const isData = noExecute && entries.some((e) => bit(e, 63n));
  if (user && !mayUser) return fault(true, false);
  if (kind === 'write' && !mayWrite && (user || writeProtect)) return fault(true, false);
  if (kind === 'fetch' && isData) return fault(true, false);

  const marks: [number, number][] = [];
  if (!large && !bit(pde, 5n)) marks.push([pdeAt, 0x20]);
  const used = kind === 'write' ? 0x60n : 0x20n;
  if ((leaf & used) !== used) marks.push([leafAt, Number(used)]);
  const size = large ? 21n : 12n;
  return {
    kind: 'found',
    physical: addressIn(leaf, size) + (linear % 2 ** Number(size)),
    marks,
    rights: (mayUser ? 0x200 : 0) + (mayWrite ? 0x400 : 0) + (isData ? 0x800 : 0),
  };
}
