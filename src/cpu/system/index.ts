/** System instructions (SDM Vol. 1, "System Instructions"), by the names that opcode rows use. */
import type { Cpu } from '../cpu.ts';
import type { Handler } from '../rows.ts';
import { clts, lmsw, movFromCr, movToCr, smsw } from './control-registers.ts';
import { movFromDr, movToDr } from './debug-registers.ts';
import { clac, cli, popf, pushf, stac, sti } from './flags.ts';
import { cpuid, rdmsr, rdpmc, rdtsc, rdtscp, wrmsr } from './identification.ts';
import { in_, out } from './io.ts';
import { hlt, invalidateCaches, invlpg, pause, vmx } from './processor.ts';

export const systemHandlers: Readonly<Record<string, Handler<Cpu>>> = {
  hlt,
  cli,
  sti,
  clac,
  stac,
  pushf,
  popf,
  cpuid,
  rdtsc,
  rdtscp,
  rdpmc,
  rdmsr,
  wrmsr,
  movFromCr,
  movToCr,
  movFromDr,
  movToDr,
  clts,
  lmsw,
  smsw,
  invlpg,
  invd: invalidateCaches,
  wbinvd: invalidateCaches,
  in: in_,
  out,
  pause,
  vmx,
};
