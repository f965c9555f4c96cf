/** Dumps in the format of Linux's `dump_vmcs`, written for this test. */
import { expect, test } from 'vitest';
import { explainEntry } from '../../../src/vmx/explain/entry.ts';
import { explainExit } from '../../../src/vmx/explain/exit.ts';
import { isKvmDump, parseKvmDump } from '../../../src/vmx/explain/kvm.ts';
import * as F from '../../../src/vmx/fields.ts';

/** A real-mode guest whose CS base does not fit virtual-8086 mode: as a processor without unrestricted guest refuses it. */
const DUMP = `
VMCS 00000000c0ffee00, last attempted VM-entry on CPU 1
*** Guest State ***
CR0: actual=0x0000000080010031, shadow=0x0000000060000010, gh_mask=fffffffffffffff7
CR4: actual=0x0000000000002061, shadow=0x0000000000000000, gh_mask=ffffffffffffe8f1
CR3 = 0x00000000feffc000
RSP = 0x0000000000006f00  RIP = 0x0000000000001234
RFLAGS=0x00023202         DR7 = 0x0000000000000400
Sysenter RSP=0000000000000000 CS:RIP=0000:0000000000000000
CS:   sel=0x1000, attr=0x000f3, limit=0x0000ffff, base=0x0000000000010000
DS:   sel=0x0040, attr=0x000f3, limit=0x0000ffff, base=0x0000000000000404
SS:   sel=0x0000, attr=0x000f3, limit=0x0000ffff, base=0x0000000000000000
ES:   sel=0x0000, attr=0x000f3, limit=0x0000ffff, base=0x0000000000000000
FS:   sel=0x0000, attr=0x000f3, limit=0x0000ffff, base=0x0000000000000000
GS:   sel=0x0000, attr=0x000f3, limit=0x0000ffff, base=0x0000000000000000
GDTR:                           limit=0x00000030, base=0x00000000000fd6a8
LDTR: sel=0x0000, attr=0x00082, limit=0x0000ffff, base=0x0000000000000000
IDTR:                           limit=0x000003ff, base=0x0000000000000000
TR:   sel=0x0000, attr=0x0008b, limit=0x00002088, base=0x00000000feffd000
EFER= 0x0000000000000000
DebugCtl = 0x0000000000000000  DebugExceptions = 0x0000000000000000
Interruptibility = 00000000  ActivityState = 00000000
*** Host State ***
RIP = 0xffffffffc0a01230  RSP = 0xffffb0a0c0d0fc98
CS=0010 SS=0018 DS=0000 ES=0000 FS=0000 GS=0000 TR=0040
FSBase=00007f00aabbc700 GSBase=ffff9c001fc40000 TRBase=fffffe0000049000
GDTBase=fffffe0000047000 IDTBase=fffffe0000000000
CR0=0000000080050033 CR3=000000010a1c8003 CR4=00000000003726e0
Sysenter RSP=fffffe0000049000 CS:RIP=0010:ffffffff82001a40
EFER= 0x0000000000000d01
*** Control State ***
CPUBased=0xb5a06dfa SecondaryExec=0x0000002a TertiaryExec=0x0000000000000000
PinBased=0x0000007f EntryControls=000051ff ExitControls=002befff
ExceptionBitmap=00060042 PFECmask=00000000 PFECmatch=00000000
VMEntry: intr_info=00000000 errcode=00000000 ilen=00000000
VMExit: intr_info=00000000 errcode=00000000 ilen=00000003
        reason=80000021 qualification=0000000000000000
IDTVectoring: info=00000000 errcode=00000000
TSC Offset = 0xffffc0ffee000001
TPR Threshold = 0x00
APIC-access addr = 0x00000000feed0000 virt-APIC addr = 0x00000001beef0000
EPT pointer = 0x000000010203405e
Virtual processor ID = 0x0003
`;

test('what the lines say becomes known', () => {
  const image = parseKvmDump(DUMP);
  const values: readonly (readonly [number, number])[] = [
    [F.GUEST_CR0, 0x8001_0031],
    [F.CR0_READ_SHADOW, 0x6000_0010],
    [F.GUEST_RIP, 0x1234],
    [F.GUEST_RFLAGS, 0x2_3202],
    [F.GUEST_CS_SELECTOR, 0x1000],
    [F.GUEST_DS_BASE, 0x404],
    [F.GUEST_TR_ACCESS_RIGHTS, 0x8b],
    [F.GUEST_GDTR_LIMIT, 0x30],
    [F.GUEST_IDTR_LIMIT, 0x3ff],
    [F.HOST_CS_SELECTOR, 0x10],
    [F.HOST_TR_SELECTOR, 0x40],
    [F.PIN_BASED_VM_EXECUTION_CONTROLS, 0x7f],
    [F.PRIMARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS, 0xb5a0_6dfa],
    [F.SECONDARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS, 0x2a],
    [F.VM_EXIT_CONTROLS, 0x2b_efff],
    [F.EXIT_REASON, 0x8000_0021],
    [F.VM_EXIT_INSTRUCTION_LENGTH, 3],
    [F.VIRTUAL_PROCESSOR_IDENTIFIER, 3],
  ];
  for (const [field, value] of values)
    expect([field.toString(16), image.low(field) >>> 0]).toEqual([field.toString(16), value]);
  expect(image.wide(F.HOST_RIP)).toEqual({ lo: 0xc0a0_1230 | 0, hi: -1 });
  expect(image.knows(F.VM_ENTRY_MSR_LOAD_COUNT)).toBe(false);
});

test('the row that the processor found is found, with the change that helps', () => {
  const image = parseKvmDump(DUMP);
  const explained = explainEntry(image);
  expect(explained).toMatchObject({ outcome: 'exit', number: 33 });
  expect(explained.rows.map(({ id }) => id)).toEqual(['guest.ds.base-8086']);
  expect(explained.nearest).toMatchObject([{ name: 'GUEST_DS_BASE', from: { lo: 0x404 }, to: { lo: 0x400 } }]);
  // the host is a 64-bit one, and values of such a size are not judged by rules for 32 bits
  expect(explained.rows.some(({ stage }) => stage === 'host')).toBe(false);
  expect(explained.text.join('\n')).toMatch(/rules could not be judged/);
  expect(explainExit(image)).toMatchObject({ reason: 33, entryFailed: true });
});

test.each([
  ['time stamps', (line: string) => `[  673.850218] ${line}`],
  ['time stamps and threads', (line: string) => `[28041.728432][T78789] ${line}`],
  ['the name of the module', (line: string) => `[  673.850218] kvm_intel: ${line}`],
  ['what syslog puts in front', (line: string) => `Sep  8 22:52:20 host kernel: [10639.238026] ${line}`],
  ['carriage returns', (line: string) => `${line}\r`],
])('prefixes do not matter: %s', (_, prefix) => {
  const text = DUMP.split('\n').map(prefix).join('\n');
  expect(isKvmDump(text)).toBe(true);
  expect(parseKvmDump(text).words).toEqual(parseKvmDump(DUMP).words);
});

test('older kernels put the controls on other lines', () => {
  const older = DUMP.replace(
    /CPUBased=.*\n.*\n/,
    'PinBased=0000007f CPUBased=b5a06dfa SecondaryExec=0000002a\nEntryControls=000051ff ExitControls=002befff\n',
  );
  expect(older).not.toBe(DUMP);
  expect(parseKvmDump(older).words).toEqual(parseKvmDump(DUMP).words);
});

test('the last of several dumps counts', () => {
  const first = DUMP.replace('RIP = 0x0000000000001234', 'RIP = 0x0000000000009999');
  expect(parseKvmDump(first + DUMP).low(F.GUEST_RIP)).toBe(0x1234);
});

test('Xen prints its segments in a table', () => {
  const xen = `(XEN) *** Guest State ***
(XEN) CR0: actual=0x0000000080050033, shadow=0x0000000080050033, gh_mask=ffffffffffffffff
(XEN)        sel  attr  limit   base
(XEN)   CS: 0010 0a09b ffffffff 0000000000000000
(XEN)   TR: 0040 0008b 00002087 0000000000001000`;
  const image = parseKvmDump(xen);
  expect([image.low(F.GUEST_CS_SELECTOR), image.low(F.GUEST_TR_LIMIT)]).toEqual([0x10, 0x2087]);
});

test.each(['', 'nothing here', '*** Guest State ***\n'])('%j is refused', (text) => {
  expect(() => parseKvmDump(text)).toThrow(/VMCS dump/);
});

/** A valid 64-bit guest of a 64-bit host with all the controls that KVM uses. */
const GUEST_64 = `*** Guest State ***
CR0: actual=0x0000000080050033, shadow=0x0000000080050033, gh_mask=fffffffffffefff7
CR4: actual=0x00000000003726f0, shadow=0x00000000003706f0, gh_mask=fffffffffffef871
CR3 = 0x0000000100aa1000
RSP = 0xffffc900000c7eb0  RIP = 0xffffffff81a2b3c4
RFLAGS=0x00000246         DR7 = 0x0000000000000400
Sysenter RSP=fffffe0000002200 CS:RIP=0010:ffffffff82001a40
CS:   sel=0x0010, attr=0x0a09b, limit=0xffffffff, base=0x0000000000000000
DS:   sel=0x0000, attr=0x1c001, limit=0xffffffff, base=0x0000000000000000
SS:   sel=0x0018, attr=0x0c093, limit=0xffffffff, base=0x0000000000000000
ES:   sel=0x0000, attr=0x1c001, limit=0xffffffff, base=0x0000000000000000
FS:   sel=0x0000, attr=0x1c001, limit=0xffffffff, base=0x0000000000000000
GS:   sel=0x0000, attr=0x1c001, limit=0xffffffff, base=0xffff88807dc00000
GDTR:                           limit=0x0000007f, base=0xfffffe0000001000
LDTR: sel=0x0000, attr=0x1c000, limit=0xffffffff, base=0x0000000000000000
IDTR:                           limit=0x00000fff, base=0xfffffe0000000000
TR:   sel=0x0040, attr=0x0008b, limit=0x00004087, base=0xfffffe0000003000
EFER= 0x0000000000000d01
PAT = 0x0407050600070106
DebugCtl = 0x0000000000000000  DebugExceptions = 0x0000000000000000
Interruptibility = 00000000  ActivityState = 00000000
InterruptStatus = 0000
*** Host State ***
RIP = 0xffffffffc0a01230  RSP = 0xffffb0a0c0d0fc98
CS=0010 SS=0000 DS=0000 ES=0000 FS=0000 GS=0000 TR=0040
FSBase=00007f00aabbc700 GSBase=ffff9c001fc40000 TRBase=fffffe0000049000
GDTBase=fffffe0000047000 IDTBase=fffffe0000000000
CR0=0000000080050033 CR3=000000010a1c8003 CR4=00000000003726e0
Sysenter RSP=fffffe0000049000 CS:RIP=0010:ffffffff82001a40
EFER= 0x0000000000000d01
PAT = 0x0407050600070106
*** Control State ***
CPUBased=0xb5a06dfa SecondaryExec=0x000237eb TertiaryExec=0x0000000000000000
PinBased=0x000000ff EntryControls=0000d3ff ExitControls=002bffff
ExceptionBitmap=00060042 PFECmask=00000000 PFECmatch=00000000
VMEntry: intr_info=00000000 errcode=00000000 ilen=00000000
VMExit: intr_info=00000000 errcode=00000000 ilen=00000003
        reason=00000030 qualification=0000000000000184
IDTVectoring: info=00000000 errcode=00000000
TSC Offset = 0xffffbe0284927b21
TSC Multiplier = 0x0001000000000000
SVI|RVI = 00|00 TPR Threshold = 0x00
APIC-access addr = 0x0000000e5dfc0000 virt-APIC addr = 0x0000000d2e76c000
PostedIntrVec = 0xf2
EPT pointer = 0x000000105a27005e
PLE Gap=00000080 Window=00001000
Virtual processor ID = 0x0001
`;

test('a valid 64-bit guest is not accused of what only 32-bit processors refuse', () => {
  const explained = explainEntry(parseKvmDump(GUEST_64));
  expect(explained.rows.map(({ id }) => id)).toEqual([]);
  expect(explained.outcome).toBe('enters');
});

test('what is wrong with a 64-bit guest all the same is found', () => {
  const wrong = GUEST_64.replace('RFLAGS=0x00000246', 'RFLAGS=0x00000244').replace('attr=0x0008b', 'attr=0x00089');
  const explained = explainEntry(parseKvmDump(wrong));
  expect(explained.rows.map(({ id }) => id)).toEqual(['guest.tr.type', 'guest.rflags.bit-1']);
});
