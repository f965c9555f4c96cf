/** Loading CS: which code segments a transfer may enter (SDM Vol. 3, "Privilege Level Checking When Transferring Program
 *  Control Between Code Segments"; Vol. 2, JMP, CALL, RET, IRET). */

import { hex } from '../../base/int.ts';
import { CPL, CS, EIP, SEG_LIMIT } from '../../base/registers.ts';
import { GP, NP } from '../../base/signal.ts';
import type { Cpu } from '../cpu.ts';
import {
  type Descriptor,
  dplOf,
  isCode,
  isConforming,
  isNull,
  isPresent,
  named,
  selectorError,
} from './descriptors.ts';
import { fetchDescriptor, install, loadReal } from './segments.ts';

/** Descriptor of the target of a far transfer: #GP(0) if the selector is null, #GP(selector) beyond the table. */
export function targetDescriptor(cpu: Cpu, selector: number, ext = 0): Descriptor {
  if (isNull(selector)) cpu.raise(GP, ext, 'the selector of the target is null');
  return fetchDescriptor(cpu, selector, GP, ext);
}

/** A code segment named directly by JMP or CALL: same privilege, or conforming and at least as privileged. */
export function checkDirect(cpu: Cpu, d: Descriptor): void {
  const cpl = cpu.S[CPL];
  const error = selectorError(d.selector, 0);
  if (isConforming(d)) {
    if (dplOf(d) > cpl) cpu.raise(GP, error, `${named(d.selector)} is conforming, but its DPL is above CPL ${cpl}`);
  } else if ((d.selector & 3) > cpl || dplOf(d) !== cpl)
    cpu.raise(GP, error, `RPL ${d.selector & 3} or DPL ${dplOf(d)} of ${named(d.selector)} does not suit CPL ${cpl}`);
  if (!isPresent(d)) cpu.raise(NP, error, `${named(d.selector)} for CS is not present`);
}

/** The code segment that a gate names: at least as privileged as CPL. Its presence is checked by the caller. */
export function gateTarget(cpu: Cpu, selector: number, ext: number): Descriptor {
  const d = targetDescriptor(cpu, selector, ext);
  if (!isCode(d)) cpu.raise(GP, selectorError(selector, ext), `${named(selector)} in a gate is not a code segment`);
  if (dplOf(d) > cpu.S[CPL])
    cpu.raise(GP, selectorError(selector, ext), `${named(selector)} in a gate is less privileged than CPL`);
  return d;
}

/** #NP(selector) unless the segment is present. */
export function requirePresent(cpu: Cpu, d: Descriptor, ext: number): void {
  if (!isPresent(d)) cpu.raise(NP, selectorError(d.selector, ext), `${named(d.selector)} is not present`);
}

/** The code segment that RET or IRET finds on the stack: at RPL, which is CPL or an outer level. */
export function returnTarget(cpu: Cpu, selector: number): Descriptor {
  const d = targetDescriptor(cpu, selector);
  const rpl = selector & 3;
  const error = selectorError(selector, 0);
  if (!isCode(d)) cpu.raise(GP, error, `return ${named(selector)} is not a code segment`);
  if (rpl < cpu.S[CPL]) cpu.raise(GP, error, `return ${named(selector)} asks for a more privileged level`);
  if (isConforming(d) ? dplOf(d) > rpl : dplOf(d) !== rpl)
    cpu.raise(GP, error, `DPL ${dplOf(d)} of return ${named(selector)} does not suit its RPL`);
  requirePresent(cpu, d, 0);
  return d;
}

/** #GP(0) (with EXT in a delivery) if `offset` is beyond the limit of the code segment. */
export function checkOffset(cpu: Cpu, limit: number, offset: number, ext = 0): void {
  if (offset >>> 0 > limit >>> 0) cpu.raise(GP, ext, `target ${hex(offset)} is beyond the limit of its code segment`);
}

/** Enters a checked code segment. CS gets the new privilege level as its RPL. */
export function enterCode(cpu: Cpu, d: Descriptor, cpl: number, offset: number): void {
  install(cpu, CS, (d.selector & ~3) | cpl, d);
  cpu.S[EIP] = offset;
  if (cpl !== cpu.S[CPL]) cpu.setCpl(cpl);
}

/** Far transfer in real-address or virtual-8086 mode. The limit of CS stays as it is, and the offset must lie within. */
export function enterReal(cpu: Cpu, selector: number, offset: number): void {
  checkOffset(cpu, cpu.S[SEG_LIMIT + CS], offset);
  loadReal(cpu, CS, selector);
  cpu.S[EIP] = offset;
}
