/** An observer of data accesses sees each of them, whatever kind of instruction makes it, and changes nothing. */
import { expect, test } from 'vitest';
import { assemble } from '../../src/asm/index.ts';
import { Hypervisor } from '../../src/hypervisor/hypervisor.ts';
import { Machine } from '../../src/machine/machine.ts';
import { RootModePort } from '../../src/machine/root-mode-port.ts';

const SOURCE = `
bits 32
org 0x100000
start:  mov esp, 0x200000
        mov ecx, 3
again:  mov [0x300000], ecx
        add [0x300000], ecx
        mov eax, [0x300ffe]
        push eax
        pop ebx
        loop again
        cld
        mov esi, 0x400000
        mov edi, 0x500000
        mov ecx, 2
        rep movsd
        mov edi, 0x600000
        mov ecx, 3
        rep stosb
        mov dx, 0x604
        mov ax, 0x2000
        out dx, ax
`;
const image = assemble(SOURCE).bytes;
const FLAT = { load: 0x10_0000, entry: 0x10_0000 };

/** By the manual, access by access. An operand that is read and written is one access, with write intent. */
const ROUND = ['w 300000', 'w 300000', 'r 300ffe', 'r 301000', 'w 1ffffc', 'r 1ffffc'];
const EXPECTED = [
  ...ROUND,
  ...ROUND,
  ...ROUND,
  ...['r 400000', 'w 500000', 'r 400004', 'w 500004', 'w 600000', 'w 600001', 'w 600002'],
];

const text = (linear: number, write: boolean): string => `${write ? 'w' : 'r'} ${(linear >>> 0).toString(16)}`;
/** Twice in a row: read with write intent, then written. */
const once = (seen: readonly string[]): string[] =>
  seen.filter((s, i) => !(s === 'w 300000' && seen[i - 1] === s && seen[i - 2] === s));

test('on the bare machine each data access is told, in order, with its physical address', () => {
  const machine = new Machine({ memory: 16 << 20 });
  machine.load(image, FLAT);
  const seen: string[] = [];
  let elsewhere = 0;
  const stop = machine.observe({
    onDataAccess: (linear, _, write, physical) => {
      seen.push(text(linear, write));
      if (physical !== linear >>> 0) elsewhere++;
    },
  });
  expect(machine.run()).toEqual({ kind: 'power-off' });
  expect(once(seen)).toEqual(EXPECTED);
  expect(elsewhere).toBe(0);
  stop();
});

test('who stops looking gives the fast tables back', () => {
  const machine = new Machine({ memory: 16 << 20 });
  machine.load(image, FLAT);
  let seen = 0;
  const stop = machine.observe({ onDataAccess: () => seen++ });
  machine.run({ maxInstructions: 4 });
  stop();
  const before = seen;
  machine.run();
  expect([before > 0, seen === before]).toEqual([true, true]);
});

test('in a VM the physical address is the machine’s, and the run is the same', () => {
  const run = (observed: boolean): [number, string[], Set<number>] => {
    const machine = new Machine({ memory: 32 << 20 });
    const hypervisor = new Hypervisor(new RootModePort(machine));
    const vm = hypervisor.createVm({ memory: 16 << 20, image, ...FLAT });
    const seen: string[] = [];
    const frames = new Set<number>();
    if (observed)
      machine.observe({
        onDataAccess: (linear, _, write, physical) => {
          seen.push(text(linear, write));
          frames.add(Math.floor(physical / 4096));
        },
      });
    hypervisor.run();
    return [vm.retired, seen, frames];
  };
  const [retired, seen, frames] = run(true);
  expect(once(seen)).toEqual(EXPECTED);
  expect(frames.size).toBe(6);
  expect(run(false)[0]).toBe(retired);
});
