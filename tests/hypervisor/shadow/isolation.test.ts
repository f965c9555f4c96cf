/** A VM that does something bad beside one that works, both with shadow paging: what the processor can reach through the tables in
 *  use is the VM's own, and the other one notices nothing. */
import { describe, expect, test } from 'vitest';
import { FRAME_BYTES, HYPERVISOR, VM_OWNER } from '../../../src/hypervisor/frames.ts';
import type { Vm } from '../../../src/hypervisor/vm.ts';
import { EXCEPTION_BITMAP, GUEST_CR3 } from '../../../src/vmx/fields.ts';
import { MISCHIEF } from '../../guests/counts.ts';
import { guestFile, kernel, MIB, mischiefWords, type NestedWorld, nestedWorld, runBare } from '../../guests/runs.ts';

/** Frames that the tables at `root` lead to, by a walk of PAE paging of its own: [frame, entry]. */
function reachable(world: NestedWorld, root: number): [number, number][] {
  const { memory } = world.machine;
  const found: [number, number][] = [];
  const present = (table: number, entries: number): number[] =>
    Array.from({ length: entries }, (_, i) => table + i * 8)
      .filter((at) => (memory.read32(at) & 1) !== 0 && (memory.read32(at + 4) & 0x7fff_fff0) === 0)
      .map((at) => memory.read32(at));
  const next = (entry: number): number => (entry & ~0xfff) >>> 0;
  for (const pointer of present(root, 4))
    for (const entry of present(next(pointer), 512)) {
      if (entry & 0x80) for (let i = 0; i < 512; i++) found.push([(entry >>> 12) + i, entry]);
      else for (const leaf of present(next(entry), 512)) found.push([leaf >>> 12, leaf]);
    }
  return found;
}

function strangers(world: NestedWorld, vm: Vm): number[] {
  const { frames } = world.hypervisor;
  return reachable(world, vm.vcpu.read(GUEST_CR3) >>> 0)
    .filter(([frame, leaf]) => {
      if (frames.ownerOf(frame) === VM_OWNER + vm.number) return false;
      // What stands for missing memory: read only, all ones.
      const isOnes = world.machine.memory.readBytes(frame * FRAME_BYTES, FRAME_BYTES).every((byte) => byte === 0xff);
      return !(frames.ownerOf(frame) === HYPERVISOR && (leaf & 2) === 0 && isOnes);
    })
    .map(([frame]) => frame);
}

describe('mischief beside a kernel with demand paging', () => {
  const works = runBare(kernel('pages'), { memory: 8 * MIB });
  test.each(mischiefWords)('%s', (word) => {
    const wrong: number[] = [];
    const world = nestedWorld({ memory: 32 * MIB, garbage: 0xa5, slice: 4999 });
    const paging = 'shadow';
    const bad = world.add(kernel('mischief'), { memory: 16 * MIB, commandLine: word, paging });
    const other = world.add(kernel('pages'), { memory: 8 * MIB, paging, shadow: { audit: true } });
    let looks = 0;
    world.hypervisor.run({
      until: () => {
        // The VMCS of one of the two is current: its tables are those in use.
        const current = world.machine.vmx?.context.current?.address;
        const vm = [bad, other].find((one) => one.vcpu.vmcs === current);
        if (vm !== undefined && looks++ % 10 === 0 && vm.vcpu.read(EXCEPTION_BITMAP) !== 0)
          wrong.push(...strangers(world, vm));
        return other.stopReason !== null;
      },
    });
    const [, end = 'power-off'] = MISCHIEF[word];
    if (end !== 'limit') world.hypervisor.run({ maxInstructions: 20_000_000 });
    expect(looks).toBeGreaterThan(10);
    expect(wrong).toEqual([]);
    expect(world.result(bad)).toMatchObject({ end, output: guestFile(`mischief/expected/${word}.txt`) });
    expect(world.result(other)).toEqual(works);
  });
});
