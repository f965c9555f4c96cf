/** Registers at the first instruction of an image. */

/** Visible and hidden part; access rights in VMX's format. */
export interface SegmentRegisters {
  readonly selector: number;
  readonly base: number;
  readonly limit: number;
  readonly access: number;
}

export interface EntryRegisters {
  /** EAX ECX EDX EBX ESP EBP ESI EDI. */
  readonly general: readonly number[];
  readonly eip: number;
  readonly eflags: number;
  readonly cr0: number;
  /** ES CS SS DS FS GS LDTR TR, the order of the register file. */
  readonly segments: readonly SegmentRegisters[];
  readonly gdtr: { readonly base: number; readonly limit: number };
  readonly idtr: { readonly base: number; readonly limit: number };
}

const EFLAGS_RESET = 0x2;
const CR0_PE_ET = 0x11;
const CR0_ET = 0x10;

const flatCode: SegmentRegisters = { selector: 0x08, base: 0, limit: 0xffff_ffff, access: 0xc09b };
const flatData: SegmentRegisters = { selector: 0x10, base: 0, limit: 0xffff_ffff, access: 0xc093 };
const realCode: SegmentRegisters = { selector: 0, base: 0, limit: 0xffff, access: 0x9b };
const realData: SegmentRegisters = { selector: 0, base: 0, limit: 0xffff, access: 0x93 };
const noLdt: SegmentRegisters = { selector: 0, base: 0, limit: 0xffff, access: 0x82 };
const noTask: SegmentRegisters = { selector: 0, base: 0, limit: 0xffff, access: 0x8b };

/** Protected mode without paging, flat segments, interrupts off ("Multiboot Specification", section 3.2, "Machine state").
 *  There is no usable GDT or IDT yet: loading a segment register needs one first. */
export function flatEntry(eip: number, eax: number, ebx: number): EntryRegisters {
  return {
    general: [eax, 0, 0, ebx, 0, 0, 0, 0],
    eip,
    eflags: EFLAGS_RESET,
    cr0: CR0_PE_ET,
    segments: [flatData, flatCode, flatData, flatData, flatData, flatData, noLdt, noTask],
    gdtr: { base: 0, limit: 0 },
    idtr: { base: 0, limit: 0 },
  };
}

/** Real mode with CS = 0, as firmware enters a boot sector: DL names the first disk, the stack is below the code. */
export function realEntry(eip: number): EntryRegisters {
  return {
    general: [0, 0, 0x80, 0, 0x7c00, 0, 0, 0],
    eip,
    eflags: EFLAGS_RESET,
    cr0: CR0_ET,
    segments: [realData, realCode, realData, realData, realData, realData, noLdt, noTask],
    gdtr: { base: 0, limit: 0xffff },
    idtr: { base: 0, limit: 0x3ff },
  };
}
