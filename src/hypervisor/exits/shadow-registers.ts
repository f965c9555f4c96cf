/** Control-register accesses of a guest with shadow paging: everything that paging depends on exits, and is the pager's.
 *  Reference: SDM Vol. 3, "Exit Qualification for Control-Register Accesses"; Vol. 2, "MOV—Move to/from Control Registers". */

import { CR0_CD, CR0_ET, CR0_NW, CR0_PE, CR0_PG, CR0_TS } from '../../base/registers.ts';
import { GP } from '../../base/signal.ts';
import { loadsPdptes } from '../paging/registers.ts';
import type { ShadowPager } from '../shadow/pager.ts';
import type { Vm } from '../vm.ts';
import type { Outcome } from './handler.ts';

// Access types in the qualification
const MOV_TO = 0;
const MOV_FROM = 1;
const CLTS = 2;

const LMSW_BITS = 0xf;
/** Bits of CR0 that exist. */
const CR0_BITS = 0xe005_003f | 0;

export function accessWithShadow(vm: Vm, pager: ShadowPager, qualification: number): Outcome {
  const { vcpu } = vm;
  const cr = qualification & 15;
  const type = (qualification >> 4) & 3;
  const register = (qualification >> 8) & 15;
  if (type === MOV_FROM && cr === 3) {
    vcpu.setRegister(register, vcpu.cr3);
    return 'done';
  }
  if (type === MOV_TO && cr === 3) {
    return pager.loadCr3(vcpu.getRegister(register)) ? 'done' : refuse(vm);
  }
  if (type === MOV_TO && cr === 4) return writeCr4(vm, pager, vcpu.getRegister(register));
  if (type === MOV_TO && cr === 0) return writeCr0(vm, pager, vcpu.getRegister(register));
  const old = vcpu.cr0;
  if (type === CLTS) return writeCr0(vm, pager, old & ~CR0_TS);
  if (cr === 0) {
    // LMSW: the low four bits, but it cannot clear PE.
    const source = (qualification >>> 16) & LMSW_BITS;
    return writeCr0(vm, pager, (old & ~LMSW_BITS) | source | (old & CR0_PE));
  }
  vm.stop('unsupported', `access to CR${cr}`);
  return 'resume';
}

function writeCr0(vm: Vm, pager: ShadowPager, value: number): Outcome {
  const isInvalid = (value & CR0_PG && !(value & CR0_PE)) || (value & CR0_NW && !(value & CR0_CD));
  return isInvalid ? refuse(vm) : write(vm, pager, (value & CR0_BITS) | CR0_ET, vm.vcpu.cr4);
}

function writeCr4(vm: Vm, pager: ShadowPager, value: number): Outcome {
  return (value & ~pager.cr4Bits) !== 0 ? refuse(vm) : write(vm, pager, vm.vcpu.cr0, value);
}

function refuse(vm: Vm): Outcome {
  vm.raise(GP, 0);
  return 'resume';
}

function write(vm: Vm, pager: ShadowPager, cr0: number, cr4: number): Outcome {
  const { vcpu } = vm;
  const { cr3 } = vcpu;
  if (loadsPdptes(vcpu.cr0, vcpu.cr4, cr0, cr4) && !pager.loadPdptes(cr3)) return refuse(vm);
  pager.setRegisters(cr0, cr3, cr4);
  return 'done';
}
