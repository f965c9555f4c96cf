import { describe, expect, test } from 'vitest';
import { InvalidInput } from '../../src/base/errors.ts';
import { FREE, FrameAllocator, HYPERVISOR, VM_OWNER } from '../../src/hypervisor/frames.ts';

const MIB = 0x10_0000;

describe('frames', () => {
  test('each frame is handed out once, and the hypervisor keeps frame 0', () => {
    const frames = new FrameAllocator(MIB, 7);
    const got = Array.from({ length: 255 }, () => frames.allocate(VM_OWNER));
    expect(new Set(got).size).toBe(255);
    expect(got).not.toContain(0);
    expect(frames.ownerOf(0)).toBe(HYPERVISOR);
    expect(frames.free).toBe(0);
    expect(() => frames.allocate(VM_OWNER)).toThrow(InvalidInput);
  });

  test('a seed scatters, always in the same way; without one the order ascends', () => {
    const first = (seed: number): number[] => {
      const frames = new FrameAllocator(MIB, seed);
      return Array.from({ length: 8 }, () => frames.allocate(HYPERVISOR));
    };
    expect(first(0)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    expect(first(5)).toEqual(first(5));
    expect(first(5)).not.toEqual(first(6));
    expect(first(5).some((frame, i, all) => i > 0 && frame !== all[i - 1] + 1)).toBe(true);
  });

  test('a 2-MiB block is aligned, and its frames are not handed out again', () => {
    const frames = new FrameAllocator(6 * MIB, 3);
    const single = frames.allocate(HYPERVISOR);
    const block = frames.allocateLarge(VM_OWNER);
    expect(block % 512).toBe(0);
    expect(block).toBeGreaterThan(0); // frame 0 is taken
    const rest: number[] = [];
    while (frames.free > 0) rest.push(frames.allocate(VM_OWNER + 1));
    expect(rest.every((frame) => frame < block || frame >= block + 512)).toBe(true);
    expect(rest.length).toBe(1536 - 1 - 512 - 1);
    expect(frames.ownerOf(single)).toBe(HYPERVISOR);
    expect(frames.allocateLarge(VM_OWNER)).toBe(-1);
  });

  test('what a VM had comes back when it is released, block or not', () => {
    const frames = new FrameAllocator(4 * MIB, 3);
    frames.allocateLarge(VM_OWNER);
    for (let i = 0; i < 100; i++) frames.allocate(VM_OWNER);
    const kept = frames.allocate(VM_OWNER + 1);
    expect(frames.release(VM_OWNER)).toBe(612);
    const own = [frames.allocate(HYPERVISOR), frames.allocate(HYPERVISOR)];
    frames.releaseFrames(own);
    expect(frames.free).toBe(1024 - 2);
    const again = new Set<number>();
    while (frames.free > 0) again.add(frames.allocate(VM_OWNER + 2));
    expect(again.size).toBe(1022);
    expect(again.has(kept)).toBe(false);
    expect([...Array(1024).keys()].some((frame) => frames.ownerOf(frame) === FREE)).toBe(false);
  });
});
