/** What a run did, in numbers. */

import { exitReasonName } from '../vmx/exit-reasons.ts';
import { statusText } from './outcome.ts';
import type { Session } from './session.ts';

export interface VmStatistics {
  readonly name: string;
  readonly state: string;
  readonly instructions: number;
  /** Ticks of virtual time spent halted. */
  readonly idleTicks: number;
  /** Port accesses to nobody. */
  readonly floatingPorts: number;
  readonly entries: number;
  /** By reason, the most frequent first. */
  readonly exits: Readonly<Record<string, number>>;
  readonly totalExits: number;
  readonly injectedInterrupts: number;
  readonly injectedExceptions: number;
  readonly reinjections: number;
  readonly emulatedInstructions: number;
  readonly turns: number;
  /** What the shadow pager did, with shadow paging. */
  readonly shadow?: Readonly<Record<string, number>>;
}

export interface Statistics {
  readonly instructions: number;
  readonly vms: readonly VmStatistics[];
  readonly walks: number;
  readonly walkReferences: number;
  readonly tlbMisses: number;
  readonly pageFaults: number;
  readonly eptViolations: number;
  readonly eptMisconfigurations: number;
  /** Events that may kill cached translations, by kind. */
  readonly flushes: Readonly<Record<string, number>>;
  /** Memory references of the hypervisor itself. */
  readonly rootReferences: number;
  readonly hostSeconds: number;
  readonly mips: number;
}

export function gather(session: Session, hostSeconds: number): Statistics {
  const { counts } = session.machine.cpu.mmu;
  const instructions = session.retired;
  const flushes = Object.entries(counts.flushes).filter(([, n]) => n > 0);
  return {
    instructions,
    vms: session.vms.map((vm) => {
      const exits = vm.stats?.exitsByName ?? machineExits(session);
      return {
        name: vm.name,
        state: statusText(vm.outcome),
        instructions: vm.retired,
        idleTicks: vm.halted,
        floatingPorts: vm.ports.floats,
        entries: vm.stats?.entries ?? session.machine.vmx?.context.entries ?? 0,
        exits,
        totalExits: Object.values(exits).reduce((sum, n) => sum + n, 0),
        injectedInterrupts: vm.stats?.interrupts ?? 0,
        injectedExceptions: vm.stats?.exceptions ?? 0,
        reinjections: vm.stats?.reinjections ?? 0,
        emulatedInstructions: vm.stats?.emulated ?? 0,
        turns: vm.stats?.turns ?? 0,
        ...(vm.shadow === null ? {} : { shadow: { ...vm.shadow } }),
      };
    }),
    walks: counts.walks,
    walkReferences: counts.walkReferences,
    tlbMisses: counts.tlbMisses,
    pageFaults: counts.pageFaults,
    eptViolations: counts.eptViolations,
    eptMisconfigurations: counts.eptMisconfigurations,
    flushes: Object.fromEntries(flushes),
    rootReferences: session.rootReferences,
    hostSeconds: Math.round(hostSeconds * 1000) / 1000,
    mips: hostSeconds > 0 ? Math.round(instructions / hostSeconds / 1e5) / 10 : 0,
  };
}

/** Exits that a hypervisor in machine code had on the bare machine. */
function machineExits(session: Session): Record<string, number> {
  const counted = [...(session.machine.vmx?.context.exits ?? [])].map(
    (n, reason) => [exitReasonName(reason), n] as const,
  );
  return Object.fromEntries(counted.filter(([, n]) => n > 0).sort((a, b) => b[1] - a[1]));
}

const NAME_WIDTH = 26;
/** trueFaults: true faults */
const inWords = (name: string): string => name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
const grouped = (n: number): string => n.toLocaleString('en-US');
const row = (name: string, value: string | number, indent = ''): string =>
  `${indent}${name.padEnd(NAME_WIDTH - indent.length)} ${(typeof value === 'number' ? grouped(value) : value).padStart(16)}`;

/** The statistics as lines of text; what is zero is left out where it goes without saying. */
export function printStatistics(s: Statistics): string[] {
  const lines: string[] = [];
  const some = (name: string, value: number, indent = ''): void => {
    if (value > 0) lines.push(row(name, value, indent));
  };
  for (const vm of s.vms) {
    lines.push(`${vm.name}: ${vm.state}`);
    lines.push(row('instructions', vm.instructions, '  '));
    some('idle ticks', vm.idleTicks, '  ');
    some('VM entries', vm.entries, '  ');
    some('VM exits', vm.totalExits, '  ');
    for (const [name, count] of Object.entries(vm.exits)) some(name, count, '    ');
    some('interrupts injected', vm.injectedInterrupts, '  ');
    some('exceptions injected', vm.injectedExceptions, '  ');
    some('events delivered again', vm.reinjections, '  ');
    some('instructions emulated', vm.emulatedInstructions, '  ');
    some('accesses to absent ports', vm.floatingPorts, '  ');
    some('turns', vm.turns, '  ');
    for (const [name, count] of Object.entries(vm.shadow ?? {})) some(`shadow ${inWords(name)}`, count, '  ');
  }
  lines.push('machine');
  lines.push(row('page walks', s.walks, '  '), row('walk references', s.walkReferences, '  '));
  lines.push(row('TLB misses', s.tlbMisses, '  '), row('page faults', s.pageFaults, '  '));
  some('EPT violations', s.eptViolations, '  ');
  some('EPT misconfigurations', s.eptMisconfigurations, '  ');
  for (const [name, count] of Object.entries(s.flushes)) some(`TLB event ${name}`, count, '  ');
  some('hypervisor references', s.rootReferences, '  ');
  lines.push(row('host seconds', s.hostSeconds.toFixed(3), '  '), row('MIPS', s.mips.toFixed(1), '  '));
  return lines;
}
