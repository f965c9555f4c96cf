/** What an entry of an MSR-load area must be like (SDM Vol. 3, "Loading MSRs"), on VM entry (exit reason 34) and on VM exit (abort 4). */

const IA32_SMM_MONITOR_CTL = 0x9b;
const IA32_BIOS_UPDT_TRIG = 0x79;
const IA32_BIOS_SIGN_ID = 0x8b;
const IA32_FS_BASE = 0xc000_0100;
const IA32_GS_BASE = 0xc000_0101;
/** First of the x2APIC range 800h to 8FFh. */
const X2APIC = 0x8;

/** One entry: MSR index, 32 reserved bits, value. Int32 patterns. */
export interface MsrEntry {
  index: number;
  reserved: number;
  lo: number;
  hi: number;
}

export interface MsrLoadRule {
  readonly id: string;
  readonly message: string;
  readonly holds: (entry: MsrEntry) => boolean;
}

/** Rules in the manual's order; `msr-load.wrmsr`, that WRMSR at CPL 0 would not fault, is what remains. */
export const MSR_LOAD_RULES: readonly MsrLoadRule[] = [
  {
    id: 'msr-load.base',
    message: 'the index must not be C000_0100h (IA32_FS_BASE) or C000_0101h (IA32_GS_BASE)',
    holds: (e) => e.index >>> 0 !== IA32_FS_BASE && e.index >>> 0 !== IA32_GS_BASE,
  },
  {
    id: 'msr-load.x2apic',
    message: 'bits 31:8 of the index must not be 00_0008h (registers of the local APIC)',
    holds: (e) => e.index >>> 8 !== X2APIC,
  },
  {
    id: 'msr-load.smm',
    message: 'the index must not name an MSR that only system-management mode may write (IA32_SMM_MONITOR_CTL)',
    holds: (e) => e.index !== IA32_SMM_MONITOR_CTL,
  },
  {
    id: 'msr-load.microcode',
    message: 'the index must not be 79h (IA32_BIOS_UPDT_TRIG) or 8Bh (IA32_BIOS_SIGN_ID): model-specific',
    holds: (e) => e.index !== IA32_BIOS_UPDT_TRIG && e.index !== IA32_BIOS_SIGN_ID,
  },
  {
    id: 'msr-load.reserved',
    message: 'bits 63:32 of the entry must be 0',
    holds: (e) => e.reserved === 0,
  },
];

export const MSR_LOAD_WRMSR = 'msr-load.wrmsr';

/** Id of the first rule that an entry breaks, or null. `write` is WRMSR at CPL 0: false where it would raise #GP(0). */
export function loadMsrEntry(
  entry: MsrEntry,
  write: (index: number, lo: number, hi: number) => boolean,
): string | null {
  for (const rule of MSR_LOAD_RULES) if (!rule.holds(entry)) return rule.id;
  return write(entry.index >>> 0, entry.lo, entry.hi) ? null : MSR_LOAD_WRMSR;
}

/** May an MSR-store area name this MSR? Its value is read as by RDMSR at CPL 0 otherwise. */
export const storable = (index: number, reserved: number): boolean =>
  reserved === 0 && index >>> 8 !== X2APIC && index !== IA32_SMM_MONITOR_CTL;
