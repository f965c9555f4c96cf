/** A VM that does something bad, beside one that wants to work: what it does is told, and nobody else feels it. Neither the other VM's
 *  output, state and count of instructions, nor any frame of the host that is not the bad VM's own. */
import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { FRAME_BYTES, FREE, HYPERVISOR, VM_OWNER } from '../../src/hypervisor/frames.ts';
import type { Vm } from '../../src/hypervisor/vm.ts';
import type { CountedMemory } from '../../src/machine/root-memory.ts';
import type { PhysicalMemory } from '../../src/mmu/physical-memory.ts';
import { INSTRUCTIONS, MISCHIEF } from './counts.ts';
import {
  assembled,
  guestFile,
  kernel,
  MIB,
  mischiefWords,
  type NestedWorld,
  nestedWorld,
  type Run,
  runBare,
} from './runs.ts';

const GARBAGE = 0xa5;
/** Frames that root-mode software writes from now on. */
function watchWrites(memory: CountedMemory): Set<number> {
  const written = new Set<number>();
  const target = memory as unknown as Record<string, (at: number, ...rest: unknown[]) => unknown>;
  for (const name of ['write8', 'write16', 'write32', 'writeBytes', 'fill']) {
    const write = target[name].bind(memory);
    target[name] = (at, ...rest) => {
      const [first] = rest;
      const length = name === 'fill' ? Number(first) : first instanceof Uint8Array ? first.length : 4;
      const last = Math.min(at + Math.max(length, 1) - 1, memory.bytes - 1);
      for (let frame = Math.floor(at / FRAME_BYTES); frame <= last / FRAME_BYTES; frame++) written.add(frame);
      return write(at, ...rest);
    };
  }
  return written;
}

/** Everything that the guest of a VM could see of itself: its state between two instructions, its memory as a sum. */
function stateOf(world: NestedWorld, vm: Vm): unknown {
  const { pages, ...state } = world.hypervisor.save(vm);
  return { ...state, memory: createHash('sha256').update(JSON.stringify(pages)).digest('hex') };
}

interface Alone {
  readonly run: Run;
  readonly state: unknown;
}
const aloneRuns = new Map<string, Alone>();
/** The kernel in the only VM of another host: other frames, other slices. */
function alone(name: string): Alone {
  const known = aloneRuns.get(name);
  if (known !== undefined) return known;
  const world = nestedWorld({ memory: 12 * MIB, seed: 77, slice: 5003 });
  const vm = world.add(kernel(name), { memory: 8 * MIB });
  world.hypervisor.run();
  const found = { run: world.result(vm), state: stateOf(world, vm) };
  expect(found.run.output).toBe(guestFile(`${name}/expected.txt`));
  expect(found.run.instructions).toBe(INSTRUCTIONS[name]);
  aloneRuns.set(name, found);
  return found;
}

/** What EPT lets the guest of a VM reach: [frame, rights] of every leaf, by a walk of its own. */
function reachable(memory: PhysicalMemory, table: number, level = 4): [number, number][] {
  const found: [number, number][] = [];
  for (let entry = table; entry < table + FRAME_BYTES; entry += 8) {
    const low = memory.read32(entry);
    if ((low & 7) === 0) continue;
    const at = (low & ~0xfff) >>> 0;
    if (level > 1 && (low & 0x80) === 0) found.push(...reachable(memory, at, level - 1));
    else for (let i = 0; i < 512 ** (level - 1); i++) found.push([at / FRAME_BYTES + i, low & 7]);
  }
  return found;
}

/** Host memory that changed between two moments, frame by frame. */
function changedFrames(before: Uint8Array, after: Uint8Array): number[] {
  const changed: number[] = [];
  for (let at = 0; at < before.length; at += FRAME_BYTES) {
    const end = at + FRAME_BYTES;
    if (Buffer.compare(before.subarray(at, end), after.subarray(at, end)) !== 0) changed.push(at / FRAME_BYTES);
  }
  return changed;
}

interface Villain {
  readonly image: Uint8Array;
  readonly word?: string;
  readonly output: string;
  readonly end: string;
  readonly instructions: number;
}

function mischief(word: string): Villain {
  const [instructions, end = 'power-off'] = MISCHIEF[word];
  return { image: kernel('mischief'), word, output: guestFile(`mischief/expected/${word}.txt`), end, instructions };
}

/** The bad one and the other in turns of `slice` instructions, and everything that must hold afterwards. */
function sideBySide(villain: Villain, name: string, slice: number): void {
  let written = new Set<number>();
  const world = nestedWorld({
    memory: 28 * MIB,
    garbage: GARBAGE,
    slice,
    between: (root) => {
      written = watchWrites(root.memory);
      return root;
    },
  });
  const { machine, hypervisor } = world;
  const { image, word = '', output, end, instructions } = villain;
  const bad = world.add(image, { memory: 16 * MIB, commandLine: word });
  const other = world.add(kernel(name), { memory: 8 * MIB });
  const before = machine.memory.u8.slice(0, machine.memory.bytes);
  written.clear();

  hypervisor.run({ until: () => other.stopReason !== null });
  if (end !== 'limit') hypervisor.run({ maxInstructions: 20_000_000 });

  // it is contained, and told
  const result = world.result(bad);
  expect(result).toMatchObject({ output, end });
  if (end !== 'limit') expect(result.instructions).toBe(instructions);
  if (end === 'triple-fault') {
    expect(bad.stopReason).toMatchObject({ message: expect.stringMatching(/\w/), registers: { cs: 8 } });
  }

  // the other one is as if it were alone
  const expected = alone(name);
  expect(world.result(other)).toEqual(expected.run);
  expect(stateOf(world, other)).toEqual(expected.state);

  // and so is every frame; VMCS regions and accessed flags of its own page directory the processor writes for the hypervisor
  const byProcessor = new Set([bad, other].map((vm) => vm.vcpu.vmcs / FRAME_BYTES));
  byProcessor.add((machine.registers.cr3 / FRAME_BYTES) | 0);
  const strange = changedFrames(before, machine.memory.u8).filter((frame) => {
    const owner = hypervisor.frames.ownerOf(frame);
    if (owner === HYPERVISOR) return !written.has(frame) && !byProcessor.has(frame);
    return owner === FREE;
  });
  expect(strange).toEqual([]);

  // nothing but its own memory is within reach, and what stands for missing memory cannot be written
  for (const vm of [bad, other]) {
    const own = VM_OWNER + vm.number;
    const frames = reachable(machine.memory, (vm.eptPointer & ~0xfff) >>> 0);
    expect(frames.filter(([frame, rights]) => rights !== 1 && hypervisor.frames.ownerOf(frame) !== own)).toEqual([]);
    const borrowed = new Set(frames.map(([frame]) => frame).filter((f) => hypervisor.frames.ownerOf(f) !== own));
    expect(borrowed.size).toBeLessThanOrEqual(1);
    for (const frame of borrowed) {
      expect(hypervisor.frames.ownerOf(frame)).toBe(HYPERVISOR);
      expect(machine.memory.readBytes(frame * FRAME_BYTES, FRAME_BYTES).every((byte) => byte === 0xff)).toBe(true);
    }
  }
}

describe('mischief beside a kernel with demand paging, in turns of 4,999 instructions', () => {
  test.each(mischiefWords)('%s', (word) => sideBySide(mischief(word), 'pages', 4999));
});

describe('mischief beside a kernel with timer and processes', () => {
  // what reaches for memory or devices of others, and what does not give the processor back
  test.each(['fill-all', 'devices', 'spin'])('%s', (word) => sideBySide(mischief(word), 'tasks', 50_021));
});

/** Stores all registers, `letter` first, where there is no memory, 500 times at one of several addresses, and sends what is there
 *  then. The hypervisor does not emulate PUSHA: memory appears for it, for one instruction. */
const storing = (letter: string): Uint8Array =>
  assembled(`
bits 32
org 0x100000
        mov edi, '${letter}'
        mov esi, 500
        mov dx, 0x3f8
.again: mov esp, esi
        and esp, 7
        shl esp, 20
        add esp, 0x80001000 + 20        ; the end of a page goes through the middle of it
        pushad
        xor eax, eax
        mov al, [esp]
        out dx, al
        mov al, [esp + 20]
        out dx, al
        dec esi
        jnz .again
        mov dx, 0x604
        mov ax, 0x2000
        out dx, ax
`);

describe('memory for one instruction where there is none', () => {
  const expected = { end: 'power-off', output: '\xff'.repeat(1000) };

  test('beside a kernel with demand paging', () => {
    const image = storing('x');
    const { instructions } = runBare(image);
    for (const slice of [1, 2, 997]) sideBySide({ image, ...expected, instructions }, 'pages', slice);
  });

  test.each([1, 2, 3, 7, 8])('nobody finds there what somebody else has stored, in turns of %i', (slice) => {
    const world = nestedWorld({ memory: 8 * MIB, slice });
    const vms = ['a', 'b', 'c'].map((letter) => world.add(storing(letter), { memory: 2 * MIB }));
    world.hypervisor.run();
    const bare = runBare(storing('a'));
    expect(bare).toMatchObject(expected);
    for (const vm of vms) expect(world.result(vm)).toEqual(bare);
  });
});

test('all words at once, and one that works', () => {
  const world = nestedWorld({ memory: (mischiefWords.length + 2) * 8 * MIB, garbage: GARBAGE, slice: 20_011 });
  const bad = mischiefWords.map((word) => world.add(kernel('mischief'), { memory: 8 * MIB, commandLine: word }));
  const other = world.add(kernel('pages'), { memory: 8 * MIB });
  world.hypervisor.run({
    until: () => bad.every((vm, n) => mischiefWords[n] === 'spin' || vm.idle || vm.stopReason !== null),
  });
  expect(world.result(other)).toEqual(alone('pages').run);
  for (const [n, word] of mischiefWords.entries()) {
    const { output, end } = world.result(bad[n]);
    expect([output, end]).toEqual([guestFile(`mischief/expected/${word}.txt`), MISCHIEF[word][1] ?? 'power-off']);
  }
});

test('a VM sees nothing of what its frames held before', () => {
  const clean = nestedWorld({ memory: 12 * MIB });
  const used = nestedWorld({ memory: 12 * MIB, garbage: GARBAGE, seed: 5 });
  const [a, b] = [clean, used].map((world) => stateOf(world, world.add(kernel('hello'), { memory: 8 * MIB })));
  expect(b).toEqual(a);
});
