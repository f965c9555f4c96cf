/** CPUID, RDTSC, RDMSR, WRMSR: what the processor tells about itself, and its model-specific registers. */

import { hex } from '../../base/int.ts';
import { CPL, CR4, CR4_PCE, CR4_TSD, EAX, EBX, ECX, EDX } from '../../base/registers.ts';
import { GP, UD } from '../../base/signal.ts';
import type { Cpu } from '../cpu.ts';
import type { Instruction } from '../instruction.ts';
import { PERFORMANCE_COUNTERS } from '../model.ts';
import { IA32_PMC0, IA32_TSC_AUX, readMsr, timeStampCounter, writeMsr } from '../msr.ts';
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
  const tsc = timeStampCounter(cpu);
  S[EAX] = tsc.lo;
  S[EDX] = tsc.hi;
}

/** RDTSCP — Read Time-Stamp Counter and Processor ID: also IA32_TSC_AUX. */
export function rdtscp(cpu: Cpu, i: Instruction): void {
  const { S } = cpu;
  if (!cpu.model.features.has('RDTSCP')) cpu.raise(UD, -1, 'this processor has no RDTSCP');
  if (cpu.monitor?.rdtscpEnabled === false) cpu.raise(UD, -1, 'RDTSCP is not enabled for this guest');
  if ((S[CR4] & CR4_TSD) !== 0 && S[CPL] !== 0) cpu.raise(GP, 0, 'RDTSCP needs CPL 0 while CR4.TSD is 1');
  if (intercepted(cpu, i)) return;
  const tsc = timeStampCounter(cpu);
  S[EAX] = tsc.lo;
  S[EDX] = tsc.hi;
  S[ECX] = readMsr(cpu, IA32_TSC_AUX)?.lo ?? 0;
}

/** RDPMC — Read Performance-Monitoring Counters. */
export function rdpmc(cpu: Cpu, i: Instruction): void {
  const { S } = cpu;
  if ((S[CR4] & CR4_PCE) === 0 && S[CPL] !== 0) cpu.raise(GP, 0, 'RDPMC needs CPL 0 while CR4.PCE is 0');
  if (intercepted(cpu, i)) return;
  const index = S[ECX] >>> 0;
  if (index >= PERFORMANCE_COUNTERS) cpu.raise(GP, 0, `there is no performance counter ${hex(index, 1)}`);
  const value = readMsr(cpu, IA32_PMC0 + index);
  S[EAX] = value?.lo ?? 0;
  S[EDX] = value?.hi ?? 0;
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
