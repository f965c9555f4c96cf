/** `explainAddress`: the whole walk for one address, in two dimensions if there is EPT (SDM Vol. 3, "Paging", "EPT Translation
 *  Mechanism", "EPT-Induced VM Exits"): every entry read, where it lies, what it says, where the walk stopped, and why. Changes nothing. */
import { hex, type U64 } from '../../base/int.ts';
import { type EntryMeaning, type EntryRules, pageBytes, readEntry, rightsText, type TableKind } from './entries.ts';

export interface WalkRegime extends EntryRules {
  readonly cr0: number;
  readonly cr3: number;
  readonly cr4: number;
  /** The EPT pointer, null without EPT. */
  readonly eptp: U64 | null;
  /** The four PDPTE registers of PAE paging; without them they are read from the table at CR3. */
  readonly pdptes?: readonly U64[];
  /** EFLAGS.AC, which lifts what CR4.SMAP forbids. @defaultValue false */
  readonly ac?: boolean;
  /** EPT violations tell what the guest's tables say of the linear address. @defaultValue false */
  readonly advancedInformation?: boolean;
}

export type WalkAccess = 'read' | 'write' | 'fetch';

/** One entry that was read. */
export interface WalkEntry {
  readonly kind: TableKind;
  readonly level: number;
  /** Host-physical address; −1 for a PDPTE register. */
  readonly at: number;
  /** Guest-physical address, for entries of the guest's own tables under EPT. */
  readonly guestPhysical: number | null;
  readonly value: U64;
  readonly text: string;
}

export interface AddressExplanation {
  readonly entries: readonly WalkEntry[];
  readonly outcome: 'translated' | 'page fault' | 'EPT violation' | 'EPT misconfiguration' | 'no memory';
  /** Why the walk stopped. */
  readonly why: string;
  /** Error code of the page fault, qualification of the EPT violation (bits 11:0); 0 otherwise. */
  readonly code: number;
  readonly guestPhysical: number | null;
  readonly hostPhysical: number | null;
  readonly text: readonly string[];
}

/** What a walk reads; `undefined` where there is no RAM. */
export interface WalkMemory {
  peek(at: number): number | undefined;
}

const ACCESSED = 0x20;
const DIRTY = 0x40;
const CR0_WP = 1 << 16;
const CR0_PG = 1 << 31;
const CR4_PSE = 1 << 4;
const CR4_PAE = 1 << 5;
const CR4_SMEP = 1 << 20;
const CR4_SMAP = 1 << 21;
/** Qualification of an EPT violation: user page, writable, execute-disable. */
const LINEAR_USER = 0x200;
const LINEAR_WRITABLE = 0x400;
const LINEAR_EXECUTE_DISABLE = 0x800;

interface Request {
  readonly linear?: number;
  readonly guestPhysical?: number;
  readonly access?: WalkAccess;
  readonly user?: boolean;
}

/** Explains a linear address, or a guest-physical one. Supervisor accesses are taken for explicit ones, which EFLAGS.AC
 *  frees of SMAP; protection keys and shadow stacks are left out. */
export function explainAddress(memory: WalkMemory, regime: WalkRegime, request: Request): AddressExplanation {
  return new Walk(memory, regime, request.access ?? 'read', request.user ?? false).explain(request);
}

/** Ends a walk. */
class Stopped {
  readonly outcome: AddressExplanation['outcome'];
  readonly why: string;
  readonly code: number;

  constructor(outcome: AddressExplanation['outcome'], why: string, code = 0) {
    this.outcome = outcome;
    this.why = why;
    this.code = code;
  }
}

const ACCESS_BITS: Readonly<Record<WalkAccess, number>> = { read: 1, write: 2, fetch: 4 };

class Walk {
  readonly #memory: WalkMemory;
  readonly #regime: WalkRegime;
  readonly #access: WalkAccess;
  readonly #user: boolean;
  readonly #entries: WalkEntry[] = [];
  readonly #lines: string[] = [];
  #guestPhysical: number | null = null;
  #hasLinear = false;
  /** What the guest's tables say of the linear address, as an EPT violation tells it. */
  #linearRights = LINEAR_USER | LINEAR_WRITABLE;

  constructor(memory: WalkMemory, regime: WalkRegime, access: WalkAccess, user: boolean) {
    this.#memory = memory;
    this.#regime = regime;
    this.#access = access;
    this.#user = user;
  }

  explain({ linear, guestPhysical }: Request): AddressExplanation {
    let hostPhysical: number | null = null;
    let stopped: Stopped;
    try {
      this.#hasLinear = linear !== undefined;
      const physical = linear === undefined ? (guestPhysical ?? 0) : this.#linear(linear >>> 0);
      this.#guestPhysical = physical;
      hostPhysical = this.#ept(physical, ACCESS_BITS[this.#access], this.#hasLinear, 'final address');
      stopped = new Stopped('translated', '');
      this.#lines.push(`host-physical ${hex(hostPhysical)}`);
    } catch (error) {
      if (!(error instanceof Stopped)) throw error;
      stopped = error;
      this.#lines.push(`${error.outcome}: ${error.why}`);
    }
    const { outcome, why, code } = stopped;
    return {
      entries: this.#entries,
      outcome,
      why,
      code,
      guestPhysical: this.#regime.eptp === null ? null : this.#guestPhysical,
      hostPhysical,
      text: this.#lines,
    };
  }

  /** The guest's own tables: linear to (guest-)physical. */
  #linear(linear: number): number {
    const { cr0, cr3, cr4 } = this.#regime;
    const name = this.#regime.eptp === null ? 'physical' : 'guest-physical';
    this.#lines.push(`linear ${hex(linear)}, ${this.#user ? 'user' : 'supervisor'} ${this.#access}`);
    if ((cr0 & CR0_PG) === 0) {
      this.#lines.push(`  paging is off: ${name} ${hex(linear)}`);
      return linear;
    }
    this.#tellRules();
    const kind: TableKind = (cr4 & CR4_PAE) !== 0 ? 'PAE' : '32-bit';
    const indexBits = kind === 'PAE' ? 9 : 10;
    const entryBytes = kind === 'PAE' ? 8 : 4;
    const seen: EntryMeaning[] = [];
    let table = kind === 'PAE' ? (cr3 & ~31) >>> 0 : (cr3 & ~4095) >>> 0;
    for (let level = kind === 'PAE' ? 3 : 2; ; level--) {
      const index = Math.floor(linear / (4096 * 2 ** (indexBits * (level - 1)))) % (level === 3 ? 4 : 2 ** indexBits);
      const meaning = this.#entry(kind, level, table, index, entryBytes);
      if (!meaning.present) this.#fault('the entry is not present', 0);
      if (meaning.fault !== '') this.#fault(`the entry has reserved bits set (${meaning.fault})`, 9);
      seen.push(meaning);
      table = meaning.address;
      if (!meaning.leaf) continue;
      this.#checkRights(seen);
      this.#markUsed();
      const physical = meaning.address + (linear % pageBytes(kind, level));
      this.#lines.push(`  ${name} ${hex(physical)}`);
      return physical;
    }
  }

  #entry(kind: TableKind, level: number, table: number, index: number, bytes: number): EntryMeaning {
    const rules = { ...this.#regime, pse: (this.#regime.cr4 & CR4_PSE) !== 0 };
    const register = kind === 'PAE' && level === 3 ? this.#regime.pdptes?.[index] : undefined;
    const guestPhysical = table + index * bytes;
    // with EPT accessed and dirty flags, reads of the guest's entries count as writes
    const access = ((this.#regime.eptp?.lo ?? 0) & 0x40) !== 0 ? 3 : 1;
    const at = register === undefined ? this.#ept(guestPhysical, access, true, `level ${level} entry`) : -1;
    const value = register ?? { lo: this.#peek(at), hi: bytes === 8 ? this.#peek(at + 4) : 0 };
    const meaning = readEntry(kind, level, value, rules);
    const isNested = this.#regime.eptp !== null;
    this.#entries.push({ kind, level, at, guestPhysical: isNested ? guestPhysical : null, value, text: meaning.text });
    const where =
      register !== undefined
        ? `PDPTE register ${index}`
        : isNested
          ? `guest-physical ${hex(guestPhysical)}, host-physical ${hex(at)}`
          : hex(at);
    this.#lines.push(`  ${kind} level ${level}, entry ${index} at ${where}`);
    this.#lines.push(`    ${meaning.text}`);
    return meaning;
  }

  #fault(why: string, bits: number): never {
    const nxe = this.#regime.nxe === true || (this.#regime.cr4 & CR4_SMEP) !== 0;
    const fetch = this.#access === 'fetch' && nxe ? 16 : 0;
    throw new Stopped('page fault', why, bits | (this.#access === 'write' ? 2 : 0) | (this.#user ? 4 : 0) | fetch);
  }

  /** What keeps a supervisor from pages of users. */
  #tellRules(): void {
    const { cr4, ac } = this.#regime;
    if (this.#user) return;
    if (this.#access === 'fetch') {
      if ((cr4 & CR4_SMEP) !== 0) this.#lines.push('  CR4.SMEP is 1: no execution from user pages');
    } else if ((cr4 & CR4_SMAP) !== 0) {
      const effect = ac === true ? 'EFLAGS.AC is 1 and lets it through' : 'EFLAGS.AC is 0: no access to user pages';
      this.#lines.push(`  CR4.SMAP is 1, ${effect}`);
    }
  }

  #checkRights(seen: readonly EntryMeaning[]): void {
    const { cr0, cr4, ac } = this.#regime;
    const user = seen.every((m) => m.user);
    const writable = seen.every((m) => m.writable);
    const executable = seen.every((m) => m.executable);
    const protects = (cr0 & CR0_WP) !== 0;
    this.#linearRights =
      (user ? LINEAR_USER : 0) | (writable ? LINEAR_WRITABLE : 0) | (executable ? 0 : LINEAR_EXECUTE_DISABLE);
    if (this.#user && !user) this.#fault('a supervisor page, and the access is a user access', 1);
    if (this.#access !== 'fetch' && !this.#user && user && (cr4 & CR4_SMAP) !== 0 && ac !== true)
      this.#fault('a user page, CR4.SMAP is 1 and EFLAGS.AC is 0', 1);
    if (this.#access === 'write' && !writable && (this.#user || protects))
      this.#fault(`not writable${this.#user ? '' : ', and CR0.WP is 1'}`, 1);
    if (this.#access !== 'fetch') return;
    if (!executable) this.#fault('execution is disabled (bit 63)', 1);
    if (!this.#user && user && (this.#regime.cr4 & CR4_SMEP) !== 0) this.#fault('a user page, and CR4.SMEP is 1', 1);
  }

  /** Accessed and dirty flags that the access sets: each is a write to the guest's entry, which EPT has to allow. */
  #markUsed(): void {
    const { eptp } = this.#regime;
    if (eptp === null || (eptp.lo & 0x40) !== 0) return; // with EPT's own flags every access to an entry was a write already
    const own = this.#entries.filter((entry) => entry.kind !== 'EPT' && !(entry.kind === 'PAE' && entry.level === 3));
    own.forEach((entry, n) => {
      const isLeaf = n === own.length - 1;
      const wanted = ACCESSED | (isLeaf && this.#access === 'write' ? DIRTY : 0);
      if ((entry.value.lo & wanted) === wanted || entry.guestPhysical === null) return;
      const flags = (entry.value.lo & ACCESSED) === 0 ? 'accessed flag' : 'dirty flag';
      this.#ept(entry.guestPhysical, 3, true, `to set the ${flags} of the level ${entry.level} entry`);
    });
  }

  /** Guest-physical to host-physical; the address itself without EPT. */
  #ept(guestPhysical: number, access: number, linear: boolean, what: string): number {
    const { eptp } = this.#regime;
    if (eptp === null) return guestPhysical;
    const final = what === 'final address';
    const indent = final ? '' : '  ';
    this.#lines.push(`${indent}EPT: guest-physical ${hex(guestPhysical)} (${what})`);
    const rules = { ...this.#regime, eptAccessedDirty: (eptp.lo & 0x40) !== 0 };
    let table = (eptp.hi & 0xf_ffff) * 0x1_0000_0000 + ((eptp.lo & ~4095) >>> 0);
    let rights = 7;
    for (let level = 4; ; level--) {
      const index = Math.floor(guestPhysical / (4096 * 2 ** (9 * (level - 1)))) % 512;
      const at = table + index * 8;
      const value = { lo: this.#peek(at), hi: this.#peek(at + 4) };
      const meaning = readEntry('EPT', level, value, rules);
      this.#entries.push({ kind: 'EPT', level, at, guestPhysical: null, value, text: meaning.text });
      this.#lines.push(`${indent}  EPT level ${level}, entry ${index} at ${hex(at)}`, `${indent}    ${meaning.text}`);
      const place = `guest-physical ${hex(guestPhysical)}, level ${level}`;
      if (meaning.fault !== '')
        throw this.#stopAt(guestPhysical, 'EPT misconfiguration', `${place}: ${meaning.fault}`, 0);
      rights &= value.lo & 7;
      const told = linear && final ? 0x100 | (this.#regime.advancedInformation ? this.#linearRights : 0) : 0;
      const code = access | (rights << 3) | (linear ? 0x80 : 0) | told;
      if (!meaning.present) throw this.#stopAt(guestPhysical, 'EPT violation', `${place}: not present`, code & ~0x38);
      if (!meaning.leaf) {
        table = meaning.address;
        continue;
      }
      if ((rights & access) !== access) {
        const why = `${place}: ${rightsText(access)} is wanted, all levels together allow ${rightsText(rights)}`;
        throw this.#stopAt(guestPhysical, 'EPT violation', why, code);
      }
      return meaning.address + (guestPhysical % pageBytes('EPT', level));
    }
  }

  #stopAt(guestPhysical: number, outcome: AddressExplanation['outcome'], why: string, code: number): Stopped {
    this.#guestPhysical = guestPhysical;
    return new Stopped(outcome, why, code);
  }

  #peek(at: number): number {
    const value = this.#memory.peek(at);
    if (value === undefined) throw new Stopped('no memory', `there is no RAM at host-physical ${hex(at)}`);
    return value;
  }
}
