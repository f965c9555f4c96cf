import {
  CPL,
  CR0,
  CS,
  DS,
  EIP,
  ES,
  ESP,
  FS,
  GDTR_BASE,
  GDTR_LIMIT,
  GS,
  IDTR_BASE,
  IDTR_LIMIT,
  LDTR,
  SEG_ACCESS,
  SEG_BASE,
  SEG_LIMIT,
  SEG_SELECTOR,
  SS_,
  START_EIP,
  TR,
} from '../../../src/base/registers.ts';
import { SIGNAL_EXCEPTION } from '../../../src/base/signal.ts';
import { Cpu } from '../../../src/cpu/cpu.ts';
import { decode } from '../../../src/cpu/decode.ts';
import { dispatch, exceptionEvent } from '../../../src/cpu/far/index.ts';
import { handlers } from '../../../src/cpu/handlers.ts';
import type { Instruction } from '../../../src/cpu/instruction.ts';
import { defaultModel } from '../../../src/cpu/model.ts';
import { checkPrivilege } from '../../../src/cpu/system/privilege.ts';
import { PhysicalMemory } from '../../../src/mmu/physical-memory.ts';
import { PortSpace } from '../../../src/mmu/port-space.ts';

/** Memory of the test machine. */
export const GDT = 0x1000;
export const IDT = 0x2000;
export const TSS = 0x3000;
export const LDT_AT = 0x3800;
export const CODE = 0x1_0000;
export const STACK0 = 0x2_0000;
export const STACK3 = 0x3_0000;
export const HANDLERS = 0x4_0000;

/** Selectors of the flat segments that are always there. */
export const CODE0 = 0x08;
export const DATA0 = 0x10;
export const CODE3 = 0x1b;
export const DATA3 = 0x23;
export const TSS_SELECTOR = 0x28;
export const LDT_SELECTOR = 0x30;
/** The first selectors that tests may use. */
export const FREE = 0x38;
export const FREE2 = 0x40;
export const FREE3 = 0x48;

/** Types with the S bit, as the manual's table numbers them (10h + type). */
export const READ_ONLY = 0x10;
export const READ_WRITE = 0x12;
export const EXPAND_DOWN = 0x16;
export const EXECUTE_ONLY = 0x18;
export const EXECUTE_READ = 0x1a;
export const CONFORMING = 0x1e;

export interface SegmentParts {
  base?: number;
  /** In bytes, or in pages with `pages`. */
  limit?: number;
  type: number;
  dpl?: number;
  present?: boolean;
  big?: boolean;
  pages?: boolean;
}

export interface GateParts {
  selector: number;
  offset: number;
  type: number;
  dpl?: number;
  present?: boolean;
  count?: number;
}

export interface Fault {
  vector: number;
  errorCode: number;
}

const FLAT = { limit: 0xf_ffff, pages: true } as const;

/** A processor in flat protected mode without paging, its tables, and no loop: instructions are handed to it one by one. */
export class FarMachine {
  readonly memory = new PhysicalMemory(0x10_0000);
  readonly cpu: Cpu;
  readonly S: Int32Array;
  /** Why the last fault was raised. */
  because = '';

  constructor(ring: 0 | 3 = 0) {
    const interruptController = { acknowledge: () => 0 };
    this.cpu = new Cpu({
      memory: this.memory,
      ports: new PortSpace(),
      model: defaultModel,
      interruptController,
      contexts: 3,
    });
    this.S = this.cpu.S;
    const S = this.S;
    S[CR0] |= 1;
    S[GDTR_BASE] = GDT;
    S[GDTR_LIMIT] = 0x7f;
    S[IDTR_BASE] = IDT;
    S[IDTR_LIMIT] = 0x7ff;
    this.segment(CODE0, { ...FLAT, type: EXECUTE_READ, big: true });
    this.segment(DATA0, { ...FLAT, type: READ_WRITE, big: true });
    this.segment(CODE3, { ...FLAT, type: EXECUTE_READ, dpl: 3, big: true });
    this.segment(DATA3, { ...FLAT, type: READ_WRITE, dpl: 3, big: true });
    this.segment(TSS_SELECTOR, { base: TSS, limit: 0x67, type: 0xb });
    this.segment(LDT_SELECTOR, { base: LDT_AT, limit: 0x1f, type: 2 });
    this.hold(CS, ring === 0 ? CODE0 : CODE3);
    for (const segment of [SS_, DS, ES, FS, GS]) this.hold(segment, ring === 0 ? DATA0 : DATA3);
    this.hold(TR, TSS_SELECTOR);
    this.hold(LDTR, LDT_SELECTOR);
    this.write32(TSS + 4, STACK0);
    this.write32(TSS + 8, DATA0);
    S[EIP] = CODE;
    S[ESP] = ring === 0 ? STACK0 : STACK3;
    this.cpu.setCpl(ring);
    for (let vector = 0; vector < 0x80; vector++)
      this.idt(vector, { selector: CODE0, offset: HANDLERS + vector * 16, type: 14 });
  }

  /** Sets a word of the register file. */
  set(register: number, value: number): void {
    this.S[register] = value;
  }

  write16(at: number, value: number): void {
    this.memory.writeBytes(at, Uint8Array.of(value, value >> 8));
  }
  write32(at: number, value: number): void {
    this.memory.writeBytes(at, Uint8Array.of(value, value >> 8, value >> 16, value >> 24));
  }
  read16(at: number): number {
    return this.memory.read16(at) & 0xffff;
  }
  read32(at: number): number {
    return this.memory.read32(at) >>> 0;
  }

  /** Writes a segment descriptor to the place that `selector` names. Types below 10h are system segments. */
  segment(selector: number, d: SegmentParts): void {
    const { base = 0, limit = 0xffff, type, dpl = 0, present = true, big = false, pages = false } = d;
    const at = (selector & 4 ? LDT_AT : GDT) + (selector & ~7);
    this.write32(at, (base << 16) | (limit & 0xffff));
    const rights = type | (dpl << 5) | (present ? 0x80 : 0);
    const high = (base & 0xff00_0000) | (pages ? 1 << 23 : 0) | (big ? 1 << 22 : 0) | (limit & 0xf_0000);
    this.write32(at + 4, high | (rights << 8) | ((base >> 16) & 0xff));
  }

  #gateAt(at: number, d: GateParts): void {
    const { selector, offset, type, dpl = 0, present = true, count = 0 } = d;
    this.write32(at, (selector << 16) | (offset & 0xffff));
    this.write32(at + 4, (offset & 0xffff_0000) | ((type | (dpl << 5) | (present ? 0x80 : 0)) << 8) | count);
  }
  gate(selector: number, d: GateParts): void {
    this.#gateAt(GDT + (selector & ~7), d);
  }
  idt(vector: number, d: GateParts): void {
    this.#gateAt(IDT + vector * 8, d);
  }

  /** Byte with the access rights of a descriptor in memory. */
  rightsInMemory(selector: number): number {
    return this.memory.read8((selector & 4 ? LDT_AT : GDT) + (selector & ~7) + 5);
  }

  /** Puts a segment register in place as its descriptor in memory says, without any check. */
  hold(segment: number, selector: number): void {
    const S = this.S;
    const at = (selector & 4 ? LDT_AT : GDT) + (selector & ~7);
    const low = this.read32(at);
    const high = this.read32(at + 4);
    const units = (high & 0xf_0000) | (low & 0xffff);
    S[SEG_SELECTOR + segment] = selector;
    S[SEG_BASE + segment] = (low >>> 16) | ((high & 0xff) << 16) | (high & 0xff00_0000);
    S[SEG_LIMIT + segment] = high & (1 << 23) ? (units << 12) | 0xfff : units;
    S[SEG_ACCESS + segment] = ((high >>> 8) & 0xf0ff) | (segment < LDTR ? 1 : 0);
    this.cpu.segmentsChanged();
  }

  /** Real-address mode: segments as after reset, IDT at 0, running at 0000:1000 with the stack below 2000h. */
  real(): this {
    const S = this.S;
    S[CR0] &= ~1;
    for (const segment of [ES, CS, SS_, DS, FS, GS]) {
      S[SEG_SELECTOR + segment] = 0;
      S[SEG_BASE + segment] = 0;
      S[SEG_LIMIT + segment] = 0xffff;
      S[SEG_ACCESS + segment] = 0x93;
    }
    S[IDTR_BASE] = 0;
    S[IDTR_LIMIT] = 0x3ff;
    S[EIP] = 0x1000;
    S[ESP] = 0x2000;
    this.cpu.segmentsChanged();
    return this;
  }

  /** Executes one instruction. A fault is returned, EIP then names the instruction again; null if it completed. */
  execute(...bytes: number[]): Fault | null {
    const { cpu, S } = this;
    const at = (S[SEG_BASE + CS] + S[EIP]) >>> 0;
    this.memory.writeBytes(at, Uint8Array.from(bytes));
    const i = decode(this.memory.u8, at, at + 15, cpu.codeSize) as Instruction;
    const start = S[EIP];
    S[START_EIP] = start;
    S[EIP] = (start + i.length) | 0;
    cpu.retires = 1;
    try {
      checkPrivilege(cpu, i.row);
      (handlers[i.row.semantics] as (typeof handlers)[string])(cpu, i);
      return null;
    } catch (thrown) {
      if (thrown !== cpu.signal || cpu.signal.kind !== SIGNAL_EXCEPTION) throw thrown;
      S[EIP] = start;
      this.because = cpu.signal.because;
      return { vector: cpu.signal.vector, errorCode: cpu.signal.errorCode };
    }
  }

  /** Executes one instruction and delivers the fault that it may raise. */
  step(...bytes: number[]): void {
    if (this.execute(...bytes) !== null) dispatch(this.cpu, exceptionEvent(this.cpu, this.cpu.signal));
  }

  /** The `count` doublewords (or words) from SS:ESP upwards. */
  stack(count: number, size: 2 | 4 = 4): number[] {
    const at = this.S[SEG_BASE + SS_] + (this.S[ESP] & this.cpu.stackMask);
    return Array.from({ length: count }, (_, n) => (size === 4 ? this.read32(at + n * 4) : this.read16(at + n * 2)));
  }

  /** Pushes doublewords, the last one ends up lowest. */
  push(...values: number[]): void {
    for (const value of values) {
      this.S[ESP] -= 4;
      this.write32(this.S[SEG_BASE + SS_] + this.S[ESP], value);
    }
  }
  push16(...values: number[]): void {
    for (const value of values) {
      this.S[ESP] -= 2;
      this.write16(this.S[SEG_BASE + SS_] + this.S[ESP], value);
    }
  }

  get cs(): number {
    return this.S[SEG_SELECTOR + CS];
  }
  get ss(): number {
    return this.S[SEG_SELECTOR + SS_];
  }
  get eip(): number {
    return this.S[EIP] >>> 0;
  }
  get esp(): number {
    return this.S[ESP] >>> 0;
  }
  get cpl(): number {
    return this.S[CPL];
  }
}

/** Bytes of a value, lowest first. */
export const le16 = (n: number): number[] => [n & 0xff, (n >> 8) & 0xff];
export const le32 = (n: number): number[] => [...le16(n), ...le16(n >>> 16)];
/** Far pointer instructions with 32-bit operands. */
export const farJump = (selector: number, offset: number): number[] => [0xea, ...le32(offset), ...le16(selector)];
export const farCall = (selector: number, offset: number): number[] => [0x9a, ...le32(offset), ...le16(selector)];
