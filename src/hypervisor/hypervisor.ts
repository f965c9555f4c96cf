/** The hypervisor: root-mode software that owns the machine's memory, makes VMs out of it and shares the processor among them. */

import { InvalidInput, type Unvalidated } from '../base/errors.ts';
import type { SerialLine } from '../devices/ports.ts';
import { type BoardDescription, PC } from '../machine/board.ts';
import { type PlaceOptions, placeImage } from '../machine/loader/place.ts';
import { type ImageOptions, planImage } from '../machine/loader/plan.ts';
import type { RootMode } from '../machine/root-mode.ts';
import { vmErrorText } from '../vmx/exit-reasons.ts';
import { type Controls, chooseControls, type Paging } from './controls.ts';
import { EPT_READ, EPT_WRITE, EptBuilder } from './ept-builder.ts';
import { PASSED_THROUGH } from './exits/msr.ts';
import { type FloatFrames, FloatMemory, makeFloatFrames } from './float.ts';
import { FRAME_BYTES, FrameAllocator, HYPERVISOR, VM_OWNER } from './frames.ts';
import { GuestMemory } from './guest-memory.ts';
import { GuestFormats } from './paging/formats.ts';
import { restoreVm, saveVm, type VmState } from './persist.ts';
import { enterRootOperation, type RootEnvironment } from './root-setup.ts';
import type { RunLimits, RunResult } from './scheduler.ts';
import { Scheduler } from './scheduler.ts';
import type { ShadowOptions } from './shadow/options.ts';
import { ShadowPager } from './shadow/pager.ts';
import { Turn } from './turn.ts';
import { Vcpu } from './vcpu.ts';
import { Vm } from './vm.ts';
import { initialFields } from './vmcs-setup.ts';

export interface HypervisorOptions {
  /** Scatters guest memory over the machine's. 0: ascending. @defaultValue 1 */
  readonly seed?: number;
  /** Instructions of one turn. @defaultValue 1,000,000 */
  readonly slice?: number;
  /** Called after each exit, before it is handled. */
  readonly onExit?: (vm: Vm, reason: number) => void;
}

export interface VmConfig extends ImageOptions, PlaceOptions {
  /** Bytes of memory, a multiple of 4096. */
  readonly memory: number;
  /** The kernel. */
  readonly image: Uint8Array;
  /** For reports. @defaultValue vm0, vm1 … */
  readonly name?: string;
  /** Serial lines in the order of the board's ports. */
  readonly serial?: readonly SerialLine[];
  /** Map 2 MiB at a time where memory allows it. @defaultValue false */
  readonly largePages?: boolean;
  /** Translate the guest's memory by EPT, or by shadow page tables. @defaultValue nested */
  readonly paging?: Paging;
  /** With shadow paging: what the pager may do. */
  readonly shadow?: ShadowOptions;
  /** Devices. @defaultValue a PC */
  readonly board?: BoardDescription;
}

const DEFAULT_SLICE = 1_000_000;
const IA32_TIME_STAMP_COUNTER = 0x10;
const ALL_CONTEXTS = 2;
/** CPUID leaf. */
const ADDRESS_SIZES = 0x8000_0008;

export class Hypervisor {
  readonly #root: RootMode;
  readonly #environment: RootEnvironment;
  readonly #controls = new Map<Paging, Controls>();
  readonly #scheduler: Scheduler;
  readonly #vms: Vm[] = [];
  readonly #floatFrames: FloatFrames;
  /** Who owns which frame. */
  readonly frames: FrameAllocator;

  /** Takes the machine over: every frame of its memory, and root mode. */
  constructor(root: RootMode, options: HypervisorOptions = {}) {
    const slice = options.slice ?? DEFAULT_SLICE;
    if (!Number.isInteger(slice) || slice < 1) throw new InvalidInput(`slice is ${slice}: give a positive integer`);
    this.#root = root;
    this.frames = new FrameAllocator(root.memory.bytes, options.seed ?? 1);
    this.#environment = enterRootOperation(root, this.frames);
    this.#floatFrames = makeFloatFrames(root, () => this.frames.allocate(HYPERVISOR) * FRAME_BYTES);
    const tsc = root.rdmsr(IA32_TIME_STAMP_COUNTER);
    const now = root.now();
    const hostTsc = tsc === 'gp' ? 0 : (tsc.hi >>> 0) * 0x1_0000_0000 + (tsc.lo >>> 0) - now;
    this.#scheduler = new Scheduler(this.#vms, new Turn(root, hostTsc), slice, options.onExit);
  }

  get vms(): readonly Vm[] {
    return this.#vms;
  }

  /** Makes a VM and puts its kernel into it. Throws InvalidInput if the image or the memory does not fit. */
  createVm(config: VmConfig): Vm {
    const plan = planImage(config.image, config);
    const number = this.#vms.length;
    const owner = VM_OWNER + number;
    /** Tables, bitmaps and the VMCS are the hypervisor's: the guest must not reach them. */
    const own: number[] = [];
    const newFrame = (): number => {
      const frame = this.frames.allocate(HYPERVISOR);
      own.push(frame);
      return frame;
    };
    try {
      const paging = config.paging ?? 'nested';
      const controls = this.#controlsFor(paging);
      const hasEpt = paging === 'nested' || controls.real !== null;
      const ept = hasEpt ? new EptBuilder(this.#root.memory, newFrame) : null;
      const largePages = config.largePages === true && (controls.largePages || ept === null);
      const formats = new GuestFormats(this.#physicalAddressBits);
      const memory = new GuestMemory(config.memory, this.#root.memory, this.frames, owner, ept, largePages);
      const float = ept === null ? null : new FloatMemory(this.#root, ept, this.#floatFrames, memory.bytes);
      const start = placeImage(plan, memory, config);
      const vpid = controls.vpid ? number + 1 : 0;
      const page = (fill: number): number => {
        const at = newFrame() * FRAME_BYTES;
        this.#root.memory.fill(at, FRAME_BYTES, fill);
        return at;
      };
      const vmcs = page(0);
      this.#root.memory.write32(vmcs, this.#environment.vmcsRevision);
      this.#expect('VMCLEAR', this.#root.vmclear(vmcs));
      this.#expect('VMPTRLD', this.#root.vmptrld(vmcs));

      const vcpu = new Vcpu(this.#root, vmcs, controls.primary);
      const fields = initialFields({
        environment: this.#environment,
        controls,
        paging,
        gate: this.#root.gate,
        vpid,
        eptPointer: ept?.pointer ?? null,
        ioBitmapA: page(0xff),
        ioBitmapB: page(0xff),
        msrBitmap: this.#msrBitmap(page(0xff)),
        start,
      });
      for (const [field, value] of fields) vcpu.write(field, value);
      vcpu.general.set(start.general);
      if (vpid !== 0) this.#expect('INVVPID', this.#root.invvpid(1, vpid, 0));
      if (ept !== null) this.#expect('INVEPT', this.#root.invept(ALL_CONTEXTS, 0, 0));
      const shadow =
        paging === 'shadow'
          ? this.#makePager(memory, formats, vcpu, vpid, controls, config.shadow ?? {}, newFrame)
          : null;
      memory.declare(this.#root, vmcs);
      if (float !== null) float.declare(vmcs);
      else this.#root.share(vmcs, this.#floatFrames.ones / FRAME_BYTES, 1, EPT_READ);
      const vm = new Vm({
        number,
        name: config.name ?? `vm${number}`,
        memory,
        formats,
        float,
        vcpu,
        shadow,
        eptPointer: ept?.pointer ?? 0,
        vpid,
        board: config.board ?? PC,
        serial: config.serial ?? [],
      });
      shadow?.setRegisters(start.cr0, 0, 0);
      this.#vms.push(vm);
      return vm;
    } catch (error) {
      this.frames.release(owner);
      this.frames.releaseFrames(own);
      throw error;
    }
  }

  /** Runs the VMs in turn until all have ended, or a limit is reached. */
  run(limits: RunLimits = {}): RunResult {
    return this.#scheduler.run(limits);
  }

  /** A VM as plain data, between two runs. */
  save(vm: Vm): VmState {
    this.#makeCurrent(vm);
    return saveVm(vm);
  }

  /** Lets a VM go on from a saved state. Throws InvalidInput if the state does not fit it. */
  restore(vm: Vm, state: Unvalidated<VmState>): void {
    this.#makeCurrent(vm);
    restoreVm(vm, state);
    if (vm.vpid !== 0) this.#expect('INVVPID', this.#root.invvpid(1, vm.vpid, 0));
    if (vm.eptPointer !== 0) this.#expect('INVEPT', this.#root.invept(ALL_CONTEXTS, 0, 0));
  }

  /** MAXPHYADDR. */
  get #physicalAddressBits(): number {
    return this.#root.cpuid(ADDRESS_SIZES, 0).eax & 0xff;
  }

  /** The controls that serve a kind of paging. Throws InvalidInput if the processor does not have them. */
  #controlsFor(paging: Paging): Controls {
    const controls = this.#controls.get(paging) ?? chooseControls(this.#root, paging);
    this.#controls.set(paging, controls);
    return controls;
  }

  #makePager(
    memory: GuestMemory,
    formats: GuestFormats,
    vcpu: Vcpu,
    vpid: number,
    controls: Controls,
    options: ShadowOptions,
    newFrame: () => number,
  ): ShadowPager {
    return new ShadowPager({
      root: this.#root,
      memory,
      formats,
      vcpu,
      vpid,
      controls,
      options,
      standIns: {
        ...this.#floatFrames,
        lend: (isLent) => {
          const frame = this.#floatFrames.scratch / FRAME_BYTES;
          if (isLent) this.#root.share(vcpu.vmcs, frame, 1, EPT_READ | EPT_WRITE);
          else this.#root.release(vcpu.vmcs, frame);
        },
      },
      newPage: () => newFrame() * FRAME_BYTES,
    });
  }

  #makeCurrent(vm: Vm): void {
    this.#expect('VMPTRLD', this.#root.vmptrld(vm.vcpu.vmcs));
  }

  /** Every MSR exits but those that the VMCS holds. One bit an MSR: reads of 0 to 1FFFh first, their writes at 800h. */
  #msrBitmap(at: number): number {
    const { memory } = this.#root;
    for (const index of PASSED_THROUGH) {
      for (const half of [0, 0x800]) {
        const place = at + half + (index >> 3);
        memory.write8(place, memory.read8(place) & ~(1 << (index & 7)));
      }
    }
    return at;
  }

  #expect(instruction: string, result: ReturnType<RootMode['vmclear']>): void {
    if (!result.ok) throw new Error(`${instruction} failed: ${vmErrorText(result.error)}`);
  }
}
