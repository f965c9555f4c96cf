/** How a processor begins: power-up and reset, INIT, and the start-up IPI that a processor waits for that is not the first one.
 *  Reference: SDM Vol. 3, "IA-32 and Intel 64 Processor States Following Power-up, Reset, or INIT", "Multiple-Processor (MP)
 *  Initialization", "Other Causes of VM Exits". Who sends INIT and start-up IPIs is not the processor's matter: Cpu.signalInit,
 *  Cpu.signalStartUp. */

import {
  ACTIVITY,
  CR0,
  CR0_CD,
  CR0_NW,
  CR4,
  CS,
  DR6,
  DR6_FIXED,
  DR7,
  DR7_FIXED,
  EDX,
  EFLAGS,
  EIP,
  EVENT_HALT,
  EVENTS,
  GDTR_LIMIT,
  IDTR_LIMIT,
  LDTR,
  MODE,
  SEG_ACCESS,
  SEG_BASE,
  SEG_LIMIT,
  SEG_SELECTOR,
  SYSENTER_CS,
  SYSENTER_EIP,
  SYSENTER_ESP,
  TR,
} from '../base/registers.ts';
import type { Cpu } from './cpu.ts';
import { debugRegistersChanged } from './debugging/breakpoints.ts';
import { forgetDebugging } from './debugging/state.ts';

const ACTIVITY_WAIT_FOR_SIPI = 3;
const CR0_AT_RESET = 0x6000_0010;
/** What INIT leaves alone. */
const KEPT_BY_INIT = [SYSENTER_CS, SYSENTER_ESP, SYSENTER_EIP] as const;

/** The register file as after power-up, in a processor with that signature. */
export function resetRegisters(S: Int32Array, signature: number): void {
  S.fill(0);
  S[EFLAGS] = 2;
  S[EIP] = 0xfff0;
  S[CR0] = CR0_AT_RESET;
  S[DR6] = DR6_FIXED;
  S[DR7] = DR7_FIXED;
  for (let segment = 0; segment < 6; segment++) {
    S[SEG_LIMIT + segment] = 0xffff;
    S[SEG_ACCESS + segment] = 0x93;
  }
  S[SEG_SELECTOR + CS] = 0xf000;
  S[SEG_BASE + CS] = 0xffff_0000;
  S[SEG_LIMIT + LDTR] = 0xffff;
  S[SEG_ACCESS + LDTR] = 0x82;
  S[SEG_LIMIT + TR] = 0xffff;
  S[SEG_ACCESS + TR] = 0x8b;
  S[GDTR_LIMIT] = 0xffff;
  S[IDTR_LIMIT] = 0xffff;
  S[EDX] = signature;
  S[MODE] = -1;
}

/** Takes an INIT or a start-up IPI that waits: VM exit, or what it asks for. True if there was one. */
export function takeInit(cpu: Cpu): boolean {
  if (cpu.initDue) {
    cpu.initPending = false;
    cpu.updateInterruptEvent();
    if (cpu.monitor?.interceptInit() !== true) initialise(cpu);
    return true;
  }
  const vector = cpu.startUpVector;
  if (vector < 0) return false;
  cpu.startUpVector = -1;
  cpu.updateInterruptEvent();
  if (cpu.monitor?.interceptStartUp(vector) !== true) startUp(cpu, vector);
  return true;
}

/** INIT: registers as after reset, but for caches, MSRs and time. The first processor begins at the reset vector, others wait. */
function initialise(cpu: Cpu): void {
  const { S } = cpu;
  const oldCr0 = S[CR0];
  const oldCr4 = S[CR4];
  const kept = KEPT_BY_INIT.map((word) => S[word]);
  resetRegisters(S, cpu.model.signature);
  KEPT_BY_INIT.forEach((word, k) => {
    S[word] = kept[k];
  });
  S[CR0] = (S[CR0] & ~(CR0_CD | CR0_NW)) | (oldCr0 & (CR0_CD | CR0_NW));
  if (!cpu.isBootstrap) {
    S[ACTIVITY] = ACTIVITY_WAIT_FOR_SIPI;
    S[EVENTS] |= EVENT_HALT;
  }
  forgetDebugging(cpu);
  debugRegistersChanged(cpu);
  cpu.mmu.controlRegistersChanged(oldCr0, oldCr4);
  cpu.setFlags(2);
}

/** A start-up IPI: real-address mode at the page that its vector names. */
function startUp({ S }: Cpu, vector: number): void {
  S[ACTIVITY] = 0;
  S[EVENTS] &= ~EVENT_HALT;
  S[SEG_SELECTOR + CS] = vector << 8;
  S[SEG_BASE + CS] = vector << 12;
  S[EIP] = 0;
  S[MODE] = -1;
}
