/** CPUID, RDTSC, RDMSR, WRMSR: what the processor tells about itself, and its model-specific registers. */

import { hex } from '../../base/int.ts';
import { CPL, CR4, CR4_TSD, EAX, EBX, ECX, EDX } from '../../base/registers.ts';
import { GP } from '../../base/signal.ts';
import type { Cpu } from '../cpu.ts';
import type { Instruction } from '../instruction.ts';
import { readMsr, timeStampCounter, tscHalves, writeMsr } from '../msr.ts';
import { intercepted } from './privilege.ts';

/** CPUID — CPU Identification. */
export function cpuid(cpu: Cpu, i: Instruction): void {
  if (intercepted(cpu, i)) return;
  const { S } = cpu;
  const r = cpu.identification.leaf(S[EAX], S[ECX]);
  S[EAX] = r.eax;
  S[EBX] = r.ebx;
  S[ECX] = r.ecx;
  S[EDX] = r.edx;
}

/** RDTSC — Read Time-Stamp Counter. */
export function rdtsc(cpu: Cpu, i: Instruction): void {
  const { S } = cpu;
  if ((S[CR4] & CR4_TSD) !== 0 && S[CPL] !== 0) cpu.raise(GP, 0, 'RDTSC needs CPL 0 while CR4.TSD is 1');
  if (intercepted(cpu, i)) return;
  const tsc = tscHalves(timeStampCounter(cpu));
  S[EAX] = tsc.lo;
  S[EDX] = tsc.hi;
}

/** RDMSR — Read From Model-Specific Register. */
export function rdmsr(cpu: Cpu, i: Instruction): void {
  const { S } = cpu;
  const index = S[ECX] >>> 0;
  if (intercepted(cpu, i, index)) return;
  const value = readMsr(cpu, index) ?? cpu.raise(GP, 0, `there is no MSR ${hex(index, 1)}`);
  S[EAX] = value.lo;
  S[EDX] = value.hi;
}

/** WRMSR — Write to Model-Specific Register. */
export function wrmsr(cpu: Cpu, i: Instruction): void {
  const { S } = cpu;
  const index = S[ECX] >>> 0;
  if (intercepted(cpu, i, index)) return;
  if (!writeMsr(cpu, index, S[EAX], S[EDX])) {
    cpu.raise(GP, 0, `MSR ${hex(index, 1)} does not exist or does not take ${hex(S[EDX])}:${hex(S[EAX])}`);
  }
}
