/** A hardware task switch, carried out for a guest: the processor leaves them all to its hypervisor, after the checks on gate and TSS
 *  descriptor. Reference: SDM Vol. 3, "Treatment of Task Switches", "Task Switching". */

import { AR_UNUSABLE, CR0_PG, CR0_TS, CS, EAX, FLAG_NT, FLAG_VM, LDTR, SS_, TR } from '../base/registers.ts';
import { GP, NP, SS, TS } from '../base/signal.ts';
import type { RootMode } from '../machine/root-mode.ts';
import {
  layoutOf,
  readTask,
  TASK_FLAGS,
  type TaskState,
  type TssLayout,
  type TssMemory,
  writeTask,
} from '../machine/task-state.ts';
import * as F from '../vmx/fields.ts';
import { loadCr3 } from './exits/control-registers.ts';
import {
  dplOf,
  type GuestDescriptor,
  GuestDescriptors,
  isCode,
  isConforming,
  isPresent,
  isReadable,
  isWritable,
  segmentOf,
  selectorOf,
  setSegment,
  systemType,
} from './guest-descriptors.ts';
import { GuestLinear } from './guest-linear.ts';
import type { Vm } from './vm.ts';

/** Sources, as the exit qualification numbers them. */
export const BY_CALL = 0;
export const BY_IRET = 1;
export const BY_GATE_IN_IDT = 3;

const BUSY = 2;
const LDT = 2;
const LOCAL_BREAKPOINTS = 0x155; // DR7: L0 to L3, LE
const VIRTUAL_8086_RIGHTS = 0xf3;
/** Stands in CS while what its selector names could not be loaded. Nothing is fetched through it: an event is delivered first. */
const NO_CODE = 0x9b;

/** The switch faults in the guest. Thrown, and caught by the exit handler. */
export class GuestFault extends Error {
  readonly vector: number;
  readonly errorCode: number;

  constructor(vector: number, errorCode: number) {
    super('fault in the guest');
    this.vector = vector;
    this.errorCode = errorCode;
  }
}

/** What the old task goes on with. */
export interface LeftTask {
  readonly flags: number;
  readonly eip: number;
}

export class TaskSwitch {
  readonly #vm: Vm;
  readonly #root: RootMode;
  readonly #selector: number;
  readonly #source: number;
  /** 1 while an event from outside the program is delivered. */
  readonly #ext: number;

  constructor(vm: Vm, root: RootMode, selector: number, source: number, ext: number) {
    this.#vm = vm;
    this.#root = root;
    this.#selector = selector;
    this.#source = source;
    this.#ext = ext;
  }

  /** Up to the commit point: throws while nothing has changed. Returns the new task's T flag. */
  leave(left: LeftTask): boolean {
    const { vcpu } = this.#vm;
    const linear = new GuestLinear(this.#vm, 'processor');
    const memory = tssMemory(linear);
    const nests = this.#source === BY_CALL || this.#source === BY_GATE_IN_IDT;
    const tss = new GuestDescriptors(vcpu, linear).read(this.#selector);
    if (tss === null) throw this.#fault(TS, this.#selector); // somebody has shortened the GDT meanwhile
    const old = segmentOf(vcpu, TR);
    const oldSelector = selectorOf(vcpu, TR);
    const oldLayout = layoutOf(old.access);
    const layout = layoutOf(tss.access);
    const oldRights = (vcpu.read(F.GUEST_GDTR_BASE) + (oldSelector & 0xfff8) + 5) >>> 0;
    if (old.limit < oldLayout.lastSaved) throw this.#fault(TS, oldSelector);
    this.#touch(linear, tss, (old.base + oldLayout.eip) >>> 0, oldLayout, nests);
    if (!nests) linear.translate(oldRights, true);

    if (!nests) linear.write(oldRights, 1, linear.read(oldRights, 1) & ~BUSY);
    writeTask(memory, old.base, oldLayout, {
      eip: left.eip,
      eflags: this.#source === BY_IRET ? left.flags & ~FLAG_NT : left.flags,
      general: Array.from({ length: 8 }, (_, n) => vcpu.getRegister(EAX + n)),
      selectors: Array.from({ length: 6 }, (_, n) => selectorOf(vcpu, n)),
    });
    if (nests) linear.write(tss.base, 2, oldSelector);
    if (this.#source !== BY_IRET) linear.write((tss.address + 5) >>> 0, 1, (tss.access | BUSY) & 0xff);
    const task = readTask(memory, tss.base, layout);
    this.#commit(tss, task, nests);
    return task.trap;
  }

  /** Page faults of everything that will be read or written, in the processor's order. */
  #touch(linear: GuestLinear, tss: GuestDescriptor, saved: number, oldLayout: TssLayout, nests: boolean): void {
    const last = (saved + oldLayout.lastSaved - oldLayout.eip) >>> 0;
    linear.translate(saved, true);
    if (last >>> 12 !== saved >>> 12) linear.translate((last & ~0xfff) >>> 0, true);
    linear.read(tss.base, 1);
    linear.read((tss.base + layoutOf(tss.access).limit) >>> 0, 1);
    if (nests) {
      linear.translate(tss.base, true);
      if ((tss.base & 0xfff) === 0xfff) linear.translate((tss.base + 1) >>> 0, true);
    }
    linear.translate((tss.address + 5) >>> 0, true);
  }

  #commit(tss: GuestDescriptor, task: TaskState, nests: boolean): void {
    const { vcpu } = this.#vm;
    setSegment(vcpu, TR, tss.selector, tss.base, tss.limit, tss.access | BUSY);
    vcpu.write(F.GUEST_CR0, vcpu.read(F.GUEST_CR0) | CR0_TS);
    vcpu.write(F.GUEST_DR7, vcpu.read(F.GUEST_DR7) & ~LOCAL_BREAKPOINTS);
    vcpu.write(F.GUEST_RIP, task.eip);
    for (let n = 0; n < 8; n++) vcpu.setRegister(EAX + n, task.general[n] as number);
    vcpu.write(F.GUEST_RFLAGS, (task.eflags & TASK_FLAGS) | 2 | (nests ? FLAG_NT : 0));
    const cpl = task.eflags & FLAG_VM ? 3 : (task.selectors[CS] as number) & 3;
    for (let n = 0; n < 6; n++) {
      const access = n === CS ? NO_CODE | (cpl << 5) : AR_UNUSABLE | (n === SS_ ? cpl << 5 : 0);
      setSegment(vcpu, n, task.selectors[n] as number, 0, 0, access);
    }
    setSegment(vcpu, LDTR, task.ldt, 0, 0, AR_UNUSABLE);
    if (task.cr3 !== null && (vcpu.cr0 & CR0_PG) !== 0 && task.cr3 !== vcpu.cr3) {
      if (!loadCr3(this.#vm, this.#root, task.cr3)) throw new GuestFault(GP, 0);
    }
  }

  /** In the new task: what its selectors name. Throws the new task's faults. */
  loadSegments(): void {
    const { vcpu } = this.#vm;
    const tables = new GuestDescriptors(vcpu, new GuestLinear(this.#vm, 'processor'));
    this.#loadLdt(tables);
    if (vcpu.read(F.GUEST_RFLAGS) & FLAG_VM) {
      for (let n = 0; n < 6; n++) {
        const selector = selectorOf(vcpu, n);
        setSegment(vcpu, n, selector, selector << 4, 0xffff, VIRTUAL_8086_RIGHTS);
      }
    } else {
      this.#loadCode(tables);
      this.#loadStack(tables);
      for (let n = 0; n < 6; n++) if (n !== CS && n !== SS_) this.#loadData(tables, n);
    }
    if (vcpu.read(F.GUEST_RIP) >>> 0 > segmentOf(vcpu, CS).limit) throw new GuestFault(GP, this.#ext);
  }

  #loadLdt(tables: GuestDescriptors): void {
    const selector = selectorOf(this.#vm.vcpu, LDTR);
    if (isNull(selector)) return;
    const d = selector & 4 ? null : tables.read(selector);
    if (d === null || systemType(d) !== LDT || !isPresent(d)) throw this.#fault(TS, selector);
    else this.#install(LDTR, d);
  }

  #loadCode(tables: GuestDescriptors): void {
    const selector = selectorOf(this.#vm.vcpu, CS);
    const d = isNull(selector) ? null : tables.read(selector);
    if (d === null || !isCode(d)) throw this.#fault(TS, selector);
    if (isConforming(d) ? dplOf(d) > (selector & 3) : dplOf(d) !== (selector & 3)) throw this.#fault(TS, selector);
    if (!isPresent(d)) throw this.#fault(NP, selector);
    this.#install(CS, tables.accessed(d));
  }

  #loadStack(tables: GuestDescriptors): void {
    const { vcpu } = this.#vm;
    const selector = selectorOf(vcpu, SS_);
    const d = isNull(selector) ? null : tables.read(selector);
    if (d === null || (selector & 3) !== vcpu.cpl || !isWritable(d) || dplOf(d) !== vcpu.cpl)
      throw this.#fault(TS, selector);
    if (!isPresent(d)) throw this.#fault(SS, selector);
    this.#install(SS_, tables.accessed(d));
  }

  #loadData(tables: GuestDescriptors, segment: number): void {
    const { vcpu } = this.#vm;
    const selector = selectorOf(vcpu, segment);
    if (isNull(selector)) return;
    const d = tables.read(selector);
    if (d === null || !isReadable(d)) throw this.#fault(TS, selector);
    if (!isConforming(d) && Math.max(vcpu.cpl, selector & 3) > dplOf(d)) throw this.#fault(TS, selector);
    if (!isPresent(d)) throw this.#fault(NP, selector);
    this.#install(segment, tables.accessed(d));
  }

  #install(segment: number, d: GuestDescriptor): void {
    setSegment(this.#vm.vcpu, segment, d.selector, d.base, d.limit, d.access);
  }

  #fault(vector: number, selector: number): GuestFault {
    return new GuestFault(vector, (selector & 0xfffc) | this.#ext);
  }
}

const isNull = (selector: number): boolean => (selector & 0xfffc) === 0;

const tssMemory = (linear: GuestLinear): TssMemory => ({
  read16: (at) => linear.read(at, 2),
  read32: (at) => linear.read(at, 4),
  write16: (at, value) => linear.write(at, 2, value),
  write32: (at, value) => linear.write(at, 4, value),
});
