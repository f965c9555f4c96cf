/** `explainVmcs`: all fields of a VMCS in words (SDM Vol. 3, "Virtual-Machine Control Structures"). */
import { hex } from '../../base/int.ts';
import { controlNames, PIN_BASED, PRIMARY, SECONDARY, VM_ENTRY, VM_EXIT } from '../controls.ts';
import { exitReasonText, vmErrorText } from '../exit-reasons.ts';
import { FIELDS, type Field, type FieldType } from '../field-table.ts';
import * as F from '../fields.ts';
import { interruptionText } from '../qualification.ts';
import { hex64, valueText } from './format.ts';
import type { VmcsImage } from './image.ts';

export interface VmcsExplanation {
  readonly fields: readonly {
    readonly name: string;
    readonly type: FieldType;
    readonly value: string;
    readonly words: string;
  }[];
  readonly text: readonly string[];
}

const HEADINGS: readonly (readonly [FieldType, string])[] = [
  ['control', 'Control fields'],
  ['read-only data', 'Read-only data fields'],
  ['guest state', 'Guest-state area'],
  ['host state', 'Host-state area'],
];

const bitNames = (table: Readonly<Record<string, number>>): ((word: number) => string) => {
  return (word) =>
    controlNames(table, word)
      .filter((name) => !name.startsWith('bit '))
      .join(' ');
};

const CR0 = {
  PE: 1,
  MP: 2,
  EM: 4,
  TS: 8,
  ET: 16,
  NE: 32,
  WP: 1 << 16,
  AM: 1 << 18,
  NW: 1 << 29,
  CD: 1 << 30,
  PG: 1 << 31,
};
const CR4 = {
  VME: 1,
  PVI: 2,
  TSD: 4,
  DE: 8,
  PSE: 16,
  PAE: 32,
  MCE: 64,
  PGE: 128,
  PCE: 256,
  OSFXSR: 512,
  OSXMMEXCPT: 1024,
  UMIP: 2048,
  VMXE: 8192,
  SMXE: 16384,
  PCIDE: 1 << 17,
  OSXSAVE: 1 << 18,
  SMEP: 1 << 20,
  SMAP: 1 << 21,
};
const FLAGS = {
  CF: 1,
  PF: 4,
  AF: 16,
  ZF: 64,
  SF: 128,
  TF: 256,
  IF: 512,
  DF: 1024,
  OF: 2048,
  NT: 1 << 14,
  RF: 1 << 16,
  VM: 1 << 17,
  AC: 1 << 18,
  VIF: 1 << 19,
  VIP: 1 << 20,
  ID: 1 << 21,
};
const BLOCKING = { STI: 1, MOV_SS: 2, SMI: 4, NMI: 8 };
const ACTIVITIES = ['active', 'HLT', 'shutdown', 'wait for SIPI'];

function access(rights: number): string {
  if ((rights & 0x1_0000) !== 0) return 'unusable';
  const type = rights & 15;
  const system = (rights & 0x10) === 0;
  const kind = system
    ? `system type ${type}`
    : type >= 8
      ? `${(type & 4) !== 0 ? 'conforming ' : ''}code${(type & 2) !== 0 ? ', readable' : ''}`
      : `data${(type & 4) !== 0 ? ', expand-down' : ''}${(type & 2) !== 0 ? ', writable' : ''}`;
  const accessed = !system && (type & 1) !== 0 ? ', accessed' : '';
  const size = (rights & 0x4000) !== 0 ? ', 32-bit' : ', 16-bit';
  return `${kind}${accessed}, DPL ${(rights >> 5) & 3}${(rights & 0x80) !== 0 ? '' : ', not present'}${system ? '' : size}${(rights & 0x8000) !== 0 ? ', 4-KiB units' : ''}`;
}

/** Words for fields that have some; `get` reads a neighbour. */
const WORDS: ReadonlyMap<number, (value: number, get: (encoding: number) => number) => string> = new Map<
  number,
  (value: number, get: (encoding: number) => number) => string
>([
  [F.PIN_BASED_VM_EXECUTION_CONTROLS, bitNames(PIN_BASED)],
  [F.PRIMARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS, bitNames(PRIMARY)],
  [F.SECONDARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS, bitNames(SECONDARY)],
  [F.VM_EXIT_CONTROLS, bitNames(VM_EXIT)],
  [F.VM_ENTRY_CONTROLS, bitNames(VM_ENTRY)],
  ...[F.GUEST_CR0, F.HOST_CR0, F.CR0_GUEST_HOST_MASK, F.CR0_READ_SHADOW].map((f) => [f, bitNames(CR0)] as const),
  ...[F.GUEST_CR4, F.HOST_CR4, F.CR4_GUEST_HOST_MASK, F.CR4_READ_SHADOW].map((f) => [f, bitNames(CR4)] as const),
  [F.GUEST_RFLAGS, (v) => `${bitNames(FLAGS)(v)} IOPL=${(v >> 12) & 3}`.trim()],
  [F.GUEST_INTERRUPTIBILITY_STATE, (v) => (v === 0 ? '' : `blocking by ${bitNames(BLOCKING)(v)}`)],
  [F.GUEST_ACTIVITY_STATE, (v) => ACTIVITIES[v] ?? 'no activity state'],
  [F.EXCEPTION_BITMAP, (v) => vectors(v)],
  [F.VM_ENTRY_INTERRUPTION_INFORMATION, (v, get) => interruptionText(v, get(F.VM_ENTRY_EXCEPTION_ERROR_CODE))],
  [F.VM_EXIT_INTERRUPTION_INFORMATION, (v, get) => interruptionText(v, get(F.VM_EXIT_INTERRUPTION_ERROR_CODE))],
  [F.IDT_VECTORING_INFORMATION, (v, get) => interruptionText(v, get(F.IDT_VECTORING_ERROR_CODE))],
  [F.EXIT_REASON, (v) => `${exitReasonText(v)}${v < 0 ? ' (VM entry failed)' : ''}`],
  [F.VM_INSTRUCTION_ERROR, (v) => (v === 0 ? '' : vmErrorText(v))],
  ...[0, 1, 2, 3, 4, 5, 6, 7].map((n) => [F.GUEST_ES_ACCESS_RIGHTS + 2 * n, access] as const),
]);

function vectors(bitmap: number): string {
  const set = Array.from({ length: 32 }, (_, n) => n).filter((n) => ((bitmap >>> n) & 1) !== 0);
  return set.length === 0 ? 'no exception exits' : `exceptions ${set.join(', ')} exit`;
}

/** Every known field, with its meaning where it has parts. */
export function explainVmcs(image: VmcsImage): VmcsExplanation {
  const get = (encoding: number): number => image.low(encoding);
  const fields = FIELDS.filter((field: Field) => image.knows(field.encoding)).map((field) => {
    const value = image.value(field);
    const words = WORDS.get(field.encoding)?.(value.lo, get) ?? '';
    return { name: field.name, type: field.type, value: valueText(field, value), words };
  });
  const text: string[] = [];
  for (const [type, heading] of HEADINGS) {
    const own = fields.filter((field) => field.type === type);
    if (own.length === 0) continue;
    text.push(heading);
    for (const { name, value, words } of own)
      text.push(`  ${name.padEnd(46)} ${value.padStart(20)}${words === '' ? '' : `  ${words}`}`);
  }
  for (const [encoding, value] of image.foreign)
    text.push(`  field ${hex(encoding, 4)}, which ringlet does not have`.padEnd(49) + hex64(value).padStart(20));
  return { fields, text };
}
