/** The report on a VM that did not end well: what happened, the chain of events, the registers, the last branches. */

import { hex } from '../base/int.ts';
import { disassembleBytes } from '../cpu/disassemble.ts';
import { printRegisters } from '../hypervisor/stop-reason.ts';
import type { BranchHistory, EventHistory } from './history.ts';
import { statusText } from './outcome.ts';
import type { Session, SessionVm } from './session.ts';
import type { SymbolTable } from './symbols.ts';

const EVENTS_SHOWN = 8;

/** Lines about one VM; none if it ended as a program should. */
export function reportVm(
  session: Session,
  number: number,
  events: EventHistory,
  branches: BranchHistory | null,
): string[] {
  const vm = session.vms[number];
  const { outcome } = vm;
  if (outcome.kind !== 'triple-fault' && outcome.kind !== 'unimplemented' && outcome.kind !== 'vm-stopped') return [];
  const lines = [`${vm.name}: ${statusText(outcome)}; ${vm.retired} instructions were retired`];
  if (outcome.kind === 'unimplemented') lines.push(...instructionAt(outcome.error, outcome.registers.cr0, vm));
  lines.push(...chainOfEvents(events, number, vm.symbols));
  lines.push(`registers, at ${place(outcome.registers.eip, vm.symbols)}`);
  lines.push(...printRegisters(outcome.registers).map((line) => `  ${line}`));
  if (branches !== null) lines.push(...lastBranches(branches, number, vm.symbols));
  return lines;
}

function instructionAt(
  error: { address: number | undefined; bytes: readonly number[] | undefined },
  cr0: number,
  vm: SessionVm,
): string[] {
  if (error.address === undefined || error.bytes === undefined) return [];
  const [line] = disassembleBytes(Uint8Array.from(error.bytes), error.address, (cr0 & 1) === 0 ? 2 : 4);
  if (line === undefined) return [];
  const bytes = Array.from(line.bytes, (b) => b.toString(16).padStart(2, '0')).join(' ');
  return [`instruction at ${place(error.address, vm.symbols)}: ${bytes}   ${line.text}`];
}

function chainOfEvents(history: EventHistory, vm: number, symbols: SymbolTable): string[] {
  const events = history.events.filter((event) => event.vm === vm).slice(-EVENTS_SHOWN);
  if (events.length === 0) return [];
  return [
    'last events, each met at the instruction named',
    ...events.map(({ time, text, eip, because }) => {
      const why = because === '' ? '' : `: ${because}`;
      return `  ${String(time).padStart(12)}  ${text} at ${place(eip, symbols)}${why}`;
    }),
  ];
}

function lastBranches(history: BranchHistory, vm: number, symbols: SymbolTable): string[] {
  const branches = history.branchesOf(vm);
  const last = history.lastOf(vm);
  const lines: string[] = [];
  if (branches.length > 0) {
    lines.push(`last ${branches.length} branches`);
    for (const { from, to, times } of branches) {
      const repeated = times > 1 ? `  (${times} times)` : '';
      lines.push(`  ${place(from.eip, symbols)}  ${from.text} → ${place(to, symbols)}${repeated}`);
    }
  }
  if (last !== null) lines.push(`last instruction: ${place(last.eip, symbols)}  ${last.text}`);
  return lines;
}

function place(address: number, symbols: SymbolTable): string {
  const name = symbols.nameOf(address);
  return name === '' ? hex(address) : `${hex(address)} (${name})`;
}
