/** docs/vmx-conformance.md: the manual's lists against what src/vmx has and what the tests name. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { processorModels } from '../../../src/cpu/model.ts';
import { rows } from '../../../src/cpu/opcodes/index.ts';
import { fieldExists, modelCapabilities } from '../../../src/vmx/capabilities.ts';
import { CHECK_GROUPS } from '../../../src/vmx/checks/index.ts';
import { PIN_BASED, PRIMARY, SECONDARY, VM_ENTRY, VM_EXIT } from '../../../src/vmx/controls.ts';
import { EXIT, VM_ERROR } from '../../../src/vmx/exit-reasons.ts';
import { fieldOf } from '../../../src/vmx/field-table.ts';
import { BREAKS } from '../breaks.ts';
import { ABSENT } from './absent.ts';
import { MANUAL_CONTROLS, MANUAL_ERRORS, MANUAL_EXITS, MANUAL_FIELDS, MANUAL_INSTRUCTIONS } from './manual.ts';

const ROOT = join(import.meta.dirname, '..', '..', '..');
type Row = readonly [cell: string, name: string, implemented: boolean, shownBy: string];
type Texts = readonly (readonly [name: string, text: string])[];

function textsUnder(folder: string, ends: readonly string[], without: RegExp): Texts {
  return readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .map((name) => join(folder, name).replaceAll('\\', '/'))
    .filter((name) => ends.some((end) => name.endsWith(end)) && !without.test(name))
    .sort()
    .map((name) => [name, readFileSync(join(ROOT, name), 'utf8')] as const);
}

/** Tests that check what VMX does, those of the room first. Explanations and this document show nothing. */
const TESTS = [
  ...textsUnder('tests/vmx', ['.ts'], /explain|conformance|support\.ts/),
  ...textsUnder('tests/machine', ['.test.ts'], /^$/),
  ...textsUnder('tests/hypervisor', ['.test.ts'], /^$/),
];
/** The test kernels, which name exits and errors by number. */
const SUITE = textsUnder('guests/vmx-suite', ['.asm'], /^$/);
const inSuite = (pattern: RegExp): string =>
  contains(SUITE, pattern) === undefined ? '' : `\`tests/guests/vmx-suite.test.ts\``;
const SOURCES = textsUnder('src/vmx', ['.ts'], /explain|qualification|exit-reasons|document/);

const contains = (texts: Texts, pattern: RegExp): string | undefined =>
  texts.find(([, text]) => pattern.test(text))?.[0];
/** Files with cases, and the tests that run them. */
const RUN_BY: readonly (readonly [cases: RegExp, test: string])[] = [
  [/vmx\/breaks\.ts$/, 'tests/vmx/entry-checks.test.ts'],
  [/vmx\/bochs\//, 'tests/vmx/bochs.test.ts'],
];
const testOf = (name: string): string => `\`${RUN_BY.find(([cases]) => cases.test(name))?.[1] ?? name}\``;

/** The test that names it, the first one. */
const shown = (pattern: RegExp): string => {
  const test = contains(TESTS, pattern);
  return test === undefined ? '' : testOf(test);
};

/** Exit reasons of the cases that tests/vmx/bochs.test.ts runs: the first word behind each name. */
const CASE_REASONS = new Set(
  readFileSync(join(ROOT, 'tests/vmx/bochs/exits.txt'), 'utf8')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => Number.parseInt(line.split(' ')[1] ?? '', 16) & 0xffff),
);
/** The VMCS that most tests start from. */
const BASELINE = readFileSync(join(ROOT, 'tests/vmx/support.ts'), 'utf8');

const CAPABILITIES = processorModels.filter((m) => m.features.has('VMX')).map(modelCapabilities);
const CONTROL_BITS: Readonly<
  Record<keyof typeof MANUAL_CONTROLS, readonly [string, Readonly<Record<string, number>>]>
> = {
  pinBased: ['PIN_BASED', PIN_BASED],
  primary: ['PRIMARY', PRIMARY],
  secondary: ['SECONDARY', SECONDARY],
  exit: ['VM_EXIT', VM_EXIT],
  entry: ['VM_ENTRY', VM_ENTRY],
};
const CONTROL_TITLES: Readonly<Record<keyof typeof MANUAL_CONTROLS, string>> = {
  pinBased: 'Pin-based VM-execution controls',
  primary: 'Primary processor-based VM-execution controls',
  secondary: 'Secondary processor-based VM-execution controls',
  exit: 'VM-exit controls',
  entry: 'VM-entry controls',
};

const four = (encoding: number): string => `${encoding.toString(16).toUpperCase().padStart(4, '0')}h`;

const fields = (): Row[] =>
  MANUAL_FIELDS.map(([encoding, name]) => {
    const field = fieldOf(encoding);
    const implemented = field !== undefined && CAPABILITIES.some((c) => fieldExists(encoding, c));
    return [four(encoding), `\`${field?.name ?? name}\``, implemented, implemented ? fieldShown(field.name) : ''];
  });

/** Fields that no test names one by one are read and written by the test of all fields. */
const fieldShown = (name: string): string => shown(new RegExp(`\\bF\\.${name}\\b`)) || '`tests/vmx/vmcs.test.ts`';

const controls = (word: keyof typeof MANUAL_CONTROLS): Row[] =>
  MANUAL_CONTROLS[word].map(([bit, name]) => {
    const implemented = CAPABILITIES.some((c) => ((c[word].allowed1 >>> bit) & 1) !== 0);
    const [table, bits] = CONTROL_BITS[word];
    const constant = Object.entries(bits).find(([, mask]) => mask >>> 0 === 2 ** bit)?.[0] ?? '-';
    const pattern = new RegExp(`\\b${table}\\.${constant}\\b`);
    const baseline = pattern.test(BASELINE) ? 'set in all tests (`tests/vmx/support.ts`)' : '';
    return [`${bit}`, name, implemented, implemented ? shown(pattern) || baseline : ''];
  });

const exits = (): Row[] =>
  MANUAL_EXITS.map(([number, name]) => {
    const constant = Object.entries(EXIT).find(([, n]) => n === number)?.[0];
    const implemented =
      constant !== undefined && contains(SOURCES, new RegExp(`\\bEXIT\\.${constant}\\b`)) !== undefined;
    const failed = `0x8000_00${number.toString(16).padStart(2, '0')}`;
    const byNumber = new RegExp(`EXIT_REASON\\)\\)\\.toBe\\((${number}|${failed})\\)|\\bEXIT\\.${constant}\\b`);
    const test = CASE_REASONS.has(number)
      ? '`tests/vmx/bochs.test.ts`'
      : shown(byNumber) || inSuite(new RegExp(`check_exit ${number}\\b|^ +code [^\\n]*, ${number}\\b`, 'm'));
    return [`${number}`, `\`${constant ?? name}\``, implemented, implemented ? test : ''];
  });

const instructions = (): Row[] =>
  MANUAL_INSTRUCTIONS.map((name) => {
    const row = rows.find((r) => r.mnemonic === name);
    const implemented = row?.semantics === 'vmx';
    return [
      '',
      name,
      implemented,
      implemented ? shown(new RegExp(`\\b${name}\\b|root\\.${name.toLowerCase()}\\(`)) : '',
    ];
  });

const errors = (): Row[] =>
  MANUAL_ERRORS.map(([number, text]) => {
    const constant = Object.entries(VM_ERROR).find(([, n]) => n === number)?.[0];
    const implemented =
      constant !== undefined && contains(SOURCES, new RegExp(`\\bVM_ERROR\\.${constant}\\b`)) !== undefined;
    const byStage = number === 7 || number === 8 ? "stage === 'controls' \\? 7 : 8|" : '';
    const pattern = new RegExp(`${byStage}error: ${number}\\b|fails\\(${number}\\)|VM_ERROR\\.${constant}\\b`);
    return [
      `${number}`,
      text,
      implemented,
      implemented ? shown(pattern) || inSuite(new RegExp(`check_fails ${number}\\b`)) : '',
    ];
  });

const checks = (): Row[] =>
  CHECK_GROUPS.flatMap((group) =>
    group.checks.map((check): Row => {
      const test = BREAKS[check.id] === undefined ? '' : '`tests/vmx/entry-checks.test.ts`';
      return [group.stage, `\`${check.id}\``, true, test];
    }),
  );

function partsOfPage(): readonly (readonly [title: string, head: string, rows: readonly Row[]])[] {
  return [
    ['VMCS fields', 'encoding | field', fields()],
    ...(Object.keys(MANUAL_CONTROLS) as (keyof typeof MANUAL_CONTROLS)[]).map(
      (word) => [CONTROL_TITLES[word], 'bit | control', controls(word)] as const,
    ),
    ['Entry checks', 'stage | row', checks()],
    ['Exit reasons', 'number | reason', exits()],
    ['Instructions', ' | instruction', instructions()],
    ['VM-instruction errors', 'number | error', errors()],
  ];
}

/** Names of what is absent without a reason; and of reasons for what is there. */
export function unexplained(): string[] {
  const absent = partsOfPage()
    .flatMap(([, , rows]) => rows)
    .filter(([, , implemented]) => !implemented)
    .map(([, name]) => plain(name));
  return [
    ...absent.filter((name) => ABSENT[name] === undefined),
    ...Object.keys(ABSENT).filter((name) => !absent.includes(name)),
  ];
}

const plain = (name: string): string => name.replaceAll('`', '');

/** The page in Markdown. */
export function conformanceDocument(): string {
  const parts = partsOfPage();
  const lines = [
    '# VMX: what there is, and what shows it',
    '',
    "Written by `tests/vmx/conformance/document.ts` (`npm run docs`). The lists are those of the manual's appendices for a processor without",
    'Intel 64, written apart from the code; left out are the dual-monitor treatment of SMM, SGX, CET and FRED. A field or control counts as',
    'implemented if some processor model offers it, an exit or error if the code can cause it. The test is the first that names it.',
    'Entry checks are listed with their fields in [entry-checks.md](entry-checks.md).',
    '',
    '| | in the manual | implemented | shown by a test |',
    '| --- | --- | --- | --- |',
    ...parts.map(([title, , list]) => {
      const done = list.filter((row) => row[2]);
      return `| ${title} | ${list.length} | ${done.length} | ${done.filter((row) => row[3] !== '').length} |`;
    }),
  ];
  for (const [title, head, list] of parts) {
    lines.push('', `## ${title}`, '', `| ${head} | implemented | test, or why not |`, '| --- | --- | --- | --- |');
    for (const [cell, name, implemented, test] of list)
      lines.push(
        `| ${cell} | ${name} | ${implemented ? 'yes' : 'no'} | ${implemented ? test : (ABSENT[plain(name)] ?? '')} |`,
      );
  }
  return `${lines.join('\n')}\n`;
}
