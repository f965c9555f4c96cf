/** EPT violations that the guest is told of by an exception (SDM Vol. 3, "Virtualization Exceptions"). */
import { CR0, CR0_PE } from '../base/registers.ts';
import { VE } from '../base/signal.ts';
import { dispatch } from '../cpu/far/events.ts';
import type { VmxContext } from './context.ts';
import { INTERRUPTION_TYPE, SECONDARY } from './controls.ts';
import { EXIT } from './exit-reasons.ts';
import * as W from './words.ts';

/** Offsets in the information area. */
const REASON = 0;
/** 0 while another exception may be told of: software has to clear it. */
const BUSY = 4;
const QUALIFICATION = 8;
const LINEAR = 0x10;
const PHYSICAL = 0x18;
const EPTP_INDEX = 0x20;

/** The violation in the signal becomes #VE, if everything allows it; it is subject to the exception bitmap then. */
export function becomesException(x: VmxContext, qualification: number): boolean {
  const { cpu, words } = x;
  const { signal, memory } = cpu;
  if (!signal.convertible || !x.secondary(SECONDARY.EPT_VIOLATION_VE)) return false;
  if ((cpu.S[CR0] & CR0_PE) === 0 || cpu.delivering !== null) return false;
  const at = words[W.W_VE_INFORMATION] >>> 0;
  if (memory.read32(at + BUSY) !== 0) return false;
  const write64 = (offset: number, low: number, high: number): void => {
    memory.write32(at + offset, low);
    memory.write32(at + offset + 4, high);
  };
  memory.write32(at + REASON, EXIT.EPT_VIOLATION);
  memory.write32(at + BUSY, -1);
  write64(QUALIFICATION, qualification, 0);
  write64(LINEAR, signal.linear, 0);
  write64(PHYSICAL, signal.guestPhysicalLow, signal.guestPhysicalHigh);
  memory.write16(at + EPTP_INDEX, words[W.W_EPTP_INDEX]);
  const type = INTERRUPTION_TYPE.HARDWARE_EXCEPTION;
  dispatch(cpu, { vector: VE, type, errorCode: -1, instructionLength: 0, address: 0 });
  return true;
}
