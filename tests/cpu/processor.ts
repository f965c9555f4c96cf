/** A flat 32-bit processor for tests of single instructions: bytes in, registers out. Exceptions of vector v end at HANDLERS + v. */
import {
  CPL,
  CS,
  EAX,
  EBP,
  EBX,
  ECX,
  EDI,
  EDX,
  EIP,
  ESI,
  ESP,
  SEG_ACCESS,
  SEG_BASE,
  SEG_LIMIT,
  SEG_SELECTOR,
  TR,
} from '../../src/base/registers.ts';
import { run } from '../../src/cpu/run.ts';
import { VectorMachine } from '../vectors/machine.ts';

const TABLES = 0x1000;
const TSS = 0x1800;
export const HANDLERS = 0x2000;
export const CODE = 0x3000;
export const STACK = 0x7000;
export const DATA = 0x8000;
const HLT = 0xf4;

const INDEX = { eax: EAX, ecx: ECX, edx: EDX, ebx: EBX, esp: ESP, ebp: EBP, esi: ESI, edi: EDI } as const;
export type Registers = Partial<Record<keyof typeof INDEX, number>>;

export class Processor extends VectorMachine {
  constructor(bytes = 0x4_0000) {
    super(bytes);
    this.flat(TABLES, HANDLERS);
    for (let vector = 0; vector < 32; vector++) {
      this.memory.write32(TABLES + 0x100 + vector * 8, (8 << 16) | (HANDLERS + vector));
      this.memory.write8(HANDLERS + vector, HLT);
    }
    this.S[SEG_BASE + TR] = TSS;
    this.S[SEG_LIMIT + TR] = 0x67;
    this.S[SEG_ACCESS + TR] = 0x8b;
    this.memory.write32(TSS + 4, STACK - 0x800);
    this.memory.write32(TSS + 8, 16);
    this.memory.write16(TSS + 102, 0x68);
    this.S[ESP] = STACK;
  }

  set(registers: Registers): void {
    for (const [name, value] of Object.entries(registers)) this.S[INDEX[name as keyof typeof INDEX]] = value;
  }

  /** Unsigned. */
  get(name: keyof typeof INDEX): number {
    return this.S[INDEX[name]] >>> 0;
  }

  /** Puts code and a HLT behind it at CODE, where the processor goes on. */
  load(...code: number[]): void {
    for (const [k, b] of [...code, HLT].entries()) this.memory.write8(CODE + k, b);
    this.S[EIP] = CODE;
  }

  /** Executes code up to the HLT behind it; returns the vector of the exception that it raised, or null. */
  execute1(...code: number[]): number | null {
    this.load(...code);
    const stuck = this.execute(CODE, this.cpu.getFlags());
    if (stuck !== null) throw new Error(stuck);
    const vector = this.S[EIP] - 1 - HANDLERS;
    return vector >= 0 && vector < 32 ? vector : null;
  }

  /** Error code that the handler found on its stack. */
  get errorCode(): number {
    return this.memory.read32(this.S[ESP]) & 0xffff;
  }

  run(instructions: number): string {
    return run(this.cpu, instructions);
  }

  /** Goes on at CPL 3, with I/O privilege level `iopl`; the TSS holds `bitmap` for ports 0 and up. */
  enterRing3(iopl = 0, bitmap: readonly number[] = []): void {
    const { S, cpu, memory } = this;
    for (let segment = 0; segment < 6; segment++) {
      S[SEG_SELECTOR + segment] = segment === CS ? 0x1b : 0x23;
      S[SEG_ACCESS + segment] |= 0x60;
    }
    cpu.segmentsChanged();
    S[CPL] = 3;
    cpu.setCpl(3);
    cpu.setFlags((cpu.getFlags() & ~0x3000) | (iopl << 12));
    for (const [k, b] of bitmap.entries()) memory.write8(TSS + 0x68 + k, b);
    S[SEG_LIMIT + TR] = 0x67 + bitmap.length;
  }
}
