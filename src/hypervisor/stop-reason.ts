/** Why a VM runs no more, and what it looked like then. */

import type { Unimplemented } from '../base/errors.ts';
import { hex } from '../base/int.ts';
import * as F from '../vmx/fields.ts';
import type { Vcpu } from './vcpu.ts';

/** Registers of a guest, unsigned. */
export interface GuestRegisters {
  readonly eax: number;
  readonly ecx: number;
  readonly edx: number;
  readonly ebx: number;
  readonly esp: number;
  readonly ebp: number;
  readonly esi: number;
  readonly edi: number;
  readonly eip: number;
  readonly eflags: number;
  readonly cs: number;
  readonly cr0: number;
  readonly cr2: number;
  readonly cr3: number;
  readonly cr4: number;
}

export type VmStopReason =
  | { readonly kind: 'power-off' }
  | { readonly kind: 'debug-exit'; readonly value: number }
  /** The guest needs something of its processor that the machine does not have yet. */
  | { readonly kind: 'unimplemented'; readonly error: Unimplemented; readonly registers: GuestRegisters }
  | {
      /** What the hypervisor had to stop, with the sentence that says why. */
      readonly kind: 'triple-fault' | 'entry-failure' | 'ept-misconfiguration' | 'unsupported' | 'host-failure';
      readonly message: string;
      readonly registers: GuestRegisters;
    };

/** What is said of a triple fault. */
export const TRIPLE_FAULT = 'the guest could not deliver an exception, nor the double fault that followed';

export function guestRegisters(vcpu: Vcpu): GuestRegisters {
  const read = (field: number): number => vcpu.read(field) >>> 0;
  const [eax, ecx, edx, ebx, , ebp, esi, edi] = Array.from(vcpu.general, (value) => value >>> 0);
  return {
    eax,
    ecx,
    edx,
    ebx,
    esp: read(F.GUEST_RSP),
    ebp,
    esi,
    edi,
    eip: read(F.GUEST_RIP),
    eflags: vcpu.eflags >>> 0,
    cs: read(F.GUEST_CS_SELECTOR),
    cr0: vcpu.cr0 >>> 0,
    cr2: vcpu.cr2 >>> 0,
    cr3: vcpu.cr3 >>> 0,
    cr4: vcpu.cr4 >>> 0,
  };
}

/** The registers in a few lines, for reports. */
export function printRegisters(r: GuestRegisters): string[] {
  const show = (names: readonly (keyof GuestRegisters)[]): string =>
    names.map((name) => `${name.toUpperCase().padEnd(6)} ${hex(r[name])}`).join('  ');
  return [
    show(['eax', 'ebx', 'ecx', 'edx']),
    show(['esi', 'edi', 'ebp', 'esp']),
    show(['cs', 'eip', 'eflags']),
    show(['cr0', 'cr2', 'cr3', 'cr4']),
  ];
}
