/** The virtual APIC: what writes to its registers do, and virtual interrupts (SDM Vol. 3, "APIC Virtualization and Virtual Interrupts").
 *  Its registers stand in the virtual-APIC page; RVI and SVI are the guest interrupt status. */
import { ACTIVITY } from '../base/registers.ts';
import { dispatch } from '../cpu/far/events.ts';
import { NO_WRITE } from './apic-page.ts';
import type { VmxContext } from './context.ts';
import { ACTIVITY_HLT, PRIMARY, SECONDARY } from './controls.ts';
import { exitAtBoundary } from './exit.ts';
import { EXIT } from './exit-reasons.ts';
import { setWord } from './set-word.ts';
import * as W from './words.ts';

/** Offsets of registers in the virtual-APIC page. */
const VTPR = 0x80;
const VPPR = 0xa0;
const VEOI = 0xb0;
const VISR = 0x100;
const VIRR = 0x200;
const VICR_LOW = 0x300;
const VICR_HIGH = 0x310;
/** In x2APIC mode only. */
const SELF_IPI = 0x3f0;

/** Instead of the offset of a write: only the threshold is to be looked at, right after VM entry. */
export const THRESHOLD_ONLY = 0x1000;

const read = (x: VmxContext, offset: number): number => x.cpu.memory.read32((x.words[W.W_VIRTUAL_APIC] >>> 0) + offset);
const write = (x: VmxContext, offset: number, value: number): void =>
  x.cpu.memory.write32((x.words[W.W_VIRTUAL_APIC] >>> 0) + offset, value);

const delivers = (x: VmxContext): boolean => x.secondary(SECONDARY.VIRTUAL_INTERRUPT_DELIVERY);
const rvi = (x: VmxContext): number => x.words[W.W_INTERRUPT_STATUS] & 0xff;
const svi = (x: VmxContext): number => x.words[W.W_INTERRUPT_STATUS] >> 8;
const setStatus = (x: VmxContext, requesting: number, servicing: number): void =>
  setWord(x, W.W_INTERRUPT_STATUS, requesting | (servicing << 8));

const registerOf = (base: number, vector: number): number => base + ((vector >> 5) << 4);
const setVector = (x: VmxContext, base: number, vector: number): void =>
  write(x, registerOf(base, vector), read(x, registerOf(base, vector)) | (1 << (vector & 31)));
const clearVector = (x: VmxContext, base: number, vector: number): void =>
  write(x, registerOf(base, vector), read(x, registerOf(base, vector)) & ~(1 << (vector & 31)));

/** The highest vector that is set, 0 if none is. */
function highest(x: VmxContext, base: number): number {
  for (let n = 7; n >= 0; n--) {
    const bits = read(x, base + 16 * n);
    if (bits !== 0) return 32 * n + 31 - Math.clz32(bits);
  }
  return 0;
}

/** After guest state is loaded: what VM entry does about the TPR and about pending virtual interrupts. */
export function enterVirtualApic(x: VmxContext): void {
  x.apicWrite = NO_WRITE;
  x.virtualInterrupt = false;
  if (!x.primary(PRIMARY.USE_TPR_SHADOW)) return;
  if (delivers(x)) {
    virtualizePpr(x);
    evaluate(x);
  } else if (x.secondary(SECONDARY.VIRTUALIZE_APIC_ACCESSES)) x.apicWrite = THRESHOLD_ONLY;
}

/** "APIC-Write Emulation", right behind the instruction that wrote. True if it ended in an exit. */
export function followWrite(x: VmxContext): boolean {
  const offset = x.apicWrite;
  if (offset === NO_WRITE) return false;
  x.apicWrite = NO_WRITE;
  if (offset === THRESHOLD_ONLY) return x.cpu.S[ACTIVITY] <= ACTIVITY_HLT && virtualizeTpr(x);
  switch (offset & 0xff0) {
    case VTPR:
      write(x, VTPR, read(x, VTPR) & 0xff);
      return virtualizeTpr(x);
    case VEOI:
      if (!delivers(x)) break;
      write(x, VEOI, 0);
      return virtualizeEoi(x);
    case VICR_LOW:
      if (!delivers(x) || !isSelfIpi(read(x, VICR_LOW))) break;
      virtualizeSelfIpi(x, read(x, VICR_LOW) & 0xff);
      return false;
    case SELF_IPI:
      if (read(x, SELF_IPI) < 16) break;
      virtualizeSelfIpi(x, read(x, SELF_IPI));
      return false;
    case VICR_HIGH:
      write(x, VICR_HIGH, read(x, VICR_HIGH) & 0xff00_0000);
      return false;
    default:
  }
  exitAtBoundary(x, EXIT.APIC_WRITE, offset);
  return true;
}

/** "TPR Virtualization" */
function virtualizeTpr(x: VmxContext): boolean {
  if (delivers(x)) {
    virtualizePpr(x);
    evaluate(x);
    return false;
  }
  if (((read(x, VTPR) >> 4) & 15) >= (x.words[W.W_TPR_THRESHOLD] & 15)) return false;
  exitAtBoundary(x, EXIT.TPR_BELOW_THRESHOLD, 0);
  return true;
}

/** "PPR Virtualization" */
function virtualizePpr(x: VmxContext): void {
  const tpr = read(x, VTPR) & 0xff;
  write(x, VPPR, tpr >> 4 >= svi(x) >> 4 ? tpr : svi(x) & 0xf0);
}

/** "EOI Virtualization" */
function virtualizeEoi(x: VmxContext): boolean {
  const vector = svi(x);
  clearVector(x, VISR, vector);
  setStatus(x, rvi(x), highest(x, VISR));
  virtualizePpr(x);
  const exits = (x.words[W.W_EOI_EXIT_BITMAP + (vector >> 5)] >>> (vector & 31)) & 1;
  if (exits === 0) {
    evaluate(x);
    return false;
  }
  exitAtBoundary(x, EXIT.VIRTUALIZED_EOI, vector);
  return true;
}

/** An ICR that sends a fixed, edge-triggered interrupt of a legal vector to oneself. */
const isSelfIpi = (icr: number): boolean => (icr & 0xffff_b700) === 0x4_0000 && (icr & 0xff) >= 16;

/** "Self-IPI Virtualization" */
function virtualizeSelfIpi(x: VmxContext, vector: number): void {
  setVector(x, VIRR, vector);
  setStatus(x, Math.max(rvi(x), vector), svi(x));
  evaluate(x);
}

/** "Evaluation of Pending Virtual Interrupts" */
function evaluate(x: VmxContext): void {
  const pending = rvi(x) >> 4 > ((read(x, VPPR) >> 4) & 15);
  x.virtualInterrupt = pending && !x.primary(PRIMARY.INTERRUPT_WINDOW_EXITING);
  x.cpu.updateInterruptEvent();
}

/** "Virtual-Interrupt Delivery" */
export function deliverVirtualInterrupt(x: VmxContext): void {
  const vector = rvi(x);
  setVector(x, VISR, vector);
  write(x, VPPR, vector & 0xf0);
  clearVector(x, VIRR, vector);
  setStatus(x, highest(x, VIRR), vector);
  x.virtualInterrupt = false;
  x.cpu.updateInterruptEvent();
  dispatch(x.cpu, { vector, type: 0, errorCode: -1, instructionLength: 0, address: 0 });
}
