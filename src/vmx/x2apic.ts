/** RDMSR and WRMSR on the registers of an x2APIC that a guest is made to believe in (SDM Vol. 3, "Virtualizing MSR-Based APIC Accesses").
 *  Each returns true if the instruction is done. */
import { EAX, EDX, EVENT_BOUNDARY, EVENTS } from '../base/registers.ts';
import { GP } from '../base/signal.ts';
import type { VmxContext } from './context.ts';
import { SECONDARY } from './controls.ts';
import * as W from './words.ts';

const FIRST = 0x800;
const LAST = 0x8ff;
const X2APIC_TPR = 0x808;
const X2APIC_EOI = 0x80b;
const X2APIC_SELF_IPI = 0x83f;

const concerns = (x: VmxContext, index: number): boolean =>
  index >= FIRST && index <= LAST && x.secondary(SECONDARY.VIRTUALIZE_X2APIC_MODE);

/** Address of a register in the virtual-APIC page. */
const place = (x: VmxContext, index: number): number => (x.words[W.W_VIRTUAL_APIC] >>> 0) + ((index & 0xff) << 4);

export function readX2apic(x: VmxContext, index: number): boolean {
  if (!concerns(x, index)) return false;
  if (index !== X2APIC_TPR && !x.secondary(SECONDARY.APIC_REGISTER_VIRTUALIZATION)) return false;
  const { S, memory } = x.cpu;
  S[EAX] = memory.read32(place(x, index));
  S[EDX] = memory.read32(place(x, index) + 4);
  return true;
}

export function writeX2apic(x: VmxContext, index: number): boolean {
  if (!concerns(x, index)) return false;
  const delivers = x.secondary(SECONDARY.VIRTUAL_INTERRUPT_DELIVERY);
  if (index !== X2APIC_TPR && !(delivers && (index === X2APIC_EOI || index === X2APIC_SELF_IPI))) return false;
  const { cpu } = x;
  const { S } = cpu;
  const reserved = index === X2APIC_EOI ? -1 : ~0xff;
  if (S[EDX] !== 0 || (S[EAX] & reserved) !== 0) cpu.raise(GP, 0, 'a reserved bit of an x2APIC register is set');
  cpu.memory.write32(place(x, index), S[EAX]);
  x.apicWrite = (index & 0xff) << 4;
  S[EVENTS] |= EVENT_BOUNDARY;
  return true;
}
