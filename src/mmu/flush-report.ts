/** What an audit of flushes found, in words. */
import type { FlushAudit, StaleUse } from './flush-audit.ts';
import type { ChangedEntry, Place } from './flush-path.ts';

const hex = (value: number, digits = 8): string => `${value.toString(16).toUpperCase().padStart(digits, '0')}h`;
const tag = (use: StaleUse): string =>
  [
    `VPID ${use.vpid}`,
    use.eptrta < 0 ? 'no EPT' : `EPT root ${hex(use.eptrta * 4096)}`,
    ...(use.global ? ['global'] : []),
  ].join(', ');
const instruction = (eip: number, nonRoot: boolean): string =>
  eip < 0 ? 'by root-mode software' : `EIP ${hex(eip)}${nonRoot ? ' (non-root)' : ''}`;
const place = (p: Place): string =>
  `${p.instructions.toLocaleString('en-US')} instructions, ${instruction(p.eip, p.nonRoot)}`;
const word = (low: number, high: number): string =>
  `${high === 0 ? '' : `${hex(high >>> 0).slice(0, -1)}_`}${hex(low >>> 0)}`;
const entry = (e: ChangedEntry): string =>
  `the ${e.format} entry of level ${e.level} at ${hex(e.at)} was ${word(e.wasLow, e.wasHigh)}, is ${word(e.low, e.high)}`;

function describe(use: StaleUse): string[] {
  const { now } = use;
  const frame = hex(use.frame * 4096);
  const present = now.ok ? `lead to ${hex(Math.floor(now.hostPhysical / 4096) * 4096)}` : `say: ${now.why}`;
  const what = now.ok && Math.floor(now.hostPhysical / 4096) === use.frame ? 'have its dirty flag clear' : present;
  const times = use.count > 1 ? ` (${use.count} times)` : '';
  return [
    `${use.access} of ${hex(use.linear)} (${tag(use)}) used frame ${frame}; the tables ${what}${times}`,
    `  first at ${place(use.used)}`,
    `  ${use.changed === null ? 'other tables are in force than those it was made of' : entry(use.changed)}`,
    ...(use.written === null ? [] : [`  written last at ${place(use.written)}`]),
    `  needed: ${use.needed}`,
  ];
}

/** Places shown of each kind of flush. */
const MOST_PLACES = 5;

/** The report: uses of translations that the tables no longer gave, then flushes by kind. */
export function flushReport(audit: FlushAudit): string[] {
  const flushes = [...audit.flushes.values()].flatMap(({ event, done, superfluous, places }) => [
    `  ${event.padEnd(20)} ${done} done, ${superfluous} dropped nothing that differed`,
    ...[...places]
      .sort((a, b) => b.superfluous - a.superfluous)
      .slice(0, MOST_PLACES)
      .map((p) => `    ${p.superfluous} of them at ${instruction(p.eip, p.nonRoot)}`),
  ]);
  return [
    audit.stale.length === 0 ? 'no flush was missed' : `missed flushes: ${audit.stale.length}`,
    ...audit.stale.flatMap((use) => describe(use).map((line) => `  ${line}`)),
    'flushes',
    ...(flushes.length === 0 ? ['  none'] : flushes),
  ];
}
