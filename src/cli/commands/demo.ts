/** `ringlet demo`: boots guests, shows their consoles, and tells what the machine did. */

import { drive } from '../drive.ts';
import { makeSession } from '../make-session.ts';
import { statusText } from '../outcome.ts';
import { planRun, type RunPlan } from '../plan.ts';
import { Consoles } from '../serial.ts';
import type { Session } from '../session.ts';
import { gather, type Statistics } from '../statistics.ts';
import { INTERRUPTED, VM_STOPPED } from '../status.ts';
import { paint, type Style } from '../style.ts';
import { Outside, pause, writeOut } from '../terminal.ts';

const GUEST_MEMORY = '16M';
const VM_STYLES: readonly Style[] = ['cyan', 'yellow'];
const WIDTH = 100;
const REASONS_SHOWN = 6;

const REASON_NOTES: Readonly<Record<string, string>> = {
  IO_INSTRUCTION: 'the guest used a port: serial line, timer, interrupt controller',
  PREEMPTION_TIMER: "the guest's turn, or the time to its next timer tick, was over",
  HLT: 'the guest waits for an interrupt',
  INTERRUPT_WINDOW: 'the guest can take the interrupt that waits',
  EPT_VIOLATION: 'the guest touched an address where it has no memory',
  CR_ACCESS: 'the guest changed a control register',
  CPUID: 'the guest asked what processor this is',
  RDMSR: 'the guest read a model-specific register',
  WRMSR: 'the guest wrote a model-specific register',
};

/** Returns the exit status. */
export async function demo(options: { readonly color: boolean }): Promise<number> {
  const isColoured = options.color && process.stdout.isTTY === true && !process.env.NO_COLOR;
  const c = (style: Style, text: string): string => (isColoured ? paint(style, text) : text);
  const line = (text = ''): void => writeOut(`${text}\n`);
  const title = (text: string): void =>
    line(`\n${c('bold', `── ${text} `)}${c('dim', '─'.repeat(Math.max(3, WIDTH - 4 - text.length)))}`);
  const outside = new Outside({ stdin: false });

  const show = async (
    plan: RunPlan,
    prefixes: (string | null)[],
  ): Promise<{ session: Session; statistics: Statistics }> => {
    const consoles = new Consoles(prefixes, writeOut);
    const session = makeSession(plan, consoles);
    const started = process.hrtime.bigint();
    await drive(session, consoles, { interrupted: () => outside.interrupted, pause });
    consoles.flush(true);
    return { session, statistics: gather(session, Number(process.hrtime.bigint() - started) / 1e9) };
  };
  const vm = (image: string) => ({ image, options: { memory: GUEST_MEMORY } });

  try {
    title('hello, on the bare machine');
    const bare = await show(planRun([vm('hello')], { mode: 'bare' }), [`${c('green', 'hello │')} `]);
    line(c('dim', `        ${summary(bare.statistics)}`));

    title('tasks and pages, two VMs under the hypervisor (VMX, EPT, VPID)');
    const names = ['tasks', 'pages'];
    const nested = await show(
      planRun(names.map(vm), { mode: 'nested' }),
      names.map((name, i) => `${c(VM_STYLES[i], `${name} │`)} `),
    );
    if (outside.interrupted) return INTERRUPTED;

    title('what the machine did');
    for (const text of exitTable(nested.statistics, c)) line(text);
    line();
    for (const text of totals(nested.statistics, c)) line(text);
    line();
    line(
      `Next: ${c('bold', 'ringlet run tasks --trace exit,irq')}   or change ${c('bold', 'guests/hello/kernel.asm')} and start again.`,
    );
    const ok = [...bare.session.vms, ...nested.session.vms].every((v) => v.outcome.kind === 'power-off');
    if (ok) return 0;
    for (const v of [...bare.session.vms, ...nested.session.vms]) line(`${v.name}: ${statusText(v.outcome)}`);
    return VM_STOPPED;
  } finally {
    outside.close();
  }
}

type Paint = (style: Style, text: string) => string;

const grouped = (n: number): string => n.toLocaleString('en-US');
const summary = (s: Statistics): string =>
  `${grouped(s.instructions)} instructions in ${s.hostSeconds.toFixed(3)} s, ${s.vms[0].state}`;

/** VM exits by reason, a column for each VM. */
function exitTable(s: Statistics, c: Paint): string[] {
  const reasons = new Map<string, number>();
  for (const vm of s.vms)
    for (const [name, count] of Object.entries(vm.exits)) reasons.set(name, (reasons.get(name) ?? 0) + count);
  const sorted = [...reasons].sort((a, b) => b[1] - a[1]);
  const cells = (values: readonly number[]): string => values.map((n) => grouped(n).padStart(12)).join('');
  const head = `${'VM exits'.padEnd(22)}${s.vms.map((vm, i) => c(VM_STYLES[i], vm.name.padStart(12))).join('')}`;
  return [
    head,
    ...sorted.slice(0, REASONS_SHOWN).map(([name]) => {
      const note = REASON_NOTES[name] === undefined ? '' : c('dim', `   ${REASON_NOTES[name]}`);
      return `  ${name.padEnd(20)}${cells(s.vms.map((vm) => vm.exits[name] ?? 0))}${note}`;
    }),
    `  ${'all'.padEnd(20)}${cells(s.vms.map((vm) => vm.totalExits))}`,
    `${'interrupts injected'.padEnd(22)}${cells(s.vms.map((vm) => vm.injectedInterrupts))}`,
    `${'instructions'.padEnd(22)}${cells(s.vms.map((vm) => vm.instructions))}`,
  ];
}

function totals(s: Statistics, c: Paint): string[] {
  const perWalk = s.walks > 0 ? (s.walkReferences / s.walks).toFixed(1) : '0';
  const row = (name: string, value: string, note = ''): string =>
    `${name.padEnd(22)}${c('bold', value.padStart(12))}${note === '' ? '' : c('dim', `   ${note}`)}`;
  return [
    row('page walks', grouped(s.walks)),
    row(
      'walk references',
      grouped(s.walkReferences),
      `${perWalk} a walk: guest tables, and EPT tables for each of them`,
    ),
    row('page faults', grouped(s.pageFaults), 'in the guests; the hypervisor never sees them'),
    row('host seconds', s.hostSeconds.toFixed(2)),
    row('MIPS', s.mips.toFixed(1), 'million guest instructions a second'),
  ];
}
