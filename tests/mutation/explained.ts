/** Mutants that no test can notice, or should. A mutant is named by its line of source, not by a number. */
export interface Explained {
  readonly title: string;
  readonly file: string;
  /** The lines as they stand in the source, without indentation. */
  readonly lines: readonly string[];
  /** These replacements only; of these pieces only. */
  readonly only?: readonly string[];
  readonly at?: readonly string[];
  readonly why: string;
}

const LEVELS =
  'lists are indexed by level from 1 on, and at level 1 every entry maps a page: element 0, and what element 1 says of tables, is never read.';
const READ_BIT = 'READ is bit 0, and has been given already: 0 and 1 in its place are the same.';
const SPREAD =
  'any order and any seed is right: what is forgotten, evicted or put where is drawn, and only has to be the same in the next run.';
const HIGH =
  'RAM ends below 2 GiB (`PhysicalMemory` refuses more), and nothing answers at an address from there on, be it written with a sign or without.';
const UNDEFINED = 'the manual leaves this field undefined for this exit.';

const CAST_OF_APIC = ['x.words[W.W_VIRTUAL_APIC] >>> 0', '(x.words[W.W_VIRTUAL_APIC] >>> 0)'];

export const EXPLAINED: readonly Explained[] = [
  {
    title: 'Elements that no level has (PAE)',
    file: 'src/mmu/pae.ts',
    lines: ['page: [0, 0, PS],', 'reservedTable: [0, 0, 0],', 'reservedPage: [0, 0, RESERVED_2M],'],
    at: ['0'],
    why: LEVELS,
  },
  {
    title: 'Elements that no level has (32-bit paging)',
    file: 'src/mmu/ia32.ts',
    lines: ['page: [0, 0, 0],', 'reservedTable: [0, 0, 0],', 'reservedPage: [0, 0, RESERVED_4M],'],
    at: ['0'],
    why: LEVELS,
  },
  {
    title: 'Rights that are there anyway (PAE)',
    file: 'src/mmu/pae.ts',
    lines: [
      'rights: rightsOf((low) => READ | EXECUTE | ((low & RW) !== 0 ? WRITE : 0) | ((low & US) !== 0 ? USER : 0)),',
    ],
    at: ['0'],
    why: READ_BIT,
  },
  {
    title: 'Rights that are there anyway (32-bit paging)',
    file: 'src/mmu/ia32.ts',
    lines: [
      'rights: rightsOf((low) => READ | EXECUTE | ((low & RW) !== 0 ? WRITE : 0) | ((low & US) !== 0 ? USER : 0)),',
    ],
    at: ['0'],
    why: READ_BIT,
  },
  {
    title: 'Execute-disable without NXE',
    file: 'src/mmu/pae.ts',
    lines: ['executeDisable: nxe ? XD : 0,'],
    why: 'without IA32_EFER.NXE bit 63 is reserved, which ends the walk before rights are asked for, and a fetch needs no right to execute.',
  },
  {
    title: 'What a translation draws',
    file: 'src/mmu/policy.ts',
    lines: [
      'let h = x | 0;',
      'h = Math.imul(h ^ (h >>> 16), 0x85eb_ca6b);',
      'h = Math.imul(h ^ (h >>> 13), 0xc2b2_ae35);',
      'return h ^ (h >>> 16);',
      'this.#seed = (seed ?? 1) | 0;',
      'this.#spread = mix(this.#seed + 0x9e37_79b1);',
      'return mix(this.#seed ^ Math.imul(salt, 0x9e37_79b1)) || 1;',
      'return (mix(mix(mix(this.#spread ^ key) ^ tag) ^ this.events) & 1) !== 0;',
    ],
    why: SPREAD,
  },
  {
    title: 'Buckets and victims',
    file: 'src/mmu/store.ts',
    lines: [
      'const h = Math.imul(key ^ Math.imul(id | 0, 0x85eb_ca6b), 0x9e37_79b1);',
      'x ^= x << 13;',
      'x ^= x >>> 17;',
      'x ^= x << 5;',
      'this.#random = x;',
      'this.#random = policy.generator(salt);',
    ],
    why: SPREAD,
  },
  {
    title: 'Where the words of a VMCS stand',
    file: 'src/vmx/vmcs.ts',
    lines: [
      'let state = (seed ^ 0x9e37_79b9) | 1;',
      'state ^= state << 13;',
      'state ^= state >>> 17;',
      'state ^= state << 5;',
      'for (let i = slots - 1; i > 0; i--) {',
      'const j = (state >>> 0) % (i + 1);',
    ],
    why: `the manual leaves the layout to the processor. As long as each word has a place of its own, ${SPREAD}`,
  },
  {
    title: 'Addresses of 2 GiB and more (virtual-APIC page)',
    file: 'src/vmx/virtual-apic.ts',
    lines: [
      'const read = (x: VmxContext, offset: number): number => x.cpu.memory.read32((x.words[W.W_VIRTUAL_APIC] >>> 0) + offset);',
      'x.cpu.memory.write32((x.words[W.W_VIRTUAL_APIC] >>> 0) + offset, value);',
    ],
    at: CAST_OF_APIC,
    why: HIGH,
  },
  {
    title: 'Addresses of 2 GiB and more (window of the APIC-access page)',
    file: 'src/vmx/apic-page.ts',
    lines: ['const virtualApic = (x: VmxContext): number => x.words[W.W_VIRTUAL_APIC] >>> 0;'],
    at: CAST_OF_APIC,
    why: HIGH,
  },
  {
    title: 'Addresses of 2 GiB and more (VMCS link pointer)',
    file: 'src/vmx/checks/guest-state.ts',
    lines: ['const linkedHead = (v: EntryView) => v.memory.read32(v.low(F.VMCS_LINK_POINTER) >>> 0);'],
    at: ['v.low(F.VMCS_LINK_POINTER) >>> 0'],
    why: HIGH,
  },
  {
    title: 'Addresses of 2 GiB and more (page-modification log)',
    file: 'src/vmx/pml.ts',
    lines: ['const at = (x.words[W.W_PML_ADDRESS] >>> 0) + 8 * index;'],
    at: ['x.words[W.W_PML_ADDRESS] >>> 0', '(x.words[W.W_PML_ADDRESS] >>> 0)'],
    why: HIGH,
  },
  {
    title: 'Addresses of 2 GiB and more (page-directory-pointer table)',
    file: 'src/mmu/pae.ts',
    lines: ['export const pointerTable = (cr3: number): number => (cr3 & ~31) >>> 0;'],
    at: ['(cr3 & ~31) >>> 0'],
    why: HIGH,
  },
  {
    title: 'Instruction information of task switches; error code of NMIs',
    file: 'src/vmx/events.ts',
    lines: [
      '} else exitInstruction(x, EXIT.TASK_SWITCH, qualification, (S[EIP] - S[START_EIP]) & 15, 0);',
      'exitEvent(x, EXIT.EXCEPTION_OR_NMI, 0, event.vector | (T.NMI << 8), 0, 0);',
    ],
    only: ['1'],
    why: UNDEFINED,
  },
  {
    title: 'Instruction information of VMFUNC',
    file: 'src/vmx/vm-functions.ts',
    lines: ['if (!enabled || !switchEptp(x, cpu.S[ECX] >>> 0)) exitInstruction(x, EXIT.VMFUNC, 0, i.length, 0);'],
    only: ['1'],
    why: UNDEFINED,
  },
  {
    title: 'The first word of the area for #VE',
    file: 'src/vmx/virtualization-exception.ts',
    lines: ['memory.write32(at + REASON, EXIT.EPT_VIOLATION);'],
    only: ['at - REASON'],
    why: 'the exit reason stands at offset 0.',
  },
  {
    title: 'Entries of MSR areas in IA32_VMX_MISC',
    file: 'src/vmx/capabilities.ts',
    lines: ['((c.msrAreaEntries / 512 - 1) << 25) |'],
    only: ['513', '26'],
    why: 'all processor models promise 512, which is told as 0 in whatever bits.',
  },
  {
    title: 'IA32_DEBUGCTL.LBR',
    file: 'src/vmx/checks/guest-state.ts',
    lines: ['const singleSteps = (v: EntryView) => flag(v, FLAG_TF) && (v.low(F.GUEST_IA32_DEBUGCTL) & 2) === 0;'],
    only: ['3'],
    why: 'bit 0 (LBR) is not offered: an earlier check refuses it.',
  },
  {
    title: 'Lists of bits in messages',
    file: 'src/vmx/checks/check.ts',
    lines: ['for (let bit = 31; bit >= 0; bit--) if ((mask >>> bit) & 1) bits.push(bit);'],
    why: 'only makes a text.',
  },
  {
    title: 'Short ways of the memory',
    file: 'src/mmu/physical-memory.ts',
    lines: [
      'if (at >= 0 && at <= this.bytes - 2)',
      'return (at & 1) === 0 ? this.u16[at >>> 1] : this.u8[at] | (this.u8[at + 1] << 8);',
      'if (at >= 0 && at <= this.bytes - 4) {',
      'if (this.pageFlags[at >>> 12] !== 0) this.#beforeWrite(at >>> 12, at, 1);',
    ],
    only: ['at < 0', 'at > 0', 'at | 1', 'at < this.bytes - 4', 'true'],
    why: 'an access that takes the long way instead, byte by byte, has the same outcome; and who is asked about a frame without flags has nothing to say.',
  },
  {
    title: 'The APIC-access page named anew',
    file: 'src/mmu/mmu.ts',
    lines: ['if (frame === this.#guestApicFrame) return;', 'this.#guestApicFrame = frame;'],
    only: ['false', ''],
    why: 'saves work at VM entries that name the same page as the last one. Fast tables that are emptied once more fill again.',
  },
  {
    title: 'Addresses of 2 GiB and more (pointers of VMX instructions)',
    file: 'src/vmx/operations.ts',
    lines: ['x.vmxonPointer = lo >>> 0;'],
    only: ['lo'],
    why: HIGH,
  },
  {
    title: 'Addresses of 2 GiB and more (MSR-store area)',
    file: 'src/vmx/msr-areas.ts',
    lines: ['const at = (address >>> 0) + 16 * n;'],
    only: ['address'],
    why: HIGH,
  },
  {
    title: 'First values of fields that every walk sets',
    file: 'src/mmu/walker.ts',
    lines: [
      'frame = 0;',
      'shift = 0;',
      'level = 0;',
      'high = 0;',
      'rights = 0;',
      '#first = 0;',
      'readonly #tables = [0, 0, 0, 0, 0, 0];',
      'readonly #offsets = [0, 0, 0, 0, 0, 0];',
      'readonly #lows = [0, 0, 0, 0, 0, 0];',
      'readonly #given = [0, 0, 0, 0, 0, 0]; // rights that the entry gives',
    ],
    only: ['1'],
    why: 'nobody reads them before the first walk, which writes them.',
  },
];
