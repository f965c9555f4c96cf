/** A processor with nothing around it: a state goes in, bytes are executed up to a HLT, a state comes out. */
import { Unimplemented } from '../../src/base/errors.ts';
import {
  ACTIVITY,
  CR0,
  CS,
  EFLAGS,
  EIP,
  EVENTS,
  FLAG_KIND,
  GDTR_BASE,
  GDTR_LIMIT,
  IDTR_BASE,
  IDTR_LIMIT,
  INTERRUPTIBILITY,
  SEG_ACCESS,
  SEG_BASE,
  SEG_LIMIT,
  SEG_SELECTOR,
} from '../../src/base/registers.ts';
import { Cpu } from '../../src/cpu/cpu.ts';
import { defaultModel } from '../../src/cpu/model.ts';
import { run } from '../../src/cpu/run.ts';
import { PhysicalMemory } from '../../src/mmu/physical-memory.ts';
import { PortSpace } from '../../src/mmu/port-space.ts';

/** Instructions that a vector may take; a repeated one counts once for each iteration. */
const LIMIT = 200_000;

const CODE_ACCESS = 0x9b;
const DATA_ACCESS = 0x93;
const FLAT = 0xc000;

export class VectorMachine {
  readonly memory: PhysicalMemory;
  readonly cpu: Cpu;
  readonly S: Int32Array;

  constructor(bytes: number) {
    this.memory = new PhysicalMemory(bytes);
    const interruptController = { acknowledge: () => 0 };
    this.cpu = new Cpu({ memory: this.memory, ports: new PortSpace(), model: defaultModel, interruptController });
    this.S = this.cpu.S;
  }

  /** Real mode, hidden parts as a far transfer or MOV leaves them: base = selector × 16, limit FFFFh. */
  realMode(selectors: { cs: number; ss: number; ds: number; es: number }): void {
    const { S, cpu } = this;
    cpu.reset();
    S[CR0] = 0x10;
    for (const [segment, selector] of [selectors.es, selectors.cs, selectors.ss, selectors.ds, 0, 0].entries()) {
      S[SEG_SELECTOR + segment] = selector;
      S[SEG_BASE + segment] = selector << 4;
      S[SEG_LIMIT + segment] = 0xffff;
      S[SEG_ACCESS + segment] = DATA_ACCESS; // CS, too, can be written
    }
    S[IDTR_BASE] = 0;
    S[IDTR_LIMIT] = 0x3ff;
    cpu.segmentsChanged();
    cpu.setCpl(0);
  }

  /** Protected mode, ring 0, flat 32-bit segments; every exception ends at `handler`. GDT and IDT are written at `tables`. */
  flat(tables: number, handler: number): void {
    const { S, cpu, memory } = this;
    cpu.reset();
    const code = 8;
    const data = 16;
    memory.write32(tables + code, 0x0000_ffff);
    memory.write32(tables + code + 4, 0x00cf_9b00);
    memory.write32(tables + data, 0x0000_ffff);
    memory.write32(tables + data + 4, 0x00cf_9300);
    const idt = tables + 0x100;
    for (let vector = 0; vector < 32; vector++) {
      memory.write32(idt + vector * 8, (code << 16) | (handler & 0xffff));
      memory.write32(idt + vector * 8 + 4, (handler & 0xffff_0000) | 0x8e00);
    }
    S[GDTR_BASE] = tables;
    S[GDTR_LIMIT] = 0xff;
    S[IDTR_BASE] = idt;
    S[IDTR_LIMIT] = 0xff;
    S[CR0] = 0x11;
    for (let segment = 0; segment < 6; segment++) {
      S[SEG_SELECTOR + segment] = segment === CS ? code : data;
      S[SEG_BASE + segment] = 0;
      S[SEG_LIMIT + segment] = -1;
      S[SEG_ACCESS + segment] = FLAT | (segment === CS ? CODE_ACCESS : DATA_ACCESS);
    }
    cpu.segmentsChanged();
    cpu.setCpl(0);
  }

  /** Executes from `eip` with these flags until a HLT. Returns null, or why there was none. */
  execute(eip: number, flags: number): string | null {
    const { S, cpu } = this;
    S[EIP] = eip;
    S[FLAG_KIND] = 0;
    S[EFLAGS] = flags | 2;
    S[ACTIVITY] = 0;
    S[EVENTS] = 0;
    S[INTERRUPTIBILITY] = 0;
    try {
      run(cpu, LIMIT);
    } catch (error) {
      if (error instanceof Unimplemented) return `unimplemented: ${error.feature}`;
      throw error;
    }
    return S[ACTIVITY] === 1 ? null : `no HLT within ${LIMIT} instructions`;
  }
}
