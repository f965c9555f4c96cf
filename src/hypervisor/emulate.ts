/** Executes one guest instruction that touches an address where the guest has no memory: reads yield all ones, writes are
 *  dropped. Covers the instructions with which kernels look at memory; for everything else there is float.ts. */

import { AR_DB, ARITHMETIC_FLAGS, DS, EAX, ECX, EDI, ES, ESI, ESP, FLAG_DF, ZERO } from '../base/registers.ts';
import { PF, UD } from '../base/signal.ts';
import { decode, type Instruction } from '../machine/decoder.ts';
import * as F from '../vmx/fields.ts';
import { type Computed, compute, isAlu } from './emulate-alu.ts';
import { CannotEmulate, GuestLinear, GuestPageFault } from './guest-linear.ts';
import type { Vm } from './vm.ts';

const BASE_FIELDS = [
  F.GUEST_ES_BASE,
  F.GUEST_CS_BASE,
  F.GUEST_SS_BASE,
  F.GUEST_DS_BASE,
  F.GUEST_FS_BASE,
  F.GUEST_GS_BASE,
] as const;
const LIMIT_FIELDS = [
  F.GUEST_ES_LIMIT,
  F.GUEST_CS_LIMIT,
  F.GUEST_SS_LIMIT,
  F.GUEST_DS_LIMIT,
  F.GUEST_FS_LIMIT,
  F.GUEST_GS_LIMIT,
] as const;
/** What is emulated besides arithmetic and strings. */
const MOVES: ReadonlySet<string> = new Set(['mov', 'movzx', 'movsx', 'push', 'xchg']);
const LONGEST = 15;
/** What cannot be told from any other floating fetch: FF FF is undefined. */
const FLOATING_OPCODE = 0xff;

/** Emulates the instruction at the guest's EIP and moves on to the next. Raises the guest's own faults.
 *  False: it is not one of those that can be emulated, and nothing has changed. */
export function emulateInstruction(vm: Vm): boolean {
  try {
    const emulation = new Emulation(vm);
    if (emulation.run()) vm.completeInstruction(emulation.length);
    return true;
  } catch (error) {
    if (error instanceof CannotEmulate) return false;
    if (!(error instanceof GuestPageFault)) throw error;
    vm.vcpu.cr2 = error.linear | 0;
    vm.shadow?.faulted(error.linear);
    vm.raise(PF, error.errorCode);
    return true;
  }
}

const mask = (size: number): number => (size === 4 ? -1 : (1 << (size * 8)) - 1);

class Emulation {
  readonly #vm: Vm;
  readonly #memory: GuestLinear;
  readonly #i: Instruction;

  constructor(vm: Vm) {
    this.#vm = vm;
    this.#memory = new GuestLinear(vm);
    this.#i = this.#decode();
  }

  /** Bytes of the instruction. */
  get length(): number {
    return this.#i.length;
  }

  /** True: the instruction is complete, EIP can go on. */
  run(): boolean {
    const i = this.#i;
    const { semantics, operands } = i.row;
    if (semantics === 'undefined') {
      this.#vm.raise(UD);
      return false;
    }
    if (semantics === 'movs' || semantics === 'stos' || semantics === 'lods') return this.#string(semantics);
    if (!isAlu(semantics) && !MOVES.has(semantics)) throw new CannotEmulate(i.row.mnemonic);
    const size = this.#sizeOf(operands[0]);
    if (semantics === 'mov') this.#store(0, size, this.#load(1, size));
    else if (semantics === 'movzx' || semantics === 'movsx') this.#extend(semantics === 'movsx');
    else if (semantics === 'push')
      this.#push(i.operandSize); // of a byte, too: it is sign-extended
    else if (semantics === 'xchg') {
      const a = this.#load(0, size, true);
      const b = this.#load(1, size, true);
      // The memory operand first: if it faults, the register keeps its value.
      const memoryFirst = operands[0].startsWith('E');
      this.#store(memoryFirst ? 0 : 1, size, memoryFirst ? b : a);
      this.#store(memoryFirst ? 1 : 0, size, memoryFirst ? a : b);
    } else if (isAlu(semantics)) {
      const flags = this.#vm.vcpu.read(F.GUEST_RFLAGS);
      const second = operands.length > 1 ? this.#load(1, size) : 0;
      const isRead = semantics === 'cmp' || semantics === 'test';
      const result: Computed = compute(semantics, this.#load(0, size, !isRead), second, size, flags);
      if (result.stores) this.#store(0, size, result.value);
      this.#vm.vcpu.write(F.GUEST_RFLAGS, (flags & ~ARITHMETIC_FLAGS) | result.flags);
    }
    return true;
  }

  #decode(): Instruction {
    const { vcpu } = this.#vm;
    // CS.D counts in real-address mode, too: CS keeps its descriptor from protected mode until it is loaded.
    const codeSize = vcpu.read(F.GUEST_CS_ACCESS_RIGHTS) & AR_DB ? 4 : 2;
    const at = (vcpu.read(F.GUEST_CS_BASE) + vcpu.read(F.GUEST_RIP)) >>> 0;
    const bytes = this.#memory.fetch(at, LONGEST);
    const i = decode(bytes, 0, bytes.length, codeSize);
    if (typeof i !== 'string') return i;
    throw new CannotEmulate(bytes[0] === FLOATING_OPCODE ? 'code outside memory' : `an instruction that is ${i}`);
  }

  /** Operand codes end in their size: b, w, v or z. Registers by name tell it themselves. */
  #sizeOf(code: string): number {
    if (code === 'AL' || code.endsWith('b')) return 1;
    return code.endsWith('w') ? 2 : this.#i.operandSize;
  }

  /** `toWrite`: the operand is written afterwards, so that a fault is one of a write. */
  #load(operand: number, size: number, toWrite = false): number {
    const i = this.#i;
    const code = i.row.operands[operand];
    switch (code[0]) {
      case 'E':
        return i.memory ? this.#memory.read(this.#address(), size, toWrite) : this.#register(i.rm, size);
      case 'G':
        return this.#register(i.reg, size);
      case 'O':
        return this.#memory.read(this.#address(), size);
      case 'I':
      case 's':
        return i.immediate & mask(size);
      default:
        if (code === 'AL' || code === 'rAX') return this.#register(EAX, size);
        throw new CannotEmulate(`${i.row.mnemonic} with operand ${code} on an address without memory`);
    }
  }

  #store(operand: number, size: number, value: number): void {
    const i = this.#i;
    const code = i.row.operands[operand];
    if (code[0] === 'O' || (code[0] === 'E' && i.memory)) this.#memory.write(this.#address(), size, value);
    else if (code[0] === 'E') this.#setRegister(i.rm, size, value);
    else if (code[0] === 'G') this.#setRegister(i.reg, size, value);
    else if (code === 'AL' || code === 'rAX') this.#setRegister(EAX, size, value);
    else throw new CannotEmulate(`${i.row.mnemonic} with operand ${code} on an address without memory`);
  }

  #extend(signed: boolean): void {
    const from = this.#sizeOf(this.#i.row.operands[1]);
    const raw = this.#load(1, from);
    const shift = 32 - 8 * from;
    this.#store(0, this.#i.operandSize, signed ? (raw << shift) >> shift : raw);
  }

  #push(size: number): void {
    const value = this.#load(0, size);
    const { vcpu } = this.#vm;
    const wide = (vcpu.read(F.GUEST_SS_ACCESS_RIGHTS) & AR_DB) !== 0;
    const old = vcpu.getRegister(ESP);
    const esp = wide ? old - size : (old & ~0xffff) | ((old - size) & 0xffff);
    this.#memory.write((vcpu.read(F.GUEST_SS_BASE) + (wide ? esp : esp & 0xffff)) >>> 0, size, value);
    vcpu.setRegister(ESP, esp);
  }

  /** MOVS, STOS, LODS; with a repeat prefix as many iterations as the turn allows, the processor comes back for the rest. */
  #string(semantics: 'movs' | 'stos' | 'lods'): boolean {
    const i = this.#i;
    const { vcpu } = this.#vm;
    const size = this.#sizeOf(i.row.operands[0]);
    const wide = i.addressSize === 4;
    const count = (): number => (wide ? vcpu.general[ECX] >>> 0 : vcpu.general[ECX] & 0xffff);
    const step = vcpu.read(F.GUEST_RFLAGS) & FLAG_DF ? -size : size;
    const move = (index: number, by: number): void => {
      const old = vcpu.general[index];
      vcpu.general[index] = wide ? old + by : (old & ~0xffff) | ((old + by) & 0xffff);
    };
    const source = this.#base(this.#segment(DS));
    const target = this.#base(ES);
    if (i.rep && count() === 0) return true;
    if (i.rep) this.#memory.watch((vcpu.read(F.GUEST_CS_BASE) + vcpu.read(F.GUEST_RIP)) >>> 0, this.length);
    for (;;) {
      const value =
        semantics === 'stos'
          ? this.#register(EAX, size)
          : this.#memory.read(this.#place(source, vcpu.general[ESI]), size);
      if (semantics === 'lods') this.#setRegister(EAX, size, value);
      else this.#memory.write(this.#place(target, vcpu.general[EDI]), size, value);
      if (semantics !== 'stos') move(ESI, step);
      if (semantics !== 'lods') move(EDI, step);
      if (!i.rep) return true;
      move(ECX, -1);
      if (count() === 0) return true; // the last iteration completes the instruction
      this.#vm.elapse(1);
      const isStepped = vcpu.debug.traps(vcpu.read(F.GUEST_RFLAGS));
      if (isStepped) vcpu.debug.pendTrap();
      if (
        vcpu.debug.commitAccesses() ||
        isStepped ||
        this.#vm.time >= this.#vm.horizon ||
        this.#memory.wroteWatched ||
        !this.#isFlat()
      )
        break;
    }
    vcpu.pauseRepetition();
    return false;
  }

  /** No iteration can pass the limit of its segment. */
  #isFlat(): boolean {
    const { vcpu } = this.#vm;
    const source = LIMIT_FIELDS[this.#segment(DS)];
    return this.#i.addressSize === 4 && vcpu.read(source) === -1 && vcpu.read(F.GUEST_ES_LIMIT) === -1;
  }

  #segment(byDefault: number): number {
    return this.#i.segmentOverride ? this.#i.segment : byDefault;
  }

  #address(): number {
    const i = this.#i;
    const register = (index: number): number => (index === ZERO ? 0 : this.#vm.vcpu.getRegister(index));
    const isOffset = i.row.operands.some((code) => code.startsWith('O'));
    const offset = isOffset ? i.immediate : register(i.base) + (register(i.index) << i.scale) + i.displacement;
    return this.#linear(i.segment, offset);
  }

  #linear(segment: number, offset: number): number {
    return this.#place(this.#base(segment), offset);
  }

  #base(segment: number): number {
    return this.#vm.vcpu.read(BASE_FIELDS[segment]);
  }

  #place(base: number, offset: number): number {
    return (base + (this.#i.addressSize === 4 ? offset : offset & 0xffff)) >>> 0;
  }

  #register(index: number, size: number): number {
    const { vcpu } = this.#vm;
    if (size === 1) return (vcpu.getRegister(index & 3) >>> (index & 4 ? 8 : 0)) & 0xff;
    return vcpu.getRegister(index) & mask(size);
  }

  #setRegister(index: number, size: number, value: number): void {
    const { vcpu } = this.#vm;
    const place = size === 1 ? index & 3 : index;
    const shift = size === 1 && index & 4 ? 8 : 0;
    const field = mask(size) << shift;
    vcpu.setRegister(place, (vcpu.getRegister(place) & ~field) | ((value << shift) & field));
  }
}
