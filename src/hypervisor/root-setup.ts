/** Puts the processor into the state that VMX demands of root mode, and enters VMX operation.
 *  Reference: SDM Vol. 3, "Enabling and Entering VMX Operation", "Restrictions on VMX Operation". */

import { InvalidInput } from '../base/errors.ts';
import { CR0_ET, CR0_NE, CR0_PE, CR0_PG, CR0_WP, CR4_PSE, CR4_VMXE } from '../base/registers.ts';
import type { RootMode } from '../machine/root-mode.ts';
import {
  FEATURE_CONTROL_LOCK,
  FEATURE_CONTROL_VMX_OUTSIDE_SMX,
  IA32_FEATURE_CONTROL,
  IA32_VMX_BASIC,
} from '../vmx/capabilities.ts';
import { vmErrorText } from '../vmx/exit-reasons.ts';
import { FRAME_BYTES, type FrameAllocator, HYPERVISOR } from './frames.ts';

/** Selectors of the GDT below. */
export const HOST_CS = 0x08;
export const HOST_DATA = 0x10;
export const HOST_TR = 0x18;

const TSS_BYTES = 104;
const GDT_BYTES = 32;
/** Present, 4 MiB, writable, for each 4 MiB of the linear address space: linear is physical. */
const IDENTITY_PAGE = 0x83;

/** Where root mode's own structures lie. */
export interface RootEnvironment {
  readonly gdt: number;
  readonly tss: number;
  readonly idt: number;
  readonly pageDirectory: number;
  readonly stackTop: number;
  readonly vmcsRevision: number;
  readonly cr0: number;
  readonly cr4: number;
}

/** Builds descriptor and page tables in frames of the hypervisor and executes VMXON. */
export function enterRootOperation(root: RootMode, frames: FrameAllocator): RootEnvironment {
  const basic = root.rdmsr(IA32_VMX_BASIC);
  if (basic === 'gp') {
    throw new InvalidInput('the processor has no VMX: choose a model that has it, for instance --cpu p6-vmx');
  }
  const memory = root.memory;
  const newPage = (): number => {
    const at = frames.allocate(HYPERVISOR) * FRAME_BYTES;
    memory.fill(at, FRAME_BYTES, 0);
    return at;
  };

  const tables = newPage();
  const gdt = tables;
  const tss = tables + 0x100;
  const idt = tables + 0x800; // all zero: an interrupt or exception in root mode would be an error of ours
  const descriptors = [
    [0, 0],
    [0x0000_ffff, 0x00cf_9b00], // code, 4 GiB, execute/read, accessed
    [0x0000_ffff, 0x00cf_9300], // data, 4 GiB, read/write, accessed
    [(tss << 16) | (TSS_BYTES - 1), (tss & 0xff00_0000) | 0x8900 | ((tss >>> 16) & 0xff)], // available 32-bit TSS
  ];
  descriptors.forEach(([low, high], i) => {
    memory.write32(gdt + i * 8, low);
    memory.write32(gdt + i * 8 + 4, high);
  });

  const pageDirectory = newPage();
  for (let i = 0; i < 1024; i++) memory.write32(pageDirectory + i * 4, (i << 22) | IDENTITY_PAGE);

  root.loadTables({
    gdt,
    gdtLimit: GDT_BYTES - 1,
    idt,
    idtLimit: 256 * 8 - 1,
    tr: HOST_TR,
    cs: HOST_CS,
    data: HOST_DATA,
  });
  const cr0 = CR0_PG | CR0_WP | CR0_NE | CR0_ET | CR0_PE;
  const cr4 = CR4_PSE | CR4_VMXE;
  root.setControlRegister(3, pageDirectory);
  root.setControlRegister(4, cr4);
  root.setControlRegister(0, cr0);

  unlockVmx(root);
  const region = newPage();
  memory.write32(region, basic.lo & 0x7fff_ffff);
  const entered = root.vmxon(region);
  if (!entered.ok) throw new Error(`VMXON failed: ${vmErrorText(entered.error)}`);
  const stackTop = newPage() + FRAME_BYTES;
  return { gdt, tss, idt, pageDirectory, stackTop, vmcsRevision: basic.lo & 0x7fff_ffff, cr0, cr4 };
}

/** IA32_FEATURE_CONTROL: firmware's business, which this machine does not have. */
function unlockVmx(root: RootMode): void {
  const control = root.rdmsr(IA32_FEATURE_CONTROL);
  if (control === 'gp' || control.lo & FEATURE_CONTROL_VMX_OUTSIDE_SMX) return;
  const written =
    (control.lo & FEATURE_CONTROL_LOCK) === 0 &&
    root.wrmsr(IA32_FEATURE_CONTROL, FEATURE_CONTROL_LOCK | FEATURE_CONTROL_VMX_OUTSIDE_SMX, 0);
  if (written !== true) throw new InvalidInput('VMX is locked off in IA32_FEATURE_CONTROL: reset the machine first');
}
