/** A VM as plain data, independent of where its frames lie. It can go on in another VM of the same memory size and board. */

import { fromBase64, toBase64 } from '../base/base64.ts';
import { InvalidInput, type Unvalidated } from '../base/errors.ts';
import { boolean, dword, int32, integer, list, record, string, ticks } from '../base/validate.ts';
import type { BoardState } from '../machine/board-devices.ts';
import { fieldName } from '../vmx/field-table.ts';
import * as F from '../vmx/fields.ts';
import { FRAME_BYTES } from './frames.ts';
import type { PendingEvent } from './vcpu.ts';
import type { Vm } from './vm.ts';
import { guestStateFields } from './vmcs-setup.ts';

export interface VcpuState {
  /** EAX ECX EDX EBX – EBP ESI EDI. */
  general: number[];
  cr2: number;
  /** DR0 DR1 DR2 DR3 DR6. */
  debug: number[];
  halted: boolean;
  /** RF is 1 for the sake of an instruction that is executed once more. */
  restarting: boolean;
  pending: PendingEvent | null;
  /** Guest-state fields of the VMCS by their names. */
  fields: Record<string, number>;
}

export interface VmState {
  memoryBytes: number;
  /** Pages that are not all zero: page number, and contents in base64. */
  pages: { page: number; contents: string }[];
  time: number;
  retired: number;
  tscAdjust: number;
  msrs: { index: number; lo: number; hi: number }[];
  vcpu: VcpuState;
  devices: BoardState;
}

/** The state between two runs. The VM's VMCS is current. */
export function saveVm(vm: Vm): VmState {
  const pages: VmState['pages'] = [];
  for (let page = 0; page < vm.memory.bytes / FRAME_BYTES; page++) {
    const bytes = vm.memory.readBytes(page * FRAME_BYTES, FRAME_BYTES);
    if (bytes.some((b) => b !== 0)) pages.push({ page, contents: toBase64(bytes) });
  }
  const { vcpu } = vm;
  return {
    memoryBytes: vm.memory.bytes,
    pages,
    time: vm.time,
    retired: vm.retired,
    tscAdjust: vm.tscAdjust,
    msrs: [...vm.msrs].map(([index, { lo, hi }]) => ({ index, lo, hi })),
    vcpu: {
      general: [...vcpu.general],
      cr2: vcpu.cr2,
      debug: [...vcpu.debug.registers],
      halted: vcpu.halted,
      restarting: vcpu.isRestarting,
      pending: vcpu.pending,
      fields: Object.fromEntries(
        fieldsOf(vm).map((field) => [fieldName(field), vm.shadow?.guestField(field) ?? vcpu.read(field)]),
      ),
    },
    devices: vm.devices.save(),
  };
}

/** Takes a saved state over. The VM's VMCS is current. Throws InvalidInput before anything is changed, but for what only the
 *  devices find; what VM entry finds wrong in the processor's state ends the VM then. */
export function restoreVm(vm: Vm, state: Unvalidated<VmState>): void {
  const memoryBytes = integer(state.memoryBytes, 'vm.memoryBytes', 0, Number.MAX_SAFE_INTEGER);
  if (memoryBytes !== vm.memory.bytes) {
    throw new InvalidInput(`the state is of a VM with ${memoryBytes} bytes of memory, this one has ${vm.memory.bytes}`);
  }
  const limit = memoryBytes / FRAME_BYTES;
  const pages = list(state.pages, 'vm.pages', 0, limit, (value, at) => page(value, at, limit));
  const time = ticks(state.time, 'vm.time');
  const retired = ticks(state.retired, 'vm.retired');
  const most = Number.MAX_SAFE_INTEGER;
  const tscAdjust = integer(state.tscAdjust, 'vm.tscAdjust', -most, most);
  const msrs = list(state.msrs, 'vm.msrs', 0, 1000, msr);
  const cpu = vcpuState(state.vcpu, fieldsOf(vm));

  vm.shadow?.forget();
  vm.time = time;
  vm.devices.restore(record(state.devices, 'vm.devices'));
  const zero = new Uint8Array(FRAME_BYTES);
  for (let i = 0; i < limit; i++) vm.memory.writeBytes(i * FRAME_BYTES, zero);
  for (const { number, bytes } of pages) vm.memory.writeBytes(number * FRAME_BYTES, bytes);
  vm.retired = retired;
  vm.tscAdjust = tscAdjust;
  vm.msrs.clear();
  for (const { index, lo, hi } of msrs) vm.msrs.set(index, { lo, hi });
  vm.vcpu.general.set(cpu.general);
  vm.vcpu.cr2 = cpu.cr2;
  vm.vcpu.debug.registers.set(cpu.debug);
  vm.vcpu.halted = cpu.halted;
  vm.vcpu.isRestarting = cpu.restarting;
  vm.vcpu.pending = cpu.pending;
  for (const [field, value] of cpu.fields) if (!vm.shadow?.holds(field)) vm.vcpu.write(field, value);
  vm.idle = false;
  vm.stopReason = null;
  vm.shadow?.restored(new Map(cpu.fields));
}

const fieldsOf = (vm: Vm): readonly number[] => guestStateFields(vm.vcpu.read(F.VM_ENTRY_CONTROLS), vm.shadow === null);

function page(value: unknown, at: string, limit: number): { number: number; bytes: Uint8Array } {
  const { page, contents } = record(value, at);
  const bytes = fromBase64(string(contents, `${at}.contents`));
  if (bytes?.length !== FRAME_BYTES) throw new InvalidInput(`${at}.contents must be ${FRAME_BYTES} bytes in base64`);
  return { number: integer(page, `${at}.page`, 0, limit - 1), bytes };
}

function msr(value: unknown, at: string): { index: number; lo: number; hi: number } {
  const { index, lo, hi } = record(value, at);
  return { index: dword(index, `${at}.index`), lo: int32(lo, `${at}.lo`), hi: int32(hi, `${at}.hi`) };
}

function vcpuState(
  value: unknown,
  names: readonly number[],
): Omit<VcpuState, 'fields'> & { fields: [number, number][] } {
  const cpu = record(value, 'vm.vcpu');
  const fields = record(cpu.fields, 'vm.vcpu.fields');
  return {
    general: list(cpu.general, 'vm.vcpu.general', 8, 8, int32),
    cr2: int32(cpu.cr2, 'vm.vcpu.cr2'),
    debug: list(cpu.debug, 'vm.vcpu.debug', 5, 5, int32),
    halted: boolean(cpu.halted, 'vm.vcpu.halted'),
    restarting: boolean(cpu.restarting, 'vm.vcpu.restarting'),
    pending: cpu.pending === null ? null : pendingEvent(cpu.pending),
    fields: names.map((field) => {
      const name = fieldName(field);
      const value = fields[name] === undefined && isOptional(name) ? 0 : fields[name];
      return [field, int32(value, `vm.vcpu.fields.${name}`)];
    }),
  };
}

/** A guest that does not use PAE paging can do without. */
const isOptional = (name: string): boolean => name.startsWith('GUEST_PDPTE') || name === 'GUEST_IA32_EFER';

function pendingEvent(value: unknown): PendingEvent {
  const event = record(value, 'vm.vcpu.pending');
  return {
    information: int32(event.information, 'vm.vcpu.pending.information'),
    errorCode: int32(event.errorCode, 'vm.vcpu.pending.errorCode'),
  };
}
