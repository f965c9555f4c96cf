/** Mistakes that are planted in the memory unit, in VMX and in the hypervisor, one at a time. Each is a piece of a source file that stands
 *  there exactly once, and what replaces it; the test that plants them fails if the piece is gone. */

export interface PlantedFault {
  readonly what: string;
  /** From src. */
  readonly file: string;
  readonly piece: string;
  readonly instead: string;
}

const fault = (what: string, file: string, piece: string, instead: string): PlantedFault => ({
  what,
  file,
  piece,
  instead,
});
/** A row of invalidate.ts with one of its scopes taken away. */
const row = (what: string, name: string, scope: string, before: string, after = 'none'): PlantedFault =>
  fault(what, 'mmu/invalidate.ts', `${name}: { ${before}${scope}'`, `${name}: { ${before}${after}'`);

export const PLANTED: readonly PlantedFault[] = [
  // what is cached and what kills it
  row('MOV to CR3 spares the TLB', 'movToCr3', 'vpidButGlobals', "linear: '"),
  row('MOV to CR3 spares page-directory entries', 'movToCr3', 'vpid', "linear: 'vpidButGlobals', linearStructures: '"),
  row('INVLPG spares the TLB', 'invlpg', 'page', "linear: '"),
  row('INVLPG spares page-directory entries', 'invlpg', 'vpid', "linear: 'page', linearStructures: '"),
  row('a page fault spares the translation that faulted', 'pageFault', 'page', "linear: '"),
  row('a change of CR4.PGE spares global pages', 'pagingModeChange', 'vpid', "linear: '", 'vpidButGlobals'),
  row('VM entry and exit without VPID spare the TLB', 'vmTransition', 'vpid', "linear: '"),
  row('INVEPT of one context spares combined translations', 'inveptSingle', 'eptrta', "linear: '"),
  row(
    'INVEPT of one context spares guest-physical translations',
    'inveptSingle',
    'eptrta',
    "linear: 'eptrta', linearStructures: 'eptrta', guestPhysical: '",
  ),
  row(
    'an EPT violation spares the guest-physical translation',
    'eptViolation',
    'address',
    "linear: 'address', linearStructures: 'address', guestPhysical: '",
  ),
  fault(
    'INVLPG kills one piece of a large page only',
    'mmu/invalidate.ts',
    'if (space.plain.pieces + space.global.pieces === 0) return;',
    'return;',
  ),
  fault(
    'a flush leaves the copies in the fast tables',
    'mmu/invalidate.ts',
    'if (c.vpid === target.vpid) fast.clearPlain(c);',
    '',
  ),
  fault('INVEPT leaves the front of the guest-physical cache', 'mmu/invalidate.ts', 'caches.front?.clear();', ''),
  // walks
  fault('rights of the last level count alone', 'mmu/walker.ts', 'rights &= given;', 'rights = given;'),
  fault('writes do not set the dirty flag', 'mmu/walker.ts', '(write && level === leaf ? format.dirty : 0)', '0'),
  fault(
    'the accessed flag of the directory entry is skipped',
    'mmu/walker.ts',
    'if ((this.#lows[level] & want) === want) continue;',
    'if (level > leaf || (this.#lows[level] & want) === want) continue;',
  ),
  fault('every page is taken for a global one', 'mmu/walker.ts', '(low & format.global) !== 0', 'true'),
  fault(
    'remembered directory entries lose their rights',
    'mmu/walker.ts',
    'rights &= this.#given[level];',
    'rights = ALL_RIGHTS;',
  ),
  fault('a large page ignores the low bits of its page number', 'mmu/walker.ts', '| (page & within)', '| 0'),
  // accesses
  fault('writes through a clean entry are fast', 'mmu/translator.ts', '(flags & ENTRY_DIRTY) !== 0 &&\n', 'true &&\n'),
  fault(
    'write protection by EPT does not reach the fast tables',
    'mmu/translator.ts',
    '((flags >>> EPT_RIGHTS_SHIFT) & WRITE) !== 0 &&',
    'true &&',
  ),
  fault(
    'a cached translation is not asked for its EPT rights',
    'mmu/translator.ts',
    '((flags >>> EPT_RIGHTS_SHIFT) & access) === 0',
    'false',
  ),
  fault(
    'a write through a clean entry does not walk',
    'mmu/translator.ts',
    'access === WRITE && (flags & ENTRY_DIRTY) === 0',
    'false',
  ),
  fault(
    'CR0.WP has no effect',
    'mmu/regime.ts',
    '(this.#S[CR0] & CR0_WP) !== 0 ? SUPERVISOR_WP : SUPERVISOR',
    'SUPERVISOR',
  ),
  fault(
    'ring 3 reaches supervisor pages',
    'mmu/regime.ts',
    'return (rights & USER) !== 0 && (rights & access) !== 0;',
    'return (rights & access) !== 0;',
  ),
  // EPT
  fault(
    'EPT rights are not asked for after a walk',
    'mmu/nested.ts',
    'if (outcome !== WALKED || (this.rights & access) !== access)',
    'if (outcome !== WALKED)',
  ),
  fault(
    'accessed and dirty flags are written to tables that EPT protects',
    'mmu/nested.ts',
    'const access = write || this.#format.dirty !== 0 ? READ | WRITE : READ;',
    'const access = READ;',
  ),
  fault(
    'the front of the guest-physical cache is not asked for rights',
    'mmu/nested.ts',
    'if (front?.find(this.root, page) && (front.rights & access) === access) {',
    'if (front?.find(this.root, page)) {',
  ),
  fault('EPT has no dirty flag', 'mmu/ept.ts', 'dirty: flags ? DIRTY : 0,', 'dirty: 0,'),
  fault(
    'reads leave the accessed flags of EPT alone',
    'mmu/nested.ts',
    'walker.markUsed(this.#format, bareEntries',
    'if (write) walker.markUsed(this.#format, bareEntries',
  ),
  fault(
    'a guest-physical translation lets writes through while its dirty flag is clear',
    'mmu/nested.ts',
    'this.wasClean = (access & WRITE) !== 0 && !this.dirty;',
    'this.wasClean = false;',
  ),
  fault(
    'a combined translation lets writes through while the dirty flag of EPT is clear',
    'mmu/translator.ts',
    'if (!nested.dirty) flags &= ~ENTRY_DIRTY;',
    '',
  ),
  fault(
    'a page is not written to the page-modification log',
    'vmx/pml.ts',
    '  x.cpu.memory.write32(at, page << 12);\n',
    '',
  ),
  fault(
    'the index of the page-modification log stays',
    'vmx/pml.ts',
    '  setWord(x, W.W_PML_INDEX, (index - 1) & 0xffff);\n',
    '',
  ),
  fault(
    'writes go on when the page-modification log is full',
    'vmx/pml.ts',
    'if (index >= ENTRIES) return false;',
    'if (index >= ENTRIES) return true;',
  ),
  fault(
    'a hypervisor clears dirty flags of EPT without INVEPT',
    '../tests/properties/isolation/rough.ts',
    '    vm.written.clear();\n    vm.flush();\n',
    '    vm.written.clear();\n',
  ),
  // PAE paging
  fault('NX is ignored', 'mmu/pae.ts', 'executeDisable: nxe ? XD : 0,', 'executeDisable: 0,'),
  fault(
    'NX of a page-directory entry is ignored',
    'mmu/walker.ts',
    'if ((high & format.executeDisable) !== 0)',
    'if (level === 1 && (high & format.executeDisable) !== 0)',
  ),
  fault(
    'NX of a page-directory entry is ignored where everything is accessed',
    'mmu/settled-walk.ts',
    '((directoryHigh | tableHigh) & executeDisable)',
    '(tableHigh & executeDisable)',
  ),
  fault(
    'rights of the directory are ignored where everything is accessed',
    'mmu/settled-walk.ts',
    'this.rights = ia32.rights[directory & 7] & ia32.rights[table & 7];',
    'this.rights = ia32.rights[table & 7];',
  ),
  fault(
    'PDPTEs are read again from memory for each walk',
    'mmu/translator.ts',
    '    const root = this.#regime.root(page);\n',
    '    if ((this.#S[CR4] & CR4_PAE) !== 0) this.loadPointers(this.#S[CR3]);\n    const root = this.#regime.root(page);\n',
  ),
  fault(
    'a change of CR4.PGE keeps the PDPTE registers',
    'cpu/system/control-registers.ts',
    'if (((old ^ value) & CR4_LOADS_PDPTES) !== 0) loadPdptes',
    'if (((old ^ value) & CR4_PAE) !== 0) loadPdptes',
  ),
  fault(
    'VM exit does not save the PDPTE registers',
    'vmx/pdptes.ts',
    'for (let k = 0; k < WORDS; k++) setWord(x, W.W_PDPTES + k, S[PDPTE + k]);',
    '',
  ),
  fault(
    'VM entry loads PDPTEs from memory',
    'vmx/pdptes.ts',
    'if (x.secondary(SECONDARY.ENABLE_EPT)) for (let k = 0; k < WORDS; k++) S[PDPTE + k] = x.words[W.W_PDPTES + k];\n  else ',
    '',
  ),
  fault(
    'VM exit does not save IA32_EFER',
    'vmx/exit.ts',
    'if ((controls & (VM_EXIT.SAVE_IA32_PAT | VM_EXIT.SAVE_IA32_EFER)) !== 0) saveGuestMsrs(x);',
    '',
  ),
  // VMX
  fault(
    'VM entry ignores the VPID',
    'vmx/entry.ts',
    'mmu.vpid = x.secondary(SECONDARY.ENABLE_VPID) ? w[W.W_VPID] : 0;',
    'mmu.vpid = x.secondary(SECONDARY.ENABLE_VPID) ? 1 : 0;',
  ),
  fault(
    'VM entry keeps the EPT pointer of the VM before',
    'vmx/entry.ts',
    'mmu.eptpLow = w[W.W_EPTP];',
    'mmu.eptpLow ||= w[W.W_EPTP];',
  ),
  fault('VM exit keeps the guest’s VPID', 'vmx/exit.ts', '  mmu.vpid = 0;\n', ''),
  fault('INVEPT does nothing', 'vmx/invalidation.ts', 'x.cpu.mmu.invept(type, eptpLow, eptpHigh);', ''),
  // the hypervisor
  fault(
    'scratch memory is taken away without INVEPT',
    'hypervisor/float.ts',
    'this.#root.invept(SINGLE_CONTEXT, this.#ept.pointer, 0);',
    '',
  ),
  fault(
    'the page of ones may be written',
    'hypervisor/float.ts',
    'leafEntry(frames.ones, EPT_READ)',
    'leafEntry(frames.ones, EPT_READ | EPT_WRITE)',
  ),
  fault(
    'scratch memory stays when the instruction is over',
    'hypervisor/float.ts',
    'for (const address of this.#scratch) this.allowReads(address);',
    '',
  ),
  fault(
    'EPT maps a page beside the one that was allocated',
    'hypervisor/guest-memory.ts',
    'ept?.map(page, this.#frames[page]);',
    'ept?.map(page, page === 0x123 ? this.#frames[page] ^ 1 : this.#frames[page]);',
  ),
  fault('all VMs share a VPID', 'hypervisor/hypervisor.ts', 'controls.vpid ? number + 1 : 0', 'controls.vpid ? 1 : 0'),
  fault(
    'a VM goes on with the VMCS of another',
    'hypervisor/turn.ts',
    'if (this.#root.vmptrst() !== vm.vcpu.vmcs) this.#root.vmptrld(vm.vcpu.vmcs);',
    'if (this.#root.vmptrst() < 0) this.#root.vmptrld(vm.vcpu.vmcs);',
  ),
  fault('CR2 is not the guest’s own', 'hypervisor/turn.ts', 'this.#root.setCr2(vcpu.cr2);', ''),
  fault(
    'a register is left to the next VM',
    'hypervisor/vcpu.ts',
    'const HELD = [EAX, ECX, EDX, EBX, EBP, ESI, EDI] as const;',
    'const HELD = [EAX, ECX, EDX, EBP, ESI, EDI] as const;',
  ),
  // the shadow pager
  fault(
    'a table of the guest is not write-protected',
    'hypervisor/shadow/leaves.ts',
    '(flags & D) === 0 || s.tables.isProtected(frame)',
    '(flags & D) === 0',
  ),
  fault(
    'a shadow entry may be written before the guest’s is dirty',
    'hypervisor/shadow/leaves.ts',
    '(flags & D) === 0 || s.tables.isProtected(frame)',
    's.tables.isProtected(frame)',
  ),
  fault(
    'a shadow entry exists before the guest’s is accessed',
    'hypervisor/shadow/leaves.ts',
    'if ((flags & (P | A | RESERVED)) !== (P | A)) return EMPTY;',
    'if ((flags & (P | RESERVED)) !== P) return EMPTY;',
  ),
  fault(
    'the user bit of the role is ignored',
    'hypervisor/shadow/leaves.ts',
    '(role & USER) !== 0 && (flags & US) !== 0',
    '(flags & US) !== 0',
  ),
  fault(
    'the writable bit of the role is ignored',
    'hypervisor/shadow/leaves.ts',
    '(role & WRITABLE) !== 0 && (flags & RW) !== 0',
    '(flags & RW) !== 0',
  ),
  fault(
    'a shadow entry is taken away without a flush',
    'hypervisor/shadow/leaves.ts',
    'if (!isNothing(old) && !(before === target && allowsMore(leaf, old))) {\n    s.flush.all();',
    'if (!isNothing(old) && !(before === target && allowsMore(leaf, old))) {',
  ),
  fault(
    'write protection is put on without a flush',
    'hypervisor/shadow/leaves.ts',
    's.stats.drops++;\n    s.flush.all();',
    's.stats.drops++;',
  ),
  fault(
    'a table that is brought up to date can be written still',
    'hypervisor/shadow/sync.ts',
    '    protect(s, table.guestFrame);\n',
    '',
  ),
  fault(
    'a new shadow table leaves the guest’s own writable',
    'hypervisor/shadow/room.ts',
    '      protect(s, guestFrame);\n',
    '',
  ),
  fault('MOV to CR3 does not flush', 'hypervisor/shadow/pager.ts', '    flush.notGlobal();\n', ''),
  fault(
    'INVLPG leaves a table out of date',
    'hypervisor/shadow/pager.ts',
    'this.stats.invlpgs++;\n    syncPage(this.#state, linear);',
    'this.stats.invlpgs++;',
  ),
  fault(
    'a page fault of the guest leaves a table out of date',
    'hypervisor/shadow/fill.ts',
    '      syncPage(s, linear);\n',
    '',
  ),
  fault(
    'a shadow table is unlinked without a flush',
    'hypervisor/shadow/directories.ts',
    '  s.flush.all();\n  s.stats.drops++;',
    '  s.stats.drops++;',
  ),
  fault(
    'a load of CR3 leaves tables out of date',
    'hypervisor/shadow/sync.ts',
    'if (isBelow) syncTable(s, table);',
    '',
  ),
  fault(
    'the pager takes rings for equal when CR0.WP is 0',
    'hypervisor/paging/walk.ts',
    '(!isUser && (r.cr0 & CR0_WP) === 0)',
    '(r.cr0 & CR0_WP) === 0',
  ),
  fault(
    'shadow entries let be executed what the guest’s do not',
    'hypervisor/shadow/leaves.ts',
    'const noExecute = (role & NO_EXECUTE) !== 0 ? NX : flags & NX;',
    'const noExecute = 0;',
  ),
  fault(
    'a directory that comes into use leaves its tables out of date',
    'hypervisor/shadow/fill.ts',
    'if (child.isDirectory) syncBelow(s, child);',
    '',
  ),
  fault(
    'what the guest makes present without an exit stays absent',
    'hypervisor/shadow/absent.ts',
    'if (table.flags[index] === ABSENT) table.write(index, EMPTY);',
    'if (table.flags[index] === ABSENT) table.write(index, ABSENT);',
  ),
];
