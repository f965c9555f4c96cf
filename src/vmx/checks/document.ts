/** docs/entry-checks.md as a function of the rows. */
import { fieldName } from '../field-table.ts';
import { CHECK_GROUPS, type Stage } from './index.ts';
import { MSR_LOAD_RULES, MSR_LOAD_WRMSR } from './msr-load.ts';

const STAGES: readonly (readonly [Stage, string])[] = [
  ['controls', 'Controls: VMLAUNCH and VMRESUME fail with VM-instruction error 7'],
  ['host', 'Host state: VMLAUNCH and VMRESUME fail with VM-instruction error 8'],
  ['guest', 'Guest state: VM exit with reason 33 and bit 31 set'],
];

const list = (names: readonly string[]): string => names.map((name) => `\`${name}\``).join(', ');

/** The list of all VM-entry checks in Markdown. */
export function entryChecksDocument(): string {
  const lines = [
    '# VM-entry checks',
    '',
    'Written by `src/vmx/checks/document.ts` from the rows that VM entry runs; a test compares. Sections are those of',
    'Intel\'s Software Developer\'s Manual, volume 3, "Checks on VMX Controls and Host-State Area" and "Checking and Loading Guest State".',
    'A row looks at the fields named; the first is the one that reports show.',
  ];
  for (const [stage, title] of STAGES) {
    lines.push('', `## ${title}`);
    let section = '';
    for (const check of CHECK_GROUPS.filter((g) => g.stage === stage).flatMap((g) => g.checks)) {
      if (check.section !== section) {
        section = check.section;
        lines.push('', `### ${section}`, '', '| id | fields | qualification |', '| --- | --- | --- |');
      }
      const qualification = stage === 'guest' ? `${check.qualification}` : '';
      lines.push(`| \`${check.id}\` | ${list(check.fields.map(fieldName))} | ${qualification} |`);
    }
  }
  lines.push(
    '',
    '## MSR loading: VM exit with reason 34 and bit 31 set',
    '',
    'For each entry of the VM-entry MSR-load area; the qualification is the number of the entry, from 1.',
    '',
    '### Loading MSRs',
    '',
    '| id | rule |',
    '| --- | --- |',
  );
  for (const rule of MSR_LOAD_RULES) lines.push(`| \`${rule.id}\` | ${rule.message} |`);
  lines.push(`| \`${MSR_LOAD_WRMSR}\` | WRMSR with index and value at CPL 0 must not raise #GP |`);
  return `${lines.join('\n')}\n`;
}
