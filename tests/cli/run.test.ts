import { expect, test } from 'vitest';
import { drive } from '../../src/cli/drive.ts';
import { BranchHistory, EventHistory } from '../../src/cli/history.ts';
import { makeSession } from '../../src/cli/make-session.ts';
import { statusOf } from '../../src/cli/outcome.ts';
import { planRun, type RunPlan } from '../../src/cli/plan.ts';
import { reportVm } from '../../src/cli/report.ts';
import { lastBranches, Repeated } from '../../src/cli/rerun.ts';
import { gather, printStatistics } from '../../src/cli/statistics.ts';
import { Tracer } from '../../src/cli/trace.ts';
import { captured, kernel, POWER_OFF, planOf } from './support.ts';

const LOOP = 'mov ecx, 1000\n.more: dec ecx\njnz .more\nmov eax, 5\n';
/** Two branches, then a division by zero without an interrupt table. */
const CRASH = 'jmp near .a\n.b: xor ecx, ecx\ndiv ecx\n.a: jmp near .b\n';
const MODES = ['bare', 'nested'] as const;

async function finish(plan: RunPlan) {
  const { consoles, output } = captured(plan);
  const session = makeSession(plan, consoles);
  const events = new EventHistory();
  events.attach(session);
  const ending = await drive(session, consoles, { maxInstructions: plan.maxInstructions });
  consoles.flush(true);
  return { session, events, ending, output: output(), status: statusOf(ending, session.vms, plan.expect !== null) };
}

test.each(MODES)('statuses follow what the guest did (%s)', async (mode) => {
  const statuses: [string, number][] = [
    [POWER_OFF, 0],
    ['cli\nhlt', 0],
    ['mov al, 5\nout 0xf4, al', 11],
    ['lidt [.idt]\nint3\n.idt: dw 0, 0, 0', 126],
    ['fld1_: db 0xd9, 0xe8', 122],
  ];
  for (const [code, status] of statuses) {
    const finished = await finish(planOf(kernel('status', code), mode));
    expect([code, finished.status]).toEqual([code, status]);
  }
});

test.each(MODES)('a limit of instructions is exact (%s)', async (mode) => {
  const { session, status } = await finish(planOf(kernel('loop', LOOP + POWER_OFF), mode, { maxInstructions: '777' }));
  expect([session.retired, status]).toEqual([777, 124]);
});

test.each(MODES)('a run in small pieces is the same run (%s)', async (mode) => {
  const plan = planOf('tasks', mode, { maxInstructions: '300000' });
  const whole = await finish(plan);
  const { consoles } = captured(plan);
  const pieces = makeSession(plan, consoles);
  for (let n = 1; pieces.retired < 300_000; n = (n * 7 + 3) % 20_011) pieces.run(Math.min(n, 300_000 - pieces.retired));
  const { registers: a } = whole.session.machine;
  const { registers: b } = pieces.machine;
  expect(pieces.retired).toBe(whole.session.retired);
  if (mode === 'bare') expect(b).toEqual(a);
  expect([b.eax, b.ebx, b.ecx, b.edx, b.esi, b.edi]).toEqual([a.eax, a.ebx, a.ecx, a.edx, a.esi, a.edi]);
});

test.each(MODES)('a triple fault is reported with events, registers and branches (%s)', async (mode) => {
  const plan = planOf(kernel('crash', `lidt [.idt]\n${CRASH}.idt: dw 0, 0, 0`), mode);
  const { session, events, status } = await finish(plan);
  expect(status).toBe(126);
  const branches = await lastBranches(plan, new Repeated(), session.retired);
  expect(branches.branchesOf(0).map(({ from, times }) => [from.text.split(' ')[0], times])).toEqual([
    ['jmp', 1],
    ['jmp', 1],
  ]);
  const report = reportVm(session, 0, events, branches).join('\n');
  for (const part of [
    'triple fault',
    '#DE at',
    '#GP, error code 0003h, while',
    '#DF',
    'start.b+2h',
    'EAX',
    'last 2 branches',
    'vector 00h is beyond the IDT limit',
    'div ecx',
  ])
    expect(report).toContain(part);
});

test('a kernel that ends as it should is not reported', async () => {
  const { session, events } = await finish(planOf('hello', 'nested'));
  expect(reportVm(session, 0, events, new BranchHistory())).toEqual([]);
});

test.each(MODES)('the expected text ends the run at once (%s)', async (mode) => {
  const { ending, output, status } = await finish(planOf('hello', mode, { expect: 'from ring' }));
  expect({ ending, output, status }).toEqual({ ending: 'seen', output: 'hello from ring', status: 0 });
});

test('a text that does not come is status 120', async () => {
  expect((await finish(planOf('hello', 'bare', { expect: 'good bye' }))).status).toBe(120);
});

test('two VMs run side by side, and the worse status counts', async () => {
  const plan = planRun(
    [
      { image: 'hello', options: { memory: '4M' } },
      { image: kernel('five', 'mov al, 5\nout 0xf4, al'), options: { memory: '4M' } },
    ],
    {},
  );
  const { output, status, session } = await finish(plan);
  expect([output, status]).toEqual(['hello: hello from ring 0\n', 11]);
  expect(session.retired).toBe(session.vms[0].retired + session.vms[1].retired);
});

test('statistics add up, in both modes', async () => {
  const bare = gather((await finish(planOf('hello', 'bare'))).session, 2);
  const nested = gather((await finish(planOf('hello', 'nested'))).session, 2);
  expect(nested.instructions).toBe(bare.instructions);
  expect(nested.mips).toBeCloseTo(nested.instructions / 2e6, 1);
  expect(bare.vms[0].totalExits).toBe(0);
  expect(nested.vms[0].exits.IO_INSTRUCTION).toBe(nested.vms[0].totalExits);
  expect(nested.vms[0].entries).toBe(nested.vms[0].totalExits);
  expect(printStatistics(nested).join('\n')).toMatch(/IO_INSTRUCTION +38/);
});

test('a trace shows instructions, exits, entries and ports in order', () => {
  const plan = planOf(kernel('off', POWER_OFF), 'nested');
  const { consoles } = captured(plan);
  const session = makeSession(plan, consoles);
  const lines: { event: string }[] = [];
  const topics = new Set(['exec', 'exit', 'entry', 'io'] as const);
  new Tracer({ topics, jsonl: true }, (line) => lines.push(JSON.parse(line))).attach(session);
  session.run(100);
  expect(lines.map((line) => line.event)).toEqual(['entry', 'exec', 'exec', 'exec', 'exit', 'io']);
  expect(lines.at(-1)).toMatchObject({ vm: 'off.asm', port: 0x604, size: 2, value: 0x2000, input: false });
  expect(lines[1]).toMatchObject({ eip: 0x100020, text: 'mov dx, 0x604', symbol: 'start' });
});
