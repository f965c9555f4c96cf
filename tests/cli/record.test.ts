import { expect, test } from 'vitest';
import { drive, SLICE } from '../../src/cli/drive.ts';
import { type InputPoint, LiveInput } from '../../src/cli/input.ts';
import { makeSession } from '../../src/cli/make-session.ts';
import type { RunPlan } from '../../src/cli/plan.ts';
import { checkFits, endLine, headerLine, identify, inputLine, LoggedInput, parseLog } from '../../src/cli/record.ts';
import { captured, ECHO, kernel, POWER_OFF, planOf } from './support.ts';

const echo = kernel('echo', ECHO);
const identity = (plan: RunPlan) => identify(plan, '1');

/** Runs the echo kernel; its input comes in pieces, each when the one before has been read. */
async function record(plan: RunPlan, pieces: readonly string[]) {
  const { consoles, output } = captured(plan);
  const session = makeSession(plan, consoles);
  const input = new LiveInput();
  const rest = [...pieces];
  let log = headerLine(identity(plan));
  const ending = await drive(session, consoles, {
    input,
    onInput: (point, bytes) => {
      log += inputLine(point, bytes);
    },
    pause: async () => {
      input.push(Buffer.from(rest.shift() ?? ''));
    },
  });
  return { ending, output: output(), log: log + endLine(session.retired, false), retired: session.retired };
}

async function replay(plan: RunPlan, log: string) {
  const { consoles, output } = captured(plan);
  const session = makeSession(plan, consoles);
  const ending = await drive(session, consoles, { input: new LoggedInput(parseLog(log, 'log')) });
  return { ending, output: output(), retired: session.retired, session };
}

test.each(['bare', 'nested'] as const)('a replay takes the same input at the same instructions (%s)', async (mode) => {
  const plan = planOf(echo, mode);
  const recorded = await record(plan, ['hello', ' big', ' world', '.']);
  expect(recorded).toMatchObject({ ending: 'ended', output: 'HELLO\0BIG\0WORLD' });
  const replayed = await replay(plan, recorded.log);
  expect(replayed).toMatchObject({ ending: 'ended', output: recorded.output, retired: recorded.retired });
  expect(replayed.session.vms[0].outcome.kind).toBe('power-off');
});

test('what is recorded on the bare machine fits a VM, but for the header', async () => {
  const recorded = await record(planOf(echo, 'bare'), ['abc', 'def', '.']);
  const replayed = await replay(planOf(echo, 'nested'), recorded.log);
  expect(replayed).toMatchObject({ output: recorded.output, retired: recorded.retired });
});

test('a log of another image, other options or another version does not fit', () => {
  const plan = planOf(echo, 'bare');
  const log = parseLog(headerLine(identity(plan)), 'log');
  expect(() => checkFits(log, identity(plan), 'log')).not.toThrow();
  const others: [ReturnType<typeof identity>, string][] = [
    [identity(planOf(kernel('other', POWER_OFF), 'bare')), 'vm0 image was'],
    [identity(planOf(echo, 'nested')), 'mode was bare'],
    [identity(planOf(echo, 'bare', { tlb: 'stalest:3' })), 'tlb was unlimited'],
    [identify(plan, '2'), 'version was 1'],
  ];
  for (const [other, message] of others) expect(() => checkFits(log, other, 'log')).toThrow(message);
});

test.each([
  ['', 'log:1'],
  ['{}', 'no input log'],
  ['{"log":"ringlet input log","format":9}', 'format 9'],
  ['H{"at":-1,"halted":true,"bytes":"00"}', 'at'],
  ['H{"at":5,"halted":true,"bytes":"00"}\n{"at":4,"halted":true,"bytes":"00"}', 'log:3: at'],
  ['H{"at":5,"halted":1,"bytes":"00"}', 'halted'],
  ['H{"at":5,"halted":true,"bytes":"0"}', 'hexadecimal'],
  ['H{"end":5,"interrupted":false}\n{"end":5,"interrupted":false}', 'behind the end'],
  ['Hx', 'log:2'],
])('a spoiled log is refused (%s)', (text, message) => {
  const header = '{"log":"ringlet input log","format":1,"run":{}}\n';
  expect(() => parseLog(text.replace('H', header), 'log')).toThrow(message);
});

test('a replay that goes another way says where', () => {
  const log = parseLog('{"log":"ringlet input log","format":1,"run":{}}\n{"at":100,"halted":true,"bytes":"41"}', 'log');
  const at = (point: InputPoint) => () => new LoggedInput(log).take(point);
  expect(at({ at: 50, halted: false })()).toBeNull();
  expect(at({ at: 100, halted: false })()).toBeNull();
  expect(at({ at: 100, halted: true })()).toEqual(Buffer.from('A'));
  expect(at({ at: 50, halted: true })).toThrow('it is at instruction 50 (halted), input was recorded at 100 (halted)');
  expect(at({ at: 101, halted: false })).toThrow('instruction 101');
});

test.each(['bare', 'nested'] as const)(
  'the replay of a run that was interrupted ends where it did (%s)',
  async (mode) => {
    const plan = planOf(kernel('spin', 'jmp $'), mode);
    const { consoles } = captured(plan);
    const session = makeSession(plan, consoles);
    expect(await drive(session, consoles, { endAt: SLICE + 5 })).toBe('interrupted');
    expect(session.retired).toBe(SLICE + 5);
  },
);

test('the replay of a run that was interrupted while it waited is interrupted, too', async () => {
  const plan = planOf(echo, 'bare');
  const endings: string[] = [];
  let waiting = Number.POSITIVE_INFINITY;
  for (let k = 0; k < 2; k++) {
    const { consoles } = captured(plan);
    const session = makeSession(plan, consoles);
    const nothing = new LoggedInput(parseLog(headerLine(identity(plan)), 'log'));
    endings.push(await drive(session, consoles, { input: nothing, endAt: waiting }));
    waiting = session.retired;
  }
  expect(endings).toEqual(['ended', 'interrupted']);
});

test('input enters a busy machine at the end of a slice', async () => {
  const spin = kernel('spin', `wait_: mov dx, 0x3fd\nin al, dx\ntest al, 1\njz wait_\n${POWER_OFF}`);
  const plan = planOf(spin, 'bare');
  const { consoles } = captured(plan);
  const session = makeSession(plan, consoles);
  const input = new LiveInput();
  const points: InputPoint[] = [];
  const ending = await drive(session, consoles, {
    input,
    onInput: (point) => points.push(point),
    pause: async () => input.push([65]),
  });
  expect(ending).toBe('ended');
  expect(points).toEqual([{ at: SLICE, halted: false }]);
});
