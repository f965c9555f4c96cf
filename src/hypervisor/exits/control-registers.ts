/** Control-register accesses that exit. The guest owns CR0 and CR4 but for the bits that VMX needs: of those it sees what it wrote.
 *  Reference: SDM Vol. 3, "Exit Qualification for Control-Register Accesses", "Guest/Host Masks and Read Shadows". */

import { CR0_CD, CR0_ET, CR0_NW, CR0_PE, CR0_PG, CR0_TS, CR4_PAE } from '../../base/registers.ts';
import { GP } from '../../base/signal.ts';
import type { RootMode } from '../../machine/root-mode.ts';
import * as F from '../../vmx/fields.ts';
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
/** Reserved bits of a PDPTE: 2:1 and 8:5, and of the high word those beyond 36 address bits. */
const PDPTE_RESERVED = 0x1e6;
const PDPTE_RESERVED_HIGH = ~0xf;

export const crAccess: ExitHandler = (vm, root) => {
  const qualification = vm.vcpu.read(F.EXIT_QUALIFICATION);
  const cr = qualification & 15;
  const type = (qualification >> 4) & 3;
  const register = (qualification >> 8) & 15;
  if (vm.shadow !== null) return shadowAccess(vm, vm.shadow, qualification);
  if (type === MOV_TO && cr === 0) return writeCr0(vm, root, vm.vcpu.getRegister(register));
  if (type === MOV_TO && cr === 3) {
    loadCr3(vm, root, vm.vcpu.getRegister(register));
    return 'done';
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

/** CR3 gets a new value: the guest's translations but global ones go. */
export function loadCr3(vm: Vm, root: RootMode, value: number): void {
  if (vm.shadow !== null) {
    vm.shadow.loadCr3(value);
    return;
  }
  vm.vcpu.write(F.GUEST_CR3, value);
  flush(vm, root, SINGLE_CONTEXT_RETAINING_GLOBALS);
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
  if (value & CR0_PG && (old ^ value) & (CR0_PG | CR0_CD | CR0_NW) && !loadPdptes(vm)) {
    vm.raise(GP, 0);
    return 'resume';
  }
  vm.vcpu.write(F.CR0_READ_SHADOW, value);
  vm.vcpu.write(F.GUEST_CR0, value | CR0_HOST_OWNED | CR0_ET);
  if ((old ^ value) & CR0_PG) flush(vm, root, SINGLE_CONTEXT);
  return 'done';
}

/** What the processor does where PAE paging is turned on (SDM Vol. 3, "PDPTE Registers"). False: an entry has reserved bits. */
function loadPdptes(vm: Vm): boolean {
  if ((vm.vcpu.read(F.GUEST_CR4) & CR4_PAE) === 0) return true;
  const table = (vm.vcpu.read(F.GUEST_CR3) & ~31) >>> 0;
  const words = Array.from({ length: 8 }, (_, k) => vm.memory.read32(table + 4 * k));
  for (let k = 0; k < 8; k += 2)
    if ((words[k] & 1) !== 0 && ((words[k] & PDPTE_RESERVED) | (words[k + 1] & PDPTE_RESERVED_HIGH)) !== 0)
      return false;
  words.forEach((word, k) => {
    vm.vcpu.write(F.GUEST_PDPTE0 + k, word);
  });
  return true;
}

/** What the processor would have forgotten had it executed the instruction. Without VPID the exit forgot everything. */
function flush(vm: Vm, root: RootMode, type: number): void {
  if (vm.vpid !== 0) root.invvpid(type, vm.vpid, 0);
}
