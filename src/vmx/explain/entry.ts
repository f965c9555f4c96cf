/** `explainEntry`: which rules of VM entry a VMCS breaks (SDM Vol. 3, "Checks on VMX Controls and Host-State Area", "Checking and
 *  Loading Guest State"), and what would have to change. */

import type { ControlWord } from '../capabilities.ts';
import type { EntryCheck } from '../checks/check.ts';
import { CHECK_GROUPS, type CheckGroup, describeFailure, type FailedCheck, type Stage } from '../checks/index.ts';
import { MSR_LOAD_RULES } from '../checks/msr-load.ts';
import type { EntryFailure } from '../context.ts';
import { VM_ENTRY, VM_EXIT } from '../controls.ts';
import { EXIT, exitReasonText, VM_ERROR, vmErrorText } from '../exit-reasons.ts';
import { fieldName } from '../field-table.ts';
import * as F from '../fields.ts';
import { changeText, fieldText } from './format.ts';
import type { VmcsImage } from './image.ts';
import { type FieldChange, nearestValid } from './nearest.ts';

/** A row of which nobody can say whether it holds. */
export interface UnjudgedCheck {
  readonly id: string;
  readonly why: string;
}

export interface EntryExplanation {
  /** How the entry ends: it succeeds as far as rules go, fails with an instruction error, or with an exit. */
  readonly outcome: 'enters' | 'error' | 'exit';
  /** VM-instruction error or basic exit reason; 0 if it enters. */
  readonly number: number;
  /** Every row that does not hold, in the manual's order; the first decides. */
  readonly rows: readonly (FailedCheck & { readonly qualification: number })[];
  /** Rows that do not hold because another one does not, by the id of that one. */
  readonly implied: readonly { readonly id: string; readonly by: string }[];
  readonly unjudged: readonly UnjudgedCheck[];
  /** Rows that were looked at. */
  readonly judged: number;
  /** The smallest change found with which all rows hold; empty if they do; null if none was found. */
  readonly nearest: readonly FieldChange[] | null;
  /** All of it in lines. */
  readonly text: readonly string[];
}

/** Judges a VMCS as VM entry would. `failure`: what a machine said of it (`onEntryFailure`); it tells of MSRs that could not be loaded,
 *  which no field does. */
export function explainEntry(image: VmcsImage, failure: EntryFailure | null = null): EntryExplanation {
  const view = image.view();
  const judged: EntryCheck[] = [];
  const unjudged: UnjudgedCheck[] = [];
  for (const group of CHECK_GROUPS) {
    for (const row of group.checks) {
      const why = whyUnjudged(image, group, row);
      if (why === null) judged.push(row);
      else unjudged.push({ id: row.id, why });
    }
  }
  const failed = judged.filter((row) => !row.holds(view));
  const impliedBy = new Map(failed.flatMap((row) => row.implies.map((id) => [id, row.id] as const)));
  const rows = failed
    .filter((row) => !impliedBy.has(row.id))
    .map((row) => ({ ...describeFailure(view, row), qualification: row.qualification }));
  const implied = failed.flatMap(({ id }) => {
    const by = impliedBy.get(id);
    return by === undefined ? [] : [{ id, by }];
  });
  const nearest = failed.length === 0 ? [] : nearestValid(image, judged);
  const loading = failure?.reason === EXIT.ENTRY_FAILURE_MSR_LOADING ? failure.rows : [];
  for (const row of rows.length === 0 ? loading : []) {
    const rule = MSR_LOAD_RULES.find(({ id }) => id === row.id)?.message ?? 'WRMSR would raise #GP';
    rows.push({ ...row, message: `${row.message}: ${rule}`, qualification: image.low(F.EXIT_QUALIFICATION) });
  }
  const stage = rows[0]?.stage;
  const result = {
    outcome: stage === undefined ? ('enters' as const) : stage === 'guest' ? ('exit' as const) : ('error' as const),
    number: stage === undefined ? 0 : loading.length > 0 ? EXIT.ENTRY_FAILURE_MSR_LOADING : NUMBERS[stage],
    rows,
    implied,
    unjudged,
    judged: judged.length,
    nearest,
  };
  return { ...result, text: entryText(image, result) };
}

const NUMBERS: Readonly<Record<Stage, number>> = {
  controls: VM_ERROR.ENTRY_INVALID_CONTROL,
  host: VM_ERROR.ENTRY_INVALID_HOST_STATE,
  guest: EXIT.ENTRY_FAILURE_GUEST_STATE,
};

function whyUnjudged(image: VmcsImage, group: CheckGroup, row: EntryCheck): string | null {
  const unknown = row.fields.find((field) => !image.knows(field));
  if (unknown !== undefined) return `${fieldName(unknown)} is not known`;
  const wide = row.fields.find((field) => image.wide(field) !== undefined);
  if (wide !== undefined) return `${fieldName(wide)} has more than 32 bits`;
  if (row.volatile && image.memory === null) return 'it depends on memory';
  if (is64(image, F.VM_EXIT_CONTROLS, VM_EXIT.HOST_ADDRESS_SPACE_SIZE, image.capabilities.exit)) {
    if (group.stage === 'host') return 'the host is in IA-32e mode, this rule is that of a 32-bit host';
    if (DIFFERS_WITH_INTEL_64.test(row.id)) return 'a processor with Intel 64 has another rule';
  }
  const ia32e = is64(image, F.VM_ENTRY_CONTROLS, VM_ENTRY.IA32E_MODE_GUEST, image.capabilities.entry);
  if (ia32e && row.id.startsWith('guest.pdpte')) return 'the guest is in IA-32e mode';
  return null;
}

/** Rows about addresses that IA32_VMX_BASIC bit 48 limits to 32 bits, and about IA32_EFER. */
const DIFFERS_WITH_INTEL_64 = /^(?!execution\.eptp).*\.(width|end)$|\.efer\./;

/** A control that makes host or guest 64-bit, on a processor that offers it: logs may come from one. */
const is64 = (image: VmcsImage, field: number, control: number, offered: ControlWord): boolean =>
  (image.low(field) & offered.allowed1 & control) !== 0;

function entryText(image: VmcsImage, e: Omit<EntryExplanation, 'text'>): string[] {
  const lines: string[] = [];
  const [first] = e.rows;
  if (first === undefined) {
    lines.push(`VM entry: all ${e.judged} rules that could be judged hold`);
  } else {
    const how =
      e.outcome === 'error'
        ? `VM-instruction error ${e.number}, ${vmErrorText(e.number)}`
        : `exit reason ${e.number}, ${exitReasonText(e.number)}, qualification ${first.qualification}`;
    lines.push(`VM entry fails: ${how}`);
    const count = e.rows.length;
    lines.push(
      `${count} of ${e.judged} rules ${count === 1 ? 'does' : 'do'} not hold${count > 1 ? '; the first decides' : ''}:`,
    );
    for (const row of e.rows) {
      lines.push(`  ${row.id}   (SDM Vol. 3, "${row.section}")`);
      const [at] = row.fields;
      lines.push(`    ${at === undefined ? '' : `${fieldText(image, at.encoding)}: `}${row.message}`);
      const others = row.fields.slice(1).filter((f) => f.encoding !== (row.fields[0]?.encoding ?? 0) + 1);
      const shown = [
        ...new Set(others.map((f) => (fieldName(f.encoding).endsWith('(high)') ? f.encoding - 1 : f.encoding))),
      ];
      for (const encoding of shown) lines.push(`      with ${fieldText(image, encoding)}`);
    }
    for (const { id, by } of e.implied) lines.push(`  ${id} does not hold either, because ${by} does not`);
  }
  if (e.nearest === null) lines.push('no valid state was found near this one');
  else if (e.nearest.length > 0) {
    lines.push('the nearest state in which all these rules hold:');
    for (const change of e.nearest) lines.push(`  ${changeText(change)}`);
  }
  if (e.unjudged.length > 0) {
    const reasons = new Map<string, string[]>();
    for (const { id, why } of e.unjudged) reasons.set(why, [...(reasons.get(why) ?? []), id]);
    lines.push(`${e.unjudged.length} rules could not be judged:`);
    for (const [why, ids] of reasons)
      lines.push(`  ${why}: ${ids.length > 4 ? `${ids.length} rules` : ids.join(', ')}`);
  }
  return lines;
}
