/** Exit qualifications in words (SDM Vol. 3, "Basic VM-Exit Information", tables of that section). */
import { hex } from '../base/int.ts';
import { EXIT } from './exit-reasons.ts';

export type QualificationPart = number | string | boolean;

/** An exit qualification taken apart. */
export interface Qualification {
  /** One line. */
  readonly text: string;
  readonly parts: Readonly<Record<string, QualificationPart>>;
}

const REGISTERS = ['EAX', 'ECX', 'EDX', 'EBX', 'ESP', 'EBP', 'ESI', 'EDI'];
const register = (n: number): string => REGISTERS[n & 7] ?? `register ${n}`;
const bit = (q: number, n: number): boolean => ((q >>> n) & 1) !== 0;
const field = (q: number, low: number, high: number): number => (q >>> low) & (2 ** (high - low + 1) - 1);
const chosen = (names: readonly (readonly [boolean, string])[]): string =>
  names
    .filter(([on]) => on)
    .map(([, name]) => name)
    .join(' ');

/** #DB: which breakpoint conditions were met. */
function exception(q: number): Qualification {
  return { text: q === 0 ? '' : `address or debug conditions ${hex(q)}`, parts: { value: q >>> 0 } };
}

function taskSwitch(q: number): Qualification {
  const selector = field(q, 0, 15);
  const source = ['CALL', 'IRET', 'JMP', 'task gate in the IDT'][field(q, 30, 31)] as string;
  return { text: `to ${hex(selector, 4)} by ${source}`, parts: { selector, source } };
}

function controlRegister(q: number): Qualification {
  const cr = field(q, 0, 3);
  const kind = ['MOV to CR', 'MOV from CR', 'CLTS', 'LMSW'][field(q, 4, 5)] as string;
  if (kind === 'CLTS') return { text: 'CLTS', parts: { cr: 0, kind } };
  if (kind === 'LMSW') {
    const source = field(q, 16, 31);
    const memory = bit(q, 6);
    return { text: `LMSW ${hex(source, 4)}${memory ? ' from memory' : ''}`, parts: { cr: 0, kind, source, memory } };
  }
  const gpr = field(q, 8, 11);
  const text = kind === 'MOV to CR' ? `MOV CR${cr}, ${register(gpr)}` : `MOV ${register(gpr)}, CR${cr}`;
  return { text, parts: { cr, kind, register: gpr } };
}

function debugRegister(q: number): Qualification {
  const dr = field(q, 0, 2);
  const gpr = field(q, 8, 11);
  const from = bit(q, 4);
  const text = from ? `MOV ${register(gpr)}, DR${dr}` : `MOV DR${dr}, ${register(gpr)}`;
  return { text, parts: { dr, from, register: gpr } };
}

function io(q: number): Qualification {
  const size = field(q, 0, 2) + 1;
  const input = bit(q, 3);
  const string = bit(q, 4);
  const rep = bit(q, 5);
  const immediate = bit(q, 6);
  const port = field(q, 16, 31);
  const name = `${rep ? 'REP ' : ''}${input ? (string ? 'INS' : 'IN') : string ? 'OUTS' : 'OUT'}`;
  return {
    text: `${name} ${size * 8} bits, port ${hex(port, 4)}${immediate ? ' (immediate)' : ''}`,
    parts: { size, input, string, rep, immediate, port },
  };
}

/** Bits 11:9, "advanced VM-exit information": what the guest's own tables say of the linear address. */
const LINEAR_RIGHTS = 0xe00;

function eptViolation(q: number, advanced: boolean): Qualification {
  const access = chosen([
    [bit(q, 0), 'read'],
    [bit(q, 1), 'write'],
    [bit(q, 2), 'fetch'],
  ]);
  const allowed = `${bit(q, 3) ? 'R' : '-'}${bit(q, 4) ? 'W' : '-'}${bit(q, 5) ? 'X' : '-'}`;
  const linearValid = bit(q, 7);
  const translation = bit(q, 8);
  const nmiUnblocking = bit(q, 12);
  const what = !linearValid ? 'no linear address' : translation ? 'final address' : 'guest paging structure';
  const user = bit(q, 9);
  const writable = bit(q, 10);
  const executable = !bit(q, 11);
  const tells = advanced && linearValid && translation;
  const rights = ` of a ${user ? 'user' : 'supervisor'} page, ${writable ? 'writable' : 'read-only'}${executable ? '' : ', execute-disable'}`;
  return {
    text: `${access}, EPT allows ${allowed}, ${what}${tells ? rights : ''}${nmiUnblocking ? ', NMIs unblocked by IRET' : ''}`,
    parts: {
      access,
      allowed,
      linearValid,
      translation,
      nmiUnblocking,
      ...(tells ? { user, writable, executable } : {}),
    },
  };
}

const APIC_ACCESSES: Readonly<Record<number, string>> = {
  0: 'data read',
  1: 'data write',
  2: 'instruction fetch',
  3: 'access during event delivery',
  10: 'guest-physical access during event delivery',
  15: 'guest-physical access',
};

function apicAccess(q: number): Qualification {
  const offset = field(q, 0, 11);
  const access = APIC_ACCESSES[field(q, 12, 15)] ?? `access of type ${field(q, 12, 15)}`;
  return { text: `${access} at offset ${hex(offset, 3)}`, parts: { offset, access } };
}

const GUEST_STATE_FAILURES: Readonly<Record<number, string>> = {
  2: 'PDPTE loading',
  3: 'NMI injection while STI blocks events',
  4: 'VMCS link pointer',
};

const displacement = (q: number): Qualification => ({
  text: `displacement ${hex(q)}`,
  parts: { displacement: q | 0 },
});
const nothing: Qualification = { text: '', parts: {} };

/** Takes an exit qualification apart. `reason`: the exit-reason field, flags included. `advanced`: the processor has advanced information
 *  for EPT violations; where nobody knows, bits that are set tell. */
export function decodeQualification(
  reason: number,
  qualification: number,
  advanced: boolean = (qualification & LINEAR_RIGHTS) !== 0,
): Qualification {
  const q = qualification;
  switch (reason & 0xffff) {
    case EXIT.EXCEPTION_OR_NMI:
      return exception(q);
    case EXIT.SIPI:
      return { text: `vector ${hex(q & 0xff, 2)}`, parts: { vector: q & 0xff } };
    case EXIT.TASK_SWITCH:
      return taskSwitch(q);
    case EXIT.INVLPG:
      return { text: `linear address ${hex(q)}`, parts: { linear: q >>> 0 } };
    case EXIT.CR_ACCESS:
      return controlRegister(q);
    case EXIT.MOV_DR:
      return debugRegister(q);
    case EXIT.IO_INSTRUCTION:
      return io(q);
    case EXIT.APIC_ACCESS:
      return apicAccess(q);
    case EXIT.VIRTUALIZED_EOI:
      return { text: `vector ${hex(q & 0xff, 2)}`, parts: { vector: q & 0xff } };
    case EXIT.APIC_WRITE:
      return { text: `offset ${hex(q & 0xfff, 3)}`, parts: { offset: q & 0xfff } };
    case EXIT.EPT_VIOLATION:
      return eptViolation(q, advanced);
    case EXIT.ENTRY_FAILURE_GUEST_STATE:
      return { text: GUEST_STATE_FAILURES[q] ?? '', parts: { failure: q >>> 0 } };
    case EXIT.ENTRY_FAILURE_MSR_LOADING:
      return { text: `entry ${q} of the MSR-load area`, parts: { entry: q >>> 0 } };
    case EXIT.VMCLEAR:
    case EXIT.VMPTRLD:
    case EXIT.VMPTRST:
    case EXIT.VMREAD:
    case EXIT.VMWRITE:
    case EXIT.VMXON:
    case EXIT.INVEPT:
    case EXIT.INVVPID:
    case EXIT.GDTR_OR_IDTR:
    case EXIT.LDTR_OR_TR:
      return displacement(q);
    default:
      return nothing;
  }
}

const EVENT_TYPES = [
  'external interrupt',
  'reserved type',
  'NMI',
  'hardware exception',
  'software interrupt',
  'privileged software exception',
  'software exception',
  'other event',
];

/** Interruption or IDT-vectoring information in words; '' if it is not valid. */
export function interruptionText(info: number, errorCode: number): string {
  if ((info | 0) >= 0) return '';
  const error = bit(info, 11) ? `, error code ${hex(errorCode, 4)}` : '';
  return `${EVENT_TYPES[field(info, 8, 10)]} ${info & 0xff}${error}`;
}
