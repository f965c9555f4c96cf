/** Small guests, each of which leaves non-root operation once. What Bochs says of each stands in exits.txt. */
import * as F from '../../../src/vmx/fields.ts';
import { AT } from '../support.ts';

const PRIM = F.PRIMARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS,
  SEC = F.SECONDARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS,
  PIN = F.PIN_BASED_VM_EXECUTION_CONTROLS;
const P = 0x9600_61fa | 0;
/** Name, guest code, fields to write, doublewords of memory to write. */
export type ExitCase = readonly [
  name: string,
  code: readonly number[],
  fields?: readonly (readonly [number, number])[],
  memory?: readonly (readonly [number, number])[],
];
type Pairs = [number, number][];
const H = 0xf4;
const gate = (v: number, off = 0x28000, type = 0x8e00): Pairs => [
  [AT.idt + 8 * v, (8 << 16) | (off & 0xffff)],
  [AT.idt + 8 * v + 4, (off & 0xffff0000) | type],
];
const movesi = (v: number) => [0xbe, v & 255, (v >> 8) & 255, (v >> 16) & 255, (v >>> 24) & 255];
const mov = (r: number, v: number) => [0xb8 + r, v & 255, (v >> 8) & 255, (v >> 16) & 255, (v >>> 24) & 255];
const ept4k: Pairs = [];
for (let n = 0; n < 512; n++) ept4k.push([AT.eptTable + 8 * n, (n << 12) | 0x37]);
ept4k.push([AT.eptDirectory, AT.eptTable | 7]);
const eptEntry = (a: number, low: number): Pairs => [[AT.eptTable + 8 * (a >> 12), low]];
const V = F.VM_ENTRY_INTERRUPTION_INFORMATION;
const ring3: Pairs = [
  [F.GUEST_CS_SELECTOR, 0xb],
  [F.GUEST_SS_SELECTOR, 0x13],
  [F.GUEST_CS_ACCESS_RIGHTS, 0xc0fb],
  [F.GUEST_SS_ACCESS_RIGHTS, 0xc0f3],
  ...[0, 3, 4, 5].flatMap(
    (n) =>
      [
        [F.GUEST_ES_SELECTOR + 2 * n, 0],
        [F.GUEST_ES_ACCESS_RIGHTS + 2 * n, 0x10000],
      ] as Pairs,
  ),
];
const pd3: Pairs = [[AT.directory, 0x87]];
const real: Pairs = [
  [SEC, 0xa2],
  [F.GUEST_CR0, 0x30],
  ...[0, 1, 2, 3, 4, 5].flatMap(
    (n) =>
      [
        [F.GUEST_ES_SELECTOR + 2 * n, 0x2000],
        [F.GUEST_ES_BASE + 2 * n, 0x20000],
        [F.GUEST_ES_LIMIT + 2 * n, 0xffff],
        [F.GUEST_ES_ACCESS_RIGHTS + 2 * n, n === 1 ? 0x9b : 0x93],
      ] as Pairs,
  ),
  [F.GUEST_IDTR_BASE, 0x22000],
  [F.GUEST_RIP, 0],
  [F.GUEST_RSP, 0x8000],
];
export const EXIT_CASES: readonly ExitCase[] = [
  ['cpuid', [0x40, 0x0f, 0xa2]],
  ['hlt', [H]],
  ['invd', [0x0f, 0x08]],
  ['wbinvd', [0x0f, 0x09], [[SEC, 0x62]]],
  ['invlpg', [...movesi(0x12345678), 0x0f, 0x01, 0x3e], [[PRIM, P | (1 << 9)]]],
  ['rdtsc', [0x0f, 0x31], [[PRIM, P | (1 << 12)]]],
  ['rdpmc', [0x0f, 0x33], [[PRIM, P | (1 << 11)]]],
  ['pause', [0xf3, 0x90], [[PRIM, P | (1 << 30)]]],
  ['movdr', [0x0f, 0x21, 0xf3], [[PRIM, P | (1 << 23)]]],
  ['movdr2', [0x0f, 0x23, 0xf9], [[PRIM, P | (1 << 23)]]],
  ['cr3load', [0x0f, 0x22, 0xdb], [[PRIM, P | (1 << 15)]]],
  [
    'cr3target',
    [...mov(3, AT.directory), 0x0f, 0x22, 0xdb, H],
    [
      [PRIM, P | (1 << 15)],
      [F.CR3_TARGET_COUNT, 1],
      [F.CR3_TARGET_VALUE_0, AT.directory],
    ],
  ],
  ['cr3store', [0x0f, 0x20, 0xdf], [[PRIM, P | (1 << 16)]]],
  ['cr4write', [...mov(3, 0x2090), 0x0f, 0x22, 0xe3], [[F.CR4_GUEST_HOST_MASK, 0x2000]]],
  ['cr4gp', [...mov(3, 0x10), 0x0f, 0x22, 0xe3], [[F.EXCEPTION_BITMAP, 1 << 13]]],
  [
    'cr0shadow',
    [...mov(0, 0x10019), 0x0f, 0x22, 0xc0, H],
    [
      [F.CR0_GUEST_HOST_MASK, 0x80000021],
      [F.CR0_READ_SHADOW, 1],
    ],
  ],
  [
    'clts',
    [0x0f, 0x06],
    [
      [F.CR0_GUEST_HOST_MASK, 8],
      [F.CR0_READ_SHADOW, 8],
    ],
  ],
  [
    'clts2',
    [0x0f, 0x06, H],
    [
      [F.CR0_GUEST_HOST_MASK, 8],
      [F.GUEST_CR0, 0x80010039],
    ],
  ],
  ['lmsw', [...mov(0, 0xabc3), 0x0f, 0x01, 0xf0], [[F.CR0_GUEST_HOST_MASK, 2]]],
  ['lmswmem', [...movesi(AT.stack), 0x0f, 0x01, 0x36], [[F.CR0_GUEST_HOST_MASK, 2]], [[AT.stack, 2]]],
  ['lmswpe', [...mov(0, 1), 0x0f, 0x01, 0xf0, H], [[F.CR0_GUEST_HOST_MASK, 1]]],
  ['inimm', [0xe5, 0x60], [], [[AT.ioA + 0xc, 2]]],
  ['outdx', [0x66, 0xba, 1, 0x80, 0xee], [], [[AT.ioB, 2]]],
  ['inwrap', [0x66, 0xba, 0xff, 0xff, 0x66, 0xed]],
  [
    'repouts',
    [...mov(2, 0x3f8), ...mov(1, 3), ...movesi(AT.stack), 0xf3, 0x64, 0x6e],
    [[F.GUEST_FS_BASE, 0x100]],
    [[AT.ioA + 0x7c, 1 << 24]],
  ],
  ['insd', [...mov(2, 0x60), ...mov(7, AT.stack), 0x6d], [], [[AT.ioA + 0xc, 1]]],
  ['repins0', [...mov(2, 0x60), ...mov(1, 0), 0xf3, 0x6d, H], [], [[AT.ioA + 0xc, 1]]],
  ['unio', [0xe6, 0x80], [[PRIM, (P | (1 << 24)) & ~(1 << 25)]]],
  ['rdmsr', [...mov(1, 0x10), 0x0f, 0x32], [], [[AT.msrBitmap, 1 << 16]]],
  ['wrmsrhi', [...mov(1, 0xc0000081), 0x0f, 0x30], [], [[AT.msrBitmap + 0xc10, 2]]],
  ['rdmsrout', [...mov(1, 0x2000), 0x0f, 0x32]],
  ['ud2', [0x0f, 0x0b], [[F.EXCEPTION_BITMAP, 1 << 6]]],
  ['pf', [...movesi(0x800004), 0x89, 0x06], [[F.EXCEPTION_BITMAP, 1 << 14]]],
  [
    'pfmatch',
    [...movesi(0x800004), 0x89, 0x06],
    [
      [F.EXCEPTION_BITMAP, 0],
      [F.PAGE_FAULT_ERROR_CODE_MASK, 2],
    ],
  ],
  [
    'pfnomatch',
    [...movesi(0x800004), 0x89, 0x06],
    [
      [F.EXCEPTION_BITMAP, 1 << 14],
      [F.PAGE_FAULT_ERROR_CODE_MASK, 2],
    ],
    gate(14),
  ],
  ['int3', [0xcc], [[F.EXCEPTION_BITMAP, -1]]],
  ['into', [0xb0, 0x7f, 0x04, 1, 0xce], [[F.EXCEPTION_BITMAP, -1]]],
  ['intn', [0xcd, 0x40], [[F.EXCEPTION_BITMAP, -1]], gate(0x40)],
  ['intnnp', [0x90, 0xcd, 0x40], [[F.EXCEPTION_BITMAP, 1 << 11]], gate(0x40, 0x28000, 0x0e00)],
  ['intngp', [0x90, 0xcd, 0x40], [[F.EXCEPTION_BITMAP, 1 << 13]]],
  ['df', [0x0f, 0x0b], [[F.EXCEPTION_BITMAP, 1 << 8]]],
  ['triple', [0x0f, 0x0b]],
  [
    'taskgate',
    [0xcd, 0x40],
    [],
    [
      [AT.idt + 0x200, 0x180000],
      [AT.idt + 0x204, 0x8500],
      [AT.gdt + 0x1c, 0x8902],
    ],
  ],
  ['taskjmp', [0xea, 0, 0, 0, 0, 0x18, 0], [], [[AT.gdt + 0x1c, 0x8902]]],
  [
    'inj',
    [0x90, H],
    [
      [V, 0x80000020],
      [F.GUEST_RFLAGS, 0x202],
    ],
    gate(0x20),
  ],
  [
    'injpf',
    [H],
    [
      [V, 0x80000b0e],
      [F.VM_ENTRY_EXCEPTION_ERROR_CODE, 7],
      [F.EXCEPTION_BITMAP, 1 << 14],
    ],
    gate(14),
  ],
  [
    'injsw',
    [H],
    [
      [V, 0x80000440],
      [F.VM_ENTRY_INSTRUCTION_LENGTH, 2],
    ],
    gate(0x40),
  ],
  [
    'injswfault',
    [H],
    [
      [V, 0x80000440],
      [F.VM_ENTRY_INSTRUCTION_LENGTH, 2],
      [F.EXCEPTION_BITMAP, 1 << 13],
    ],
  ],
  [
    'injfault',
    [H],
    [
      [V, 0x80000030],
      [F.GUEST_RFLAGS, 0x202],
      [F.EXCEPTION_BITMAP, 1 << 13],
    ],
  ],
  [
    'injexcfault',
    [H],
    [
      [V, 0x80000b0d],
      [F.EXCEPTION_BITMAP, (1 << 13) | (1 << 8)],
    ],
  ],
  [
    'injint3',
    [H],
    [
      [V, 0x80000603],
      [F.VM_ENTRY_INSTRUCTION_LENGTH, 1],
    ],
    gate(3),
  ],
  [
    'injhlt',
    [H],
    [
      [V, 0x80000020],
      [F.GUEST_RFLAGS, 0x202],
      [F.GUEST_ACTIVITY_STATE, 1],
    ],
    gate(0x20),
  ],
  ['sticpuid', [0xfb, 0x0f, 0xa2]],
  ['movsscpuid', [0x8c, 0xd0, 0x8e, 0xd0, 0x0f, 0xa2]],
  ['intwin', [0x90, 0xfb, 0x90, 0x90], [[PRIM, P | 4]]],
  [
    'intwinat',
    [0x90],
    [
      [PRIM, P | 4],
      [F.GUEST_RFLAGS, 0x202],
    ],
  ],
  [
    'nmiwin',
    [0x9c, 0x0e, 0x68, 9, 0, 2, 0, 0x90, 0xcf, 0x90],
    [
      [PIN, 0x3f],
      [PRIM, P | (1 << 22)],
      [F.GUEST_INTERRUPTIBILITY_STATE, 8],
    ],
  ],
  ['timer0', [0x40], [[PIN, 0x5f]]],
  ['vmcall', [0x0f, 0x01, 0xc1]],
  ['vmcall3', [0x0f, 0x01, 0xc1], ring3, pd3],
  ['vmclear', [0x66, 0x0f, 0xc7, 0x76, 0x10]],
  ['vmptrld', [0x0f, 0xc7, 0x34, 0x9e]],
  ['vmread', [0x0f, 0x78, 0xd8]],
  ['vmreadm', [0x64, 0x0f, 0x78, 0x1e]],
  ['vmwrite', [0x0f, 0x79, 0xd8]],
  ['vmxon', [0xf3, 0x0f, 0xc7, 0x36]],
  ['vmxoff', [0x0f, 0x01, 0xc4]],
  ['invept', [0x66, 0x0f, 0x38, 0x80, 0x0c, 0x9e]],
  ['invvpid', [0x66, 0x0f, 0x38, 0x81, 0x0e]],
  ['vmlaunch3', [0x0f, 0x01, 0xc2], ring3, pd3],
  ['hlt3', [H], [...ring3, [F.EXCEPTION_BITMAP, 1 << 13]], pd3],
  ['cpuid3', [0x0f, 0xa2], ring3, pd3],
  ['in3', [0xe4, 0x60], [...ring3, [F.EXCEPTION_BITMAP, 1 << 13]], [...pd3, [AT.ioA + 0xc, 1]]],
  ['rdmsr3', [0x0f, 0x32], [...ring3, [F.EXCEPTION_BITMAP, 1 << 13]], pd3],
  ['eptwrite', [...movesi(AT.stack + 16), 0x40, 0x89, 0x06, H], [], [...ept4k, ...eptEntry(AT.stack, AT.stack | 0x35)]],
  ['eptread', [...movesi(AT.stack + 16), 0x8b, 0x06, H], [], [...ept4k, ...eptEntry(AT.stack, 0)]],
  ['eptrmw', [...movesi(AT.stack + 16), 0xff, 0x06, H], [], [...ept4k, ...eptEntry(AT.stack, AT.stack | 0x31)]],
  ['eptexec', [...mov(0, AT.stack), 0xff, 0xe0], [], [...ept4k, ...eptEntry(AT.stack, AT.stack | 0x33)]],
  ['eptpt', [0x90], [], [...ept4k, ...eptEntry(AT.directory, 0)]],
  ['eptmis', [...movesi(AT.stack + 16), 0x8b, 0x06, H], [], [...ept4k, ...eptEntry(AT.stack, AT.stack | 0x36)]],
  ['eptdeliver', [0x0f, 0x0b], [], [...ept4k, ...gate(6), ...eptEntry(AT.stack - 4096, 0)]],
  [
    'eptinj',
    [H],
    [
      [V, 0x80000020],
      [F.GUEST_RFLAGS, 0x202],
    ],
    [...ept4k, ...gate(0x20), ...eptEntry(AT.idt, 0)],
  ],
  ['eptpush', [0x50, H], [], [...ept4k, ...eptEntry(AT.stack - 4096, (AT.stack - 4096) | 0x31)]],
  ['eptcall', [0xe8, 0, 0, 0, 0, H], [], [...ept4k, ...eptEntry(AT.stack - 4096, 0)]],
  [
    'real',
    [0xb8, 0x34, 0x12, 0xcd, 0x21],
    real,
    [
      [0x22000 + 0x84, 0x20000100],
      [0x20100, 0xf443],
    ],
  ],
  ['realgp', [0xcd, 0x21], [...real, [F.GUEST_IDTR_LIMIT, 3], [F.EXCEPTION_BITMAP, 1 << 13]]],
  [
    'realinj',
    [H],
    [...real, [V, 0x80000021], [F.GUEST_RFLAGS, 0x202]],
    [
      [0x22000 + 0x84, 0x20000100],
      [0x20100, 0xf443],
    ],
  ],
  ['realio', [0xe4, 0x60], real, [[AT.ioA + 0xc, 1]]],
  ['realcr0', [0x0f, 0x20, 0xc0, 0x66, 0x83, 0xc8, 1, 0x0f, 0x22, 0xc0, H], real],
  ['realud', [0x0f, 0x01, 0xc2], [...real, [F.EXCEPTION_BITMAP, 1 << 6]]],
  ['realvmcall', [0x0f, 0x01, 0xc1], real],
  [
    'dbl',
    [0x0f, 0x0b],
    [
      [F.GUEST_IDTR_LIMIT, 0x2f],
      [F.EXCEPTION_BITMAP, 1 << 13],
    ],
  ],
  [
    'fetch-beyond-limit',
    [0x0f, 0xa2],
    [
      [F.GUEST_CS_LIMIT, 0x20000],
      [F.GUEST_CS_ACCESS_RIGHTS, 0x409b],
      [F.EXCEPTION_BITMAP, 1 << 13],
    ],
  ],
  [
    'msrload',
    [H],
    [
      [F.VM_ENTRY_MSR_LOAD_COUNT, 2],
      [F.VM_ENTRY_MSR_LOAD_ADDRESS, AT.msrArea],
    ],
    [
      [AT.msrArea, 0x10],
      [AT.msrArea + 16, 0xc0000100],
    ],
  ],
  ['bound', [...mov(0, 5), ...movesi(AT.stack), 0x62, 0x06], [[F.EXCEPTION_BITMAP, 1 << 5]]],
  ['de', [0x31, 0xc9, 0xf7, 0xf1], [[F.EXCEPTION_BITMAP, 1]]],
  [
    'ss',
    [...mov(5, 0x100), 0x8b, 0x45, 0],
    [
      [F.EXCEPTION_BITMAP, 1 << 12],
      [F.GUEST_SS_LIMIT, 0xff],
      [F.GUEST_SS_ACCESS_RIGHTS, 0x4093],
    ],
  ],
  ['nullds', [0x31, 0xc0, 0x8e, 0xd8, 0x8b, 0x00], [[F.EXCEPTION_BITMAP, 1 << 13]]],
  ['lmsweg', [0x0f, 0x01, 0xe1, H], [[F.CR0_GUEST_HOST_MASK, 0x20]]],
  ['injnmi', [H], [[V, 0x80000202]], gate(2)],
];
