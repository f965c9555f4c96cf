/** Control-register accesses that exit. The guest owns CR0 and CR4 but for the bits that VMX needs: of those it sees what it wrote.
 *  Reference: SDM Vol. 3, "Exit Qualification for Control-Register Accesses", "Guest/Host Masks and Read Shadows". */

import { CR0_CD, CR0_ET, CR0_NW, CR0_PE, CR0_PG, CR0_TS } from '../../base/registers.ts';
import { GP } from '../../base/signal.ts';
import type { RootMode } from '../../machine/root-mode.ts';
import * as F from '../../vmx/fields.ts';
import { loadsPdptes, readPdptes, usesPae } from '../paging/registers.ts';
import type { Vm } from '../vm.ts';
import { CR0_HOST_OWNED } from '../vmcs-setup.ts';
import type { ExitHandler, Outcome } from './handler.ts';
import { accessWithShadow as shadowAccess } from './shadow-registers.ts';

// Access types in the qualification
const MOV_TO = 0;
const MOV_FROM = 1;
const CLTS = 2;

/** INVVPID types. */
const SINGLE_CONTEXT = 1;
const SINGLE_CONTEXT_RETAINING_GLOBALS = 3;

const LMSW_BITS = 0xf;

export const crAccess: ExitHandler = (vm, root) => {
  const qualification = vm.vcpu.read(F.EXIT_QUALIFICATION);
  const cr = qualification & 15;
  const type = (qualification >> 4) & 3;
  const register = (qualification >> 8) & 15;
  if (vm.shadow !== null) return shadowAccess(vm, vm.shadow, qualification);
  if (type === MOV_TO && cr === 0) return writeCr0(vm, root, vm.vcpu.getRegister(register));
  if (type === MOV_TO && cr === 3) {
    if (loadCr3(vm, root, vm.vcpu.getRegister(register))) return 'done';
    vm.raise(GP, 0);
    return 'resume';
  }
  if (type === MOV_TO && cr === 4) {
    vm.raise(GP, 0); // the only bit that exits is VMXE, which the guest's processor does not have
    return 'resume';
  }
  if (type === MOV_FROM && cr === 3) {
    vm.vcpu.setRegister(register, vm.vcpu.read(F.GUEST_CR3));
    return 'done';
  }
  if (type === CLTS) {
    vm.vcpu.write(F.GUEST_CR0, vm.vcpu.read(F.GUEST_CR0) & ~CR0_TS);
    return 'done';
  }
  if (cr === 0) {
    // LMSW: the low four bits, but it cannot clear PE.
    const source = (qualification >>> 16) & LMSW_BITS;
    const old = guestCr0(vm);
    return writeCr0(vm, root, (old & ~LMSW_BITS) | source | (old & CR0_PE));
  }
  vm.stop('unsupported', `access to CR${cr}`);
  return 'resume';
};

/** CR3 gets a new value: the guest's translations but global ones go. False, and nothing changed, if a PDPTE has reserved bits. */
export function loadCr3(vm: Vm, root: RootMode, value: number): boolean {
  if (vm.shadow !== null) return vm.shadow.loadCr3(value);
  const { cr0, cr4 } = vm.vcpu;
  if (usesPae(cr0, cr4) && !loadPdptes(vm, value)) return false;
  vm.vcpu.write(F.GUEST_CR3, value);
  flush(vm, root, SINGLE_CONTEXT_RETAINING_GLOBALS);
  return true;
}

/** What the guest takes for CR0. */
function guestCr0(vm: Vm): number {
  const real = vm.vcpu.read(F.GUEST_CR0);
  return (real & ~CR0_HOST_OWNED) | (vm.vcpu.read(F.CR0_READ_SHADOW) & CR0_HOST_OWNED);
}

function writeCr0(vm: Vm, root: RootMode, value: number): Outcome {
  const isInvalid = (value & CR0_PG && !(value & CR0_PE)) || (value & CR0_NW && !(value & CR0_CD));
  if (isInvalid) {
    vm.raise(GP, 0);
    return 'resume';
  }
  const old = vm.vcpu.read(F.GUEST_CR0);
  const { cr3, cr4 } = vm.vcpu;
  if (loadsPdptes(old, cr4, value, cr4) && !loadPdptes(vm, cr3)) {
    vm.raise(GP, 0);
    return 'resume';
  }
  vm.vcpu.write(F.CR0_READ_SHADOW, value);
  vm.vcpu.write(F.GUEST_CR0, value | CR0_HOST_OWNED | CR0_ET);
  if ((old ^ value) & CR0_PG) flush(vm, root, SINGLE_CONTEXT);
  return 'done';
}

/** What the processor does where PAE paging is turned on or gets other tables (SDM Vol. 3, "PDPTE Registers"). False: an entry has
 *  reserved bits. */
function loadPdptes(vm: Vm, cr3: number): boolean {
  const words = readPdptes(vm.memory, vm.formats, cr3);
  words?.forEach((word, k) => {
    vm.vcpu.write(F.GUEST_PDPTE0 + k, word);
  });
  return words !== null;
}

/** What the processor would have forgotten had it executed the instruction. Without VPID the exit forgot everything. */
function flush(vm: Vm, root: RootMode, type: number): void {
  if (vm.vpid !== 0) root.invvpid(type, vm.vpid, 0);
}
