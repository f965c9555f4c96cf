/** Events that VM entry may inject into a guest that is not active (SDM Vol. 3, "Checks on Guest Non-Register State", "Activity State"). */
import { expect, test } from 'vitest';
import { EXIT } from '../../src/vmx/exit-reasons.ts';
import * as F from '../../src/vmx/fields.ts';
import { AT, baseline, exitReason, gate, type World } from './support.ts';

const HLT_STATE = 1;
const SHUTDOWN = 2;
const WAIT_FOR_SIPI = 3;
const INVALID_GUEST_STATE = 0x8000_0021;

const EVENTS = [
  ['external interrupt', 0x8000_0020, [HLT_STATE]],
  ['NMI', 0x8000_0202, [HLT_STATE, SHUTDOWN]],
  ['#DB', 0x8000_0301, [HLT_STATE]],
  ['#MC', 0x8000_0312, [HLT_STATE, SHUTDOWN]],
  ['#UD', 0x8000_0306, []],
  ['INT 20h', 0x8000_0420, []],
  ['INT1', 0x8000_0501, []],
  ['INT3', 0x8000_0603, []],
  ['a pending MTF exit', 0x8000_0700, [HLT_STATE]],
] as const;

function injecting(information: number, activity: number): World {
  const world = baseline();
  world.set(F.GUEST_RFLAGS, 0x202);
  world.set(F.GUEST_ACTIVITY_STATE, activity);
  world.set(F.VM_ENTRY_INTERRUPTION_INFORMATION, information | 0);
  world.set(F.VM_ENTRY_INSTRUCTION_LENGTH, 1);
  for (const vector of [1, 2, 3, 6, 18, 0x20]) gate(world, vector, AT.code + 0x100);
  world.root.memory.writeBytes(AT.code + 0x100, Uint8Array.of(0x0f, 0xa2)); // cpuid
  world.code(0xf4);
  return world;
}

test.each(EVENTS)('%s', (_, information, allowed) => {
  for (const activity of [HLT_STATE, SHUTDOWN, WAIT_FOR_SIPI]) {
    const reason = exitReason(injecting(information, activity));
    const good = (information & 0x700) === 0x700 ? EXIT.MONITOR_TRAP_FLAG : EXIT.CPUID;
    const may = (allowed as readonly number[]).includes(activity);
    expect(reason >>> 0, `activity state ${activity}`).toBe(may ? good : INVALID_GUEST_STATE);
  }
});
