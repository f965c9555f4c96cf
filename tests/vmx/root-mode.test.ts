import { describe, expect, test } from 'vitest';
import { EAX, EDI } from '../../src/base/registers.ts';
import { plainModel } from '../../src/cpu/model.ts';
import { Machine } from '../../src/machine/machine.ts';
import { RootModePort } from '../../src/machine/root-mode-port.ts';
import * as F from '../../src/vmx/fields.ts';
import { AT, baseline, rootMode, type World } from './support.ts';

const HLT = 0xf4;

describe('host state that is wrong breaks the host', () => {
  function launchWith(...fields: readonly (readonly [number, number])[]): unknown {
    const world = baseline();
    world.code(HLT);
    for (const [field, value] of fields) world.set(field, value);
    return world.root.vmlaunch();
  }

  test('HOST_CR3 without the gate in it: page fault, no handler, shutdown', () => {
    expect(launchWith([F.HOST_CR3, AT.stack])).toEqual({
      kind: 'shutdown',
      why: 'triple fault in VMX root operation',
    });
  });

  test('HOST_RIP elsewhere: the processor runs what lies there', () => {
    const world = baseline();
    world.code(HLT);
    world.root.memory.writeBytes(0x3_8000, Uint8Array.from([0xeb, 0xfe])); // jmp to itself
    world.set(F.HOST_RIP, 0x3_8000);
    expect(world.root.vmlaunch()).toEqual({ kind: 'shutdown', why: 'the host runs at 0003_8000h, not at the gate' });
  });

  test('HOST_RSP outside of memory', () => {
    expect(launchWith([F.HOST_RSP, 0x90_0000])).toMatchObject({ kind: 'shutdown' });
  });

  test('a host that halts is reported', () => {
    const world = baseline();
    world.code(HLT);
    world.root.memory.writeBytes(0x3_8000, Uint8Array.from([HLT]));
    world.set(F.HOST_RIP, 0x3_8000);
    expect(world.root.vmlaunch()).toEqual({ kind: 'stopped', why: 'halted' });
  });
});

describe('limits', () => {
  /** inc eax; jmp to itself. */
  const endless = (): World => {
    const world = baseline();
    world.code(0x40, 0xeb, 0xfd);
    return world;
  };

  test('the instruction limit is exact, and the guest goes on from there', () => {
    const world = endless();
    world.root.maxInstructions = 1000;
    expect(world.root.vmlaunch()).toEqual({ kind: 'budget' });
    expect(world.machine.instructions).toBe(1000);
    expect(world.root.getRegister(EAX)).toBe(500);
    world.root.maxInstructions = 1500;
    expect(world.root.resumeInterrupted()).toEqual({ kind: 'budget' });
    expect(world.machine.instructions).toBe(1500);
    expect(() => world.root.vmread(F.GUEST_RIP)).toThrow(/a guest is running/);
  });

  test('the machine can be stopped from outside', () => {
    let looks = 0;
    const world = baseline({ until: () => ++looks > 2 });
    world.code(0x40, 0xeb, 0xfd);
    expect(world.root.vmlaunch()).toEqual({ kind: 'stopped', why: 'until' });
  });

  test('a device that stops the machine is reported', () => {
    const world = baseline();
    world.code(0xb0, 7, 0xe6, 0xf4); // mov al, 7; out F4h, al
    expect(world.root.vmlaunch()).toEqual({ kind: 'stopped', why: 'debug-exit' });
    expect(world.root.machineStop).toEqual({ kind: 'debug-exit', value: 7 });
  });
});

test('references to memory are counted, one for each aligned doubleword', () => {
  const { root } = rootMode();
  const before = root.memory.references;
  root.memory.write32(AT.stack, 1);
  root.memory.read8(AT.stack);
  root.memory.readBytes(AT.stack + 3, 2); // touches two
  root.memory.fill(AT.stack, 4096, 0);
  expect(root.memory.references - before).toBe(1 + 1 + 2 + 1024);
});

test('general registers are left to software by entries and exits', () => {
  const world = baseline();
  world.code(0xbf, 5, 0, 0, 0, HLT); // mov edi, 5
  world.root.setRegister(EAX, 77);
  world.root.setCr2(0x1234);
  world.root.vmlaunch();
  expect([world.root.getRegister(EAX), world.root.getRegister(EDI), world.root.getCr2()]).toEqual([77, 5, 0x1234]);
});

test('writes of root mode reach code that has been decoded', () => {
  const world = baseline();
  world.code(0x40, HLT);
  world.root.vmlaunch();
  expect(world.root.getRegister(EAX)).toBe(1);
  world.code(0x48, HLT); // dec eax
  world.set(F.GUEST_RIP, AT.code);
  world.root.vmresume();
  expect(world.root.getRegister(EAX)).toBe(0);
});

test('a processor without VMX has no root mode', () => {
  const machine = new Machine({ memory: 0x10_0000, contexts: 3, processor: plainModel });
  expect(() => new RootModePort(machine)).toThrow(/'p6' has no VMX/);
});
