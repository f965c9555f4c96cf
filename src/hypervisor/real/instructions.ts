/** Instructions of a guest in real-address mode that fault in virtual-8086 mode, executed for it.
 *  Reference: SDM Vol. 3, "Sensitive Instructions"; Vol. 2, the instructions' REAL-ADDRESS-MODE. */

import { CS, DS, EAX, ECX, EDI, EDX, ES, ESI, FLAG_DF, FLAG_IF, FLAG_VM, ZERO } from '../../base/registers.ts';
import { GP } from '../../base/signal.ts';
import { decode, type Instruction } from '../../machine/decoder.ts';
import type { RootMode } from '../../machine/root-mode.ts';
import type { AccessSize } from '../../mmu/port-space.ts';
import { BLOCKING_BY_STI } from '../../vmx/controls.ts';
import * as F from '../../vmx/fields.ts';
import { hlt } from '../exits/instructions.ts';
import { rdmsr, wrmsr } from '../exits/msr.ts';
import { accessWithShadow } from '../exits/shadow-registers.ts';
import { GuestLinear } from '../guest-linear.ts';
import type { ShadowPager } from '../shadow/pager.ts';
import type { Vm } from '../vm.ts';
import { deliverThroughVectors } from './deliver.ts';
import { loadVirtualSegment, moveStack, setFlags } from './state.ts';

const LONGEST = 15;
const APART = 2;
/** Flags that POPF and IRET load: in their 16-bit form, and beyond. */
const FLAGS_16 = 0x7fd5;
const FLAGS_32 = 0x24_7fd5; // AC, ID
const FLAGS_RESERVED = 0x2;

/** An instruction that has met #GP. */
export function emulateRealMode(vm: Vm, root: RootMode, pager: ShadowPager): void {
  const { vcpu } = vm;
  const memory = new GuestLinear(vm);
  const bytes = memory.fetch((vcpu.read(F.GUEST_CS_BASE) + vcpu.read(F.GUEST_RIP)) >>> 0, LONGEST);
  const i = decode(bytes, 0, bytes.length, 2);
  const execute = typeof i === 'string' ? undefined : INSTRUCTIONS[i.row.semantics];
  if (typeof i === 'string' || execute === undefined) {
    vm.raise(GP, 0);
    return;
  }
  execute({ vm, root, pager, memory, i });
}

interface Execution {
  readonly vm: Vm;
  readonly root: RootMode;
  readonly pager: ShadowPager;
  readonly memory: GuestLinear;
  readonly i: Instruction;
}

const done = ({ vm, i }: Execution): void => vm.completeInstruction(i.length);

function pop({ vm, memory }: Execution, size: number): number {
  return memory.read(moveStack(vm.vcpu, size).before, size);
}

/** POPF and IRET: EFLAGS from a value of the operand's size. */
function loadFlags({ vm, i }: Execution, value: number): void {
  const loaded = i.operandSize === 4 ? FLAGS_32 : FLAGS_16;
  setFlags(vm.vcpu, (vm.vcpu.eflags & ~loaded) | (value & loaded) | FLAGS_RESERVED);
}

/** MOV to and from CR, as the qualification of an exit would tell it. */
function accessRegister(e: Execution, qualification: number): void {
  if (accessWithShadow(e.vm, e.pager, qualification) === 'done') done(e);
}

function address({ vm, i }: Execution): number {
  const register = (index: number): number => (index === ZERO ? 0 : vm.vcpu.getRegister(index));
  const offset = register(i.base) + (register(i.index) << i.scale) + i.displacement;
  return baseOf(vm, i.segment) + (i.addressSize === 4 ? offset : offset & 0xffff);
}

const baseOf = (vm: Vm, segment: number): number => vm.vcpu.read(F.GUEST_ES_BASE + APART * segment);

/** LGDT, LIDT. With 16-bit operands the base has 24 bits. */
const loadTable =
  (base: number, limit: number) =>
  (e: Execution): void => {
    const at = address(e);
    const value = e.memory.read((at + 2) >>> 0, 4);
    e.vm.vcpu.write(limit, e.memory.read(at >>> 0, 2));
    e.vm.vcpu.write(base, e.i.operandSize === 4 ? value : value & 0xff_ffff);
    done(e);
  };

/** Bytes that IN, OUT, INS and OUTS move. */
const portSize = ({ i }: Execution): AccessSize => ((i.opcode & 1) === 0 ? 1 : i.operandSize);

const portOf = ({ vm, i }: Execution): number => (i.opcode < 0xe8 ? i.immediate & 0xff : vm.vcpu.general[EDX] & 0xffff);

/** INS and OUTS: iterations until the count is used up or the turn is over. */
function stringPort(e: Execution, isInput: boolean): void {
  const { vm, memory, i } = e;
  const { general } = vm.vcpu;
  const size = portSize(e);
  const port = general[EDX] & 0xffff;
  const index = isInput ? EDI : ESI;
  const mask = i.addressSize === 4 ? -1 : 0xffff;
  const move = (register: number, by: number): void => {
    general[register] = (general[register] & ~mask) | ((general[register] + by) & mask);
  };
  const base = baseOf(vm, isInput ? ES : i.segmentOverride ? i.segment : DS);
  const step = vm.vcpu.eflags & FLAG_DF ? -size : size;
  if (i.rep && (general[ECX] & mask) === 0) {
    done(e);
    return;
  }
  for (;;) {
    const at = (base + (general[index] & mask)) >>> 0;
    if (isInput) memory.write(at, size, vm.ports.read(port, size));
    else vm.ports.write(port, memory.read(at, size), size);
    move(index, step);
    const isPort = vm.vcpu.debug.notePort(port, size);
    const hit = vm.vcpu.debug.commitAccesses() || isPort;
    if (i.rep) move(ECX, -1);
    if (!i.rep || (general[ECX] & mask) === 0) break;
    vm.elapse(1);
    const isStepped = vm.vcpu.debug.traps(vm.vcpu.eflags);
    if (isStepped) vm.vcpu.debug.pendTrap();
    if (
      hit ||
      isStepped ||
      vm.time >= vm.horizon ||
      vm.clock.next <= vm.time ||
      vm.interruptLine ||
      vm.stopReason !== null
    ) {
      vm.vcpu.endShadow();
      return;
    }
  }
  done(e);
}

const INSTRUCTIONS: Readonly<Record<string, ((e: Execution) => void) | undefined>> = {
  cli(e) {
    setFlags(e.vm.vcpu, e.vm.vcpu.eflags & ~FLAG_IF);
    done(e);
  },
  sti(e) {
    const { vcpu } = e.vm;
    const flags = vcpu.eflags;
    setFlags(vcpu, flags | FLAG_IF);
    done(e);
    if ((flags & FLAG_IF) === 0) vcpu.write(F.GUEST_INTERRUPTIBILITY_STATE, BLOCKING_BY_STI);
  },
  pushf(e) {
    const size = e.i.operandSize;
    const flags = e.vm.vcpu.eflags & ~FLAG_VM;
    e.memory.write(moveStack(e.vm.vcpu, -size).after, size, size === 4 ? flags & 0xfc_ffff : flags & 0xffff);
    done(e);
  },
  popf(e) {
    loadFlags(e, pop(e, e.i.operandSize));
    done(e);
  },
  intN(e) {
    done(e);
    deliverThroughVectors(e.vm, e.i.immediate & 0xff);
  },
  iret(e) {
    const size = e.i.operandSize;
    const { vcpu } = e.vm;
    const eip = pop(e, size);
    const cs = pop(e, size) & 0xffff;
    loadFlags(e, pop(e, size));
    done(e);
    loadVirtualSegment(vcpu, CS, cs);
    vcpu.write(F.GUEST_RIP, eip & 0xffff);
  },
  hlt(e) {
    hlt(e.vm, e.root);
    done(e);
  },
  in(e) {
    const { general } = e.vm.vcpu;
    const size = portSize(e);
    const keep = size === 4 ? 0 : -1 << (size * 8);
    general[EAX] = (general[EAX] & keep) | e.vm.ports.read(portOf(e), size);
    e.vm.vcpu.debug.notePort(portOf(e), size);
    done(e);
  },
  out(e) {
    e.vm.ports.write(portOf(e), e.vm.vcpu.general[EAX], portSize(e));
    e.vm.vcpu.debug.notePort(portOf(e), portSize(e));
    done(e);
  },
  ins: (e) => stringPort(e, true),
  outs: (e) => stringPort(e, false),
  lgdt: loadTable(F.GUEST_GDTR_BASE, F.GUEST_GDTR_LIMIT),
  lidt: loadTable(F.GUEST_IDTR_BASE, F.GUEST_IDTR_LIMIT),
  movToCr: (e) => accessRegister(e, e.i.reg | (e.i.rm << 8)),
  movFromCr(e) {
    const { vcpu } = e.vm;
    vcpu.setRegister(e.i.rm, [vcpu.cr0, 0, vcpu.cr2, vcpu.cr3, vcpu.cr4][e.i.reg]);
    done(e);
  },
  clts: (e) => accessRegister(e, 2 << 4),
  lmsw(e) {
    const source = e.i.memory ? e.memory.read(address(e) >>> 0, 2) : e.vm.vcpu.getRegister(e.i.rm) & 0xffff;
    accessRegister(e, (3 << 4) | (source << 16));
  },
  invlpg: done,
  invd: done,
  wbinvd: done,
  rdmsr(e) {
    if (rdmsr(e.vm, e.root) === 'done') done(e);
  },
  wrmsr(e) {
    if (wrmsr(e.vm, e.root) === 'done') done(e);
  },
};
