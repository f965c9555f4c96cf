/** Accesses of a guest to the APIC-access page (SDM Vol. 3, "Virtualizing Memory-Mapped APIC Accesses"): which of them go to the
 *  virtual-APIC page instead, and which leave the guest. The memory unit asks here for each access to that frame; what is virtualised
 *  it sends to a window of the bus that nobody else can address. */
import { EVENT_BOUNDARY, EVENTS } from '../base/registers.ts';
import { SIGNAL_ALONE, SIGNAL_APIC_ACCESS } from '../base/signal.ts';
import { EXECUTE, WRITE } from '../mmu/table-format.ts';
import type { VmxContext } from './context.ts';
import { PRIMARY, SECONDARY } from './controls.ts';
import * as W from './words.ts';

/** Where the window stands: above all physical addresses. */
const WINDOW = 2 ** 52;

/** Kinds of access, as the exit qualification has them in 15:12. */
const KIND_READ = 0;
const KIND_WRITE = 1;
const KIND_FETCH = 2;
const KIND_DELIVERY = 3;

/** Offsets of registers. */
const TPR = 0x80;
const EOI = 0xb0;
const ICR_LOW = 0x300;
/** ID, TPR, EOI, LDR, DFR, SVR, ESR, ICR, LVT, initial count, divide configuration. */
const WRITABLE = new Set([
  0x20, 0x80, 0xb0, 0xd0, 0xe0, 0xf0, 0x280, 0x300, 0x310, 0x320, 0x330, 0x340, 0x350, 0x360, 0x370, 0x380, 0x3e0,
]);
/** These, version, ISR, TMR and IRR. */
const READABLE = new Set([...WRITABLE, 0x30, ...Array.from({ length: 24 }, (_, n) => 0x100 + 0x10 * n)]);

/** No write has been virtualised that is still to be followed up. */
export const NO_WRITE = -1;

/** Frame of the APIC-access page, −1 if accesses are not virtualised. */
export const apicFrame = (x: VmxContext): number =>
  x.secondary(SECONDARY.VIRTUALIZE_APIC_ACCESSES) ? x.words[W.W_APIC_ACCESS] >>> 12 : -1;

/** Puts the window on the bus and has the memory unit ask. */
export function connectApicPage(x: VmxContext): void {
  const { memory, mmu } = x.cpu;
  mmu.onApicAccess = (offset, access) => redirect(x, offset, access);
  memory.map({
    start: WINDOW,
    length: 4096,
    read: (offset, size) => {
      if (!isWithin(offset, size) || !isReadable(x, offset)) leave(x, offset, KIND_READ);
      const at = virtualApic(x) + offset;
      return size === 4 ? memory.read32(at) : size === 2 ? memory.read16(at) : memory.read8(at);
    },
    write: (offset, size, value) => {
      if (!isWithin(offset, size)) leave(x, offset, KIND_WRITE);
      const at = virtualApic(x) + offset;
      if (size === 4) memory.write32(at, value);
      else if (size === 2) memory.write16(at, value);
      else memory.write8(at, value);
      x.apicWrite = offset;
      x.cpu.S[EVENTS] |= EVENT_BOUNDARY;
    },
  });
}

const virtualApic = (x: VmxContext): number => x.words[W.W_VIRTUAL_APIC] >>> 0;

/** Registers have 32 bits, at multiples of 16 bytes. */
const isWithin = (offset: number, size: number): boolean => (offset & 15) + size <= 4;

const isReadable = (x: VmxContext, offset: number): boolean =>
  x.secondary(SECONDARY.APIC_REGISTER_VIRTUALIZATION) ? READABLE.has(offset & 0xff0) : (offset & 0xff0) === TPR;

function isWritable(x: VmxContext, offset: number): boolean {
  const register = offset & 0xff0;
  if (x.secondary(SECONDARY.APIC_REGISTER_VIRTUALIZATION)) return WRITABLE.has(register);
  if (register === TPR) return true;
  return x.secondary(SECONDARY.VIRTUAL_INTERRUPT_DELIVERY) && (register === EOI || register === ICR_LOW);
}

/** Bus address for an access to the page; throws the signal where it leaves the guest. */
function redirect(x: VmxContext, offset: number, access: number): number {
  const { cpu } = x;
  const kind = access === EXECUTE ? KIND_FETCH : access === WRITE ? KIND_WRITE : KIND_READ;
  if (cpu.delivering !== null) leave(x, offset, KIND_DELIVERY);
  // "… has already virtualized a write": one write an instruction
  if (kind === KIND_FETCH || !x.primary(PRIMARY.USE_TPR_SHADOW) || x.apicWrite !== NO_WRITE) leave(x, offset, kind);
  if ((offset & 12) !== 0) leave(x, offset, kind);
  if (!(kind === KIND_WRITE ? isWritable(x, offset) : isReadable(x, offset))) leave(x, offset, kind);
  if (kind === KIND_WRITE && !cpu.isAlone) {
    // What follows a write comes right behind its instruction: that has to be executed by itself.
    cpu.signal.kind = SIGNAL_ALONE;
    throw cpu.signal;
  }
  return WINDOW + offset;
}

function leave(x: VmxContext, offset: number, kind: number): never {
  const { signal } = x.cpu;
  signal.kind = SIGNAL_APIC_ACCESS;
  signal.qualification = offset | (kind << 12);
  signal.because = 'the access to the APIC-access page is not virtualised';
  throw signal;
}
