/** A hypervisor that never leaves its guests alone: whenever one of them yields, it takes a page away, protects it, moves it, exchanges it
 *  with another VM's, or copies what has been written since it did so last. It flushes as the manual asks for and puts right what its guests
 *  run into, so none of them may notice. */
import { EAX, ESP } from '../../../src/base/registers.ts';
import { Judge, type Violation } from '../../../src/invariants/index.ts';
import { HardwareTrace } from '../../../src/machine/hardware-trace.ts';
import type { MachineState } from '../../../src/machine/persist.ts';
import type { TranslationCacheOptions } from '../../../src/mmu/policy.ts';
import { SECONDARY, VM_ENTRY, VM_EXIT } from '../../../src/vmx/controls.ts';
import { EXIT } from '../../../src/vmx/exit-reasons.ts';
import * as F from '../../../src/vmx/fields.ts';
import { AT, control, rootMode, type World, writeBaseline } from '../../vmx/support.ts';
import { imageOf, type Operation } from './operations.ts';
import { ORIGIN, placesOf } from './places.ts';
import { CONTEXTS, leftBehind, type Seen } from './runs.ts';

/** What to do to one page of one VM; `other`: another VM's page, or nothing. */
export interface Action {
  readonly kind: 'unmap' | 'protect' | 'move' | 'swap' | 'collect';
  readonly vm: number;
  readonly page: number;
  readonly otherVm: number;
  readonly otherPage: number;
}

/** How it learns of writes: not at all, by the dirty flags of EPT, or by the page-modification log. */
export type Logging = 'none' | 'flags' | 'log';

export interface RoughOptions {
  readonly cache: TranslationCacheOptions;
  readonly vpids: boolean;
  readonly pae: boolean;
  readonly logging: Logging;
}

export interface RoughResult {
  readonly seen: readonly Seen[];
  readonly ends: readonly string[];
  readonly violations: readonly Violation[];
  /** Writes to protected pages that did not exit, and those that no flag and no log told of. */
  readonly lost: readonly string[];
}

const HOST_BYTES = 0x40_0000;
const FIRST_FREE = 0x200;
const POISON = 0xdd;
const MOST_EXITS = 3000;
const WRITE_BACK = 6 << 3;
/** Of an EPT entry, and of the EPT pointer. */
const DIRTY = 0x200;
const EPT_FLAGS = 0x40;
/** Where the log begins, so near to its end that it fills up. */
const LOG_START = 3;
/** Pages of a guest that exist: low ones, kernel to stacks. */
export const GUEST_PAGES: readonly number[] = [0, 1, 2, 3, ...Array.from({ length: 0x42 }, (_, k) => 0x100 + k)];

interface Page {
  frame: number; // −1: taken away, see contents
  contents: Uint8Array | null;
  /** What a protected page holds, as it must stay until a write has exited. */
  guarded: Uint8Array | null;
  /** What it held when writes to it were looked for last. */
  copy: Uint8Array;
}

class RoughVm {
  readonly world: World;
  readonly vmcs: number;
  readonly pointer: number;
  readonly vpid: number;
  readonly table: number;
  /** Address of the page-modification log, 0 if there is none. */
  readonly log: number;
  readonly logging: Logging;
  /** Pages that were written since their copies were made, as far as is known. */
  readonly written = new Set<number>();
  readonly pages = new Map<number, Page>();
  readonly registers = new Int32Array(8);
  cr2 = 0;
  launched = false;
  end = '';

  constructor(world: World, frame: () => number, image: Uint8Array, vpid: number, logging: Logging) {
    const { root } = world;
    const { memory } = root;
    this.world = world;
    this.vpid = vpid;
    const own = Array.from({ length: 6 }, () => frame() * 4096);
    for (const at of own) memory.fill(at, 4096, 0);
    const [vmcs, top, pointers, directory, table, log] = own;
    this.log = logging === 'log' ? log : 0;
    this.logging = logging;
    this.vmcs = vmcs;
    this.table = table;
    this.pointer = top | 0x1e | (logging === 'none' ? 0 : EPT_FLAGS);
    memory.write32(top, pointers | 7);
    memory.write32(pointers, directory | 7);
    memory.write32(directory, table | 7);
    for (const page of GUEST_PAGES) {
      const f = frame();
      memory.fill(f * 4096, 4096, 0);
      this.pages.set(page, { frame: f, contents: null, guarded: null, copy: new Uint8Array() });
      this.map(page, f, 7);
      root.own(vmcs, f);
    }
    for (let at = 0; at < image.length; at += 4096) {
      const host = this.pages.get((ORIGIN + at) >> 12)?.frame ?? 0;
      memory.writeBytes(host * 4096, image.subarray(at, Math.min(image.length, at + 4096)));
    }
    for (const page of this.pages.values()) page.copy = memory.readBytes(page.frame * 4096, 4096);
    memory.write32(vmcs, memory.read32(AT.vmcs));
    root.vmclear(vmcs);
    root.vmptrld(vmcs);
    writeBaseline(world);
    world.set(F.EPT_POINTER, this.pointer);
    world.set(F.VIRTUAL_PROCESSOR_IDENTIFIER, vpid);
    const secondary = F.SECONDARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS;
    control(world, secondary, SECONDARY.UNRESTRICTED_GUEST);
    control(world, secondary, SECONDARY.ENABLE_VPID, vpid !== 0);
    control(world, F.VM_ENTRY_CONTROLS, VM_ENTRY.LOAD_IA32_EFER);
    control(world, F.VM_EXIT_CONTROLS, VM_EXIT.SAVE_IA32_EFER | VM_EXIT.LOAD_IA32_EFER);
    control(world, secondary, SECONDARY.ENABLE_PML, logging === 'log');
    world.set(F.PML_ADDRESS, this.log);
    world.set(F.PML_INDEX, LOG_START);
    world.set(F.GUEST_CR0, 0x31);
    world.set(F.CR0_GUEST_HOST_MASK, 0x20);
    world.set(F.GUEST_CR3, 0);
    world.set(F.GUEST_CR4, 0x2000);
    world.set(F.CR4_GUEST_HOST_MASK, 0x2000);
    world.set(F.GUEST_RIP, ORIGIN);
    if (vpid !== 0) root.invvpid(1, vpid, 0);
    root.invept(1, this.pointer, 0);
  }

  /** Maps a page, or takes it away. What its entry told of writes is kept. */
  map(page: number, frame: number, rights: number): void {
    if (this.isDirty(page)) this.written.add(page);
    this.world.root.memory.write32(this.table + page * 8, rights === 0 ? 0 : (frame << 12) | rights | WRITE_BACK);
  }

  rights(page: number): number {
    return this.world.root.memory.read32(this.table + page * 8) & 7;
  }

  isDirty(page: number): boolean {
    return this.logging === 'flags' && (this.world.root.memory.read32(this.table + page * 8) & DIRTY) !== 0;
  }

  /** Clears the dirty flag of a page; the flush is due. */
  clean(page: number): void {
    const { memory } = this.world.root;
    memory.write32(this.table + page * 8, memory.read32(this.table + page * 8) & ~DIRTY);
  }

  /** Takes what is in the log; the VMCS is current. */
  drain(): void {
    if (this.log === 0) return;
    const { root, get, set } = this.world;
    const index = get(F.PML_INDEX) & 0xffff;
    for (let n = index === 0xffff ? 0 : index + 1; n <= LOG_START; n++)
      this.written.add(root.memory.read32(this.log + 8 * n) >>> 12);
    set(F.PML_INDEX, LOG_START);
  }

  flush(): void {
    this.world.root.invept(1, this.pointer, 0);
  }
}

const arenas = new Map<string, Arena>();
function arena(cache: TranslationCacheOptions): Arena {
  const key = JSON.stringify(cache);
  const known = arenas.get(key) ?? new Arena(cache);
  arenas.set(key, known);
  return known;
}

/** A machine in root mode, for one case after the other. */
class Arena {
  readonly #world: World;
  readonly #initial: MachineState;
  readonly #trace: HardwareTrace;
  #judge = new Judge();

  constructor(translationCache: TranslationCacheOptions) {
    this.#world = rootMode({ memory: HOST_BYTES, contexts: CONTEXTS, translationCache });
    this.#world.root.memory.fill(AT.ioA, 0x2000, 0xff);
    this.#initial = this.#world.machine.save();
    this.#trace = new HardwareTrace(this.#world.machine, (event) => this.#judge.add(event));
  }

  begin(): { world: World; judge: Judge; trace: HardwareTrace } {
    this.#world.machine.restore(this.#initial);
    this.#judge = new Judge();
    this.#trace.restart();
    return { world: this.#world, judge: this.#judge, trace: this.#trace };
  }
}

/** Runs a program in each VM, and the actions one after the other when VMs yield. */
export function rough(
  programs: readonly (readonly Operation[])[],
  actions: readonly Action[],
  { cache, vpids, pae, logging }: RoughOptions,
): RoughResult {
  const { world, judge, trace } = arena(cache).begin();
  const { root } = world;
  const free = Array.from({ length: HOST_BYTES / 4096 - FIRST_FREE }, (_, k) => HOST_BYTES / 4096 - 1 - k);
  const frame = (): number => free.pop() ?? 0;
  const vms = programs.map(
    (program, n) => new RoughVm(world, frame, imageOf(program, pae), vpids ? n + 1 : 0, logging),
  );
  const hypervisor = new Rough(world, vms, free);
  let next = 0;
  for (let exits = 0; exits < MOST_EXITS; exits++) {
    const running = vms.filter((vm) => vm.end === '');
    const vm = running[exits % Math.max(running.length, 1)];
    if (vm === undefined) break;
    if (hypervisor.turn(vm) === 'yield' && next < actions.length) hypervisor.act(actions[next++]);
  }
  for (const vm of vms) hypervisor.collect(vm);
  trace.snapshot();
  const seen = vms.map((vm) => {
    return leftBehind(placesOf(pae), (at) => {
      const page = vm.pages.get(at >> 12);
      if (page === undefined) return 0;
      if (page.contents !== null) return new DataView(page.contents.buffer).getInt32(at & 0xfff, true);
      return root.memory.read32(page.frame * 4096 + (at & 0xfff));
    });
  });
  return { seen, ends: vms.map((vm) => vm.end), violations: judge.violations, lost: hypervisor.lost };
}

class Rough {
  readonly #world: World;
  readonly #vms: readonly RoughVm[];
  readonly #free: number[];
  readonly lost: string[] = [];

  constructor(world: World, vms: readonly RoughVm[], free: number[]) {
    this.#world = world;
    this.#vms = vms;
    this.#free = free;
  }

  /** Lets a VM run until it yields, ends, or needs a page. */
  turn(vm: RoughVm): 'yield' | 'other' {
    const { root, get, set } = this.#world;
    root.vmptrld(vm.vmcs);
    for (let r = EAX; r < 8; r++) if (r !== ESP) root.setRegister(r, vm.registers[r]);
    root.setCr2(vm.cr2);
    const reached = vm.launched ? root.vmresume() : root.vmlaunch();
    vm.launched = true;
    if (reached.kind !== 'exit') {
      vm.end = JSON.stringify(reached);
      return 'other';
    }
    for (let r = EAX; r < 8; r++) if (r !== ESP) vm.registers[r] = root.getRegister(r);
    vm.cr2 = root.getCr2();
    this.#look(vm);
    vm.drain();
    const reason = get(F.EXIT_REASON);
    if (reason === EXIT.IO_INSTRUCTION) {
      const port = get(F.EXIT_QUALIFICATION) >>> 16;
      set(F.GUEST_RIP, get(F.GUEST_RIP) + get(F.VM_EXIT_INSTRUCTION_LENGTH));
      if (port === 0x604) vm.end = 'power-off';
      return port === 0xe8 ? 'yield' : 'other';
    }
    const isViolation = reason === EXIT.EPT_VIOLATION && this.#repair(vm, get(F.GUEST_PHYSICAL_ADDRESS) >>> 12);
    if (!isViolation && reason !== EXIT.PML_FULL) {
      vm.end = `exit ${reason} at ${get(F.GUEST_RIP).toString(16)}`;
      return 'other';
    }
    const vectoring = get(F.IDT_VECTORING_INFORMATION); // the event that was being delivered is delivered anew
    if (vectoring < 0 || vectoring >>> 31 !== 0) {
      set(F.VM_ENTRY_INTERRUPTION_INFORMATION, vectoring & ~0x1000);
      set(F.VM_ENTRY_EXCEPTION_ERROR_CODE, get(F.IDT_VECTORING_ERROR_CODE));
      set(F.VM_ENTRY_INSTRUCTION_LENGTH, get(F.VM_EXIT_INSTRUCTION_LENGTH));
    }
    return 'other';
  }

  /** A page that was taken away comes back elsewhere; a protected one may be written again. */
  #repair(vm: RoughVm, number: number): boolean {
    const page = vm.pages.get(number);
    if (page === undefined) return false;
    if (page.contents !== null) {
      const frame = this.#free.pop() ?? 0;
      this.#world.root.memory.writeBytes(frame * 4096, page.contents);
      page.frame = frame;
      page.contents = null;
      this.#world.root.own(vm.vmcs, frame);
    }
    vm.map(number, page.frame, 7);
    page.guarded = null;
    return true;
  }

  /** Protected pages hold what they held, or a write to one of them was lost on whoever logs writes. */
  #look(vm: RoughVm): void {
    for (const [number, page] of vm.pages) {
      if (page.guarded === null) continue;
      const now = this.#world.root.memory.readBytes(page.frame * 4096, 4096);
      if (Buffer.compare(now, page.guarded) === 0) continue;
      this.lost.push(`page ${number.toString(16)} was written, protected as it was`);
      page.guarded = null;
    }
  }

  /** Copies every page that was written since the last time, as somebody does who moves a VM elsewhere. The others must be as they were. */
  collect(vm: RoughVm): void {
    if (vm.logging === 'none') return;
    const { memory } = this.#world.root;
    for (const [number, page] of vm.pages) {
      const now = page.contents ?? memory.readBytes(page.frame * 4096, 4096);
      if (vm.isDirty(number)) vm.written.add(number);
      if (vm.written.has(number)) {
        page.copy = now;
        if (page.contents === null) vm.clean(number);
      } else if (Buffer.compare(now, page.copy) !== 0) {
        this.lost.push(`page ${number.toString(16)} was written, and nothing told of it`);
        page.copy = now;
      }
    }
    vm.written.clear();
    vm.flush();
  }

  act(action: Action): void {
    const { root } = this.#world;
    const vm = this.#vms[action.vm % this.#vms.length];
    if (action.kind === 'collect') {
      this.collect(vm);
      return;
    }
    const number = GUEST_PAGES[action.page % GUEST_PAGES.length];
    const page = vm.pages.get(number);
    if (page === undefined || page.contents !== null) return;
    if (action.kind === 'unmap') this.#unmap(vm, number, page);
    else if (action.kind === 'protect') {
      vm.map(number, page.frame, 5);
      vm.flush();
      page.guarded = root.memory.readBytes(page.frame * 4096, 4096);
    } else if (action.kind === 'move') this.#move(vm, number, page);
    else this.#swap(vm, number, page, action);
  }

  #unmap(vm: RoughVm, number: number, page: Page): void {
    const { root } = this.#world;
    vm.map(number, 0, 0);
    root.release(vm.vmcs, page.frame);
    vm.flush();
    page.contents = root.memory.readBytes(page.frame * 4096, 4096);
    page.guarded = null;
    this.#discard(page.frame);
    page.frame = -1;
  }

  #move(vm: RoughVm, number: number, page: Page): void {
    const { root } = this.#world;
    const old = page.frame;
    const rights = vm.rights(number);
    page.frame = this.#free.pop() ?? 0;
    root.own(vm.vmcs, page.frame);
    vm.map(number, page.frame, rights);
    root.release(vm.vmcs, old);
    vm.flush();
    root.memory.writeBytes(page.frame * 4096, root.memory.readBytes(old * 4096, 4096));
    this.#discard(old);
  }

  #swap(vm: RoughVm, number: number, page: Page, action: Action): void {
    const { root } = this.#world;
    const other = this.#vms[action.otherVm % this.#vms.length];
    const otherNumber = GUEST_PAGES[action.otherPage % GUEST_PAGES.length];
    const otherPage = other.pages.get(otherNumber);
    if (otherPage === undefined || otherPage.contents !== null || otherPage === page) return;
    const [mine, theirs] = [page.frame, otherPage.frame];
    const [first, second] = [root.memory.readBytes(mine * 4096, 4096), root.memory.readBytes(theirs * 4096, 4096)];
    vm.map(number, theirs, vm.rights(number));
    other.map(otherNumber, mine, other.rights(otherNumber));
    root.release(vm.vmcs, mine);
    root.release(other.vmcs, theirs);
    root.own(vm.vmcs, theirs);
    root.own(other.vmcs, mine);
    vm.flush();
    other.flush();
    root.memory.writeBytes(theirs * 4096, first);
    root.memory.writeBytes(mine * 4096, second);
    page.frame = theirs;
    otherPage.frame = mine;
  }

  /** A frame that nobody has: what it held must not be seen again. */
  #discard(frame: number): void {
    this.#world.root.memory.fill(frame * 4096, 4096, POISON);
    this.#free.unshift(frame);
  }
}
