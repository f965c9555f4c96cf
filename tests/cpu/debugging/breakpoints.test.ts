/** Debug registers and breakpoints (SDM Vol. 3, "Debug Registers", "Debug Exceptions"; Vol. 2, "MOV—Move to/from Debug Registers"). */
import { expect, test } from 'vitest';
import { CR4, DR6, DR7 } from '../../../src/base/registers.ts';
import { restoreCpu, saveCpu } from '../../../src/cpu/persist.ts';
import { Debuggee, HANDLER } from './debuggee.ts';

const load = (register: string, value: string): string => `mov eax, ${value}\nmov ${register}, eax\n`;
const trace = (source: string, prepare: (p: Debuggee) => void = () => {}): string[] => {
  const p = new Debuggee();
  prepare(p);
  return p.trace(source);
};
const withDe = (p: Debuggee): void => {
  p.S[CR4] |= 8;
};
const OFF = load('dr7', '0');

test('after reset DR6 is FFFF0FF0h and DR7 400h', () => {
  const p = new Debuggee();
  expect([p.S[DR6] >>> 0, p.S[DR7]]).toEqual([0xffff_0ff0, 0x400]);
});

test('reserved bits of DR6 and DR7 keep their values; DR0 to DR3 take all', () => {
  const p = new Debuggee();
  p.trace(
    'xor eax, eax\nmov dr6, eax\nmov dr7, eax\nmov ebx, dr6\nmov ecx, dr7\ndec eax\nmov dr6, eax\nmov edx, dr6\nmov dr2, eax\nmov esi, dr2',
  );
  expect([p.get('ebx'), p.get('ecx'), p.get('edx'), p.get('esi')]).toEqual([
    0xffff_0ff0, 0x400, 0xffff_efff, 0xffff_ffff,
  ]);
});

test('DR4 and DR5 are DR6 and DR7 while CR4.DE is 0, and do not exist while it is 1', () => {
  const p = new Debuggee();
  p.trace('mov eax, 200h\nmov dr5, eax\nmov ebx, dr7\nmov ecx, dr4');
  expect([p.get('ebx'), p.get('ecx')]).toEqual([0x600, 0xffff_0ff0]);
  expect(trace('x: mov eax, dr4', withDe)).toEqual(['6@x rf']);
  expect(trace('x: mov dr5, eax', withDe)).toEqual(['6@x rf']);
});

test('at CPL 3 MOV of a debug register is #GP', () => {
  expect(trace('x: mov eax, dr0', (p) => p.enterRing3())).toEqual(['13@x rf']);
});

test('with GD set the next MOV of a debug register is a fault with BD, and GD is clear in its handler', () => {
  const source = `jmp start
db: mov ebx, dr7
  iretd
start: ${load('dr7', '2000h')} x: mov ecx, dr0\ny: nop`;
  const p = new Debuggee();
  expect(p.trace(source)).toEqual(['1@x BD rf']);
  expect(p.get('ebx')).toBe(0x400);
});

test('an instruction breakpoint is a fault before it, pushed without RF; with RF set it does not hit again', () => {
  const source = `jmp start\n${HANDLER}\nstart: ${load('dr0', 'x')}${load('dr7', '1')}mov ecx, 2\nx: nop\ny: dec ecx\njnz x\n${OFF}`;
  expect(trace(source)).toEqual(['1@x B0', '1@x B0']);
});

test('of an instruction with a breakpoint and a fault, the breakpoint comes first; the fault returns past it', () => {
  const source = `jmp start\n${HANDLER}
gp: add esp, 4
  mov word [bad], 16
  iretd
start: ${load('dr3', 'x')}${load('dr7', '40h')}
x: mov fs, [bad]
y: ${OFF}
  jmp end
bad: dd 0fff8h`;
  expect(trace(source)).toEqual(['1@x B3', '13@x rf']);
});

test('a breakpoint on a repeated string instruction hits once, though each iteration traps on the data that it writes', () => {
  const source = `jmp start\n${HANDLER}\nstart: ${load('dr0', 'x')}${load('dr1', '8001h')}${load('dr7', '00100005h')}mov ecx, 3\nmov edi, 8000h
x: rep stosb\ny: ${OFF}`;
  expect(trace(source)).toEqual(['1@x B0', '1@x B1 rf']);
});

test('a data breakpoint on writes traps after the write, one on reads and writes after both', () => {
  const source = `jmp start\n${HANDLER}
start: ${load('dr0', '8004h')}${load('dr1', '8008h')}${load('dr7', '0FD0005h')}
a: mov [8004h], eax
b: mov eax, [8004h]
c: mov eax, [8008h]
d: mov [8008h], al
e: mov [8003h], al
f: mov [8003h], ax
g: mov [8008h + 4], eax
h: ${OFF}`;
  // DR7: R/W0 = 01, LEN0 = 11 (4 bytes); R/W1 = 11, LEN1 = 11
  expect(trace(source)).toEqual(['1@b B0', '1@d B1', '1@e B1', '1@g B0']);
});

test('the address is taken with the low bits that LEN covers as 0, and any byte in common counts', () => {
  const source = `jmp start\n${HANDLER}
start: ${load('dr2', '8007h')}${load('dr7', '07000020h')}
a: mov eax, [8005h]
b: mov ax, [8005h]
c: mov al, [8008h]
d: mov ax, [8007h]
e: ${OFF}`;
  // R/W2 = 11, LEN2 = 01: bytes 8006h and 8007h
  expect(trace(source)).toEqual(['1@b B2', '1@c B2', '1@e B2']);
});

test('an access across two pages hits in the second', () => {
  const source = `jmp start\n${HANDLER}\nstart: ${load('dr0', '9000h')}${load('dr7', '30002h')}
a: mov [8ffeh], eax
b: mov [8ffch], eax
c: ${OFF}`;
  expect(trace(source)).toEqual(['1@b B0']);
});

test('pushes, pops and read-modify-write instructions hit too', () => {
  const source = `jmp start\n${HANDLER}\nstart: ${load('dr0', '8000h')}${load('dr7', '0F0001h')}
a: inc dword [8000h]
b: push dword [8000h]
c: pop dword [8000h]
d: mov ebp, esp
  mov esp, 8004h
  push eax
e: mov esp, ebp
  ${OFF}`;
  expect(trace(source)).toEqual(['1@b B0', '1@c B0', '1@d B0', '1@e B0']);
});

test('a faulting instruction makes no trap', () => {
  const source = `jmp start\n${HANDLER}\ngp: add esp, 4\nmov dword [esp], b\niretd\nstart: ${load('dr0', '8000h')}${load('dr7', '0F0001h')}
  mov word [8000h], 0fff8h
a: mov fs, [8000h]
b: ${OFF}`;
  expect(trace(source)).toEqual(['1@a B0', '13@a rf']);
});

test('single step and breakpoints of one instruction make one exception', () => {
  const source = `jmp start\n${HANDLER}\nstart: ${load('dr0', '8000h')}${load('dr7', '0F0001h')}
  pushfd\nor dword [esp], 100h\npopfd
a: mov [8000h], eax
b: pushfd\nand dword [esp], ~100h\npopfd
c: ${OFF}`;
  expect(trace(source)[0]).toBe('1@b B0+BS');
});

test('BS stays in DR6 until software clears it, B0 to B3 are those of the last exception', () => {
  const source = `jmp start\ndb: iretd\nstart: ${load('dr1', '8000h')}${load('dr7', '0F00004h')}
  pushfd\nor dword [esp], 100h\npopfd
a: nop
b: pushfd\nand dword [esp], ~100h\npopfd
c: mov [8000h], eax
d: nop`;
  const events = trace(source);
  expect(events[0]).toBe('1@b BS');
  expect(events.at(-1)).toBe('1@d B1+BS');
});

test('an I/O breakpoint traps after IN, OUT and each INS or OUTS that touches its ports, with CR4.DE only', () => {
  const source = `jmp start\n${HANDLER}\nstart: ${load('dr0', '0E2h')}${load('dr7', '00060001h')}
a: in al, 0E3h
b: out 0E1h, ax
c: out 0E4h, al
  mov dx, 0E2h
  mov edi, 8000h
  mov esi, 8000h
  mov ecx, 2
d: rep outsb
e: insb
f: ${OFF}`;
  // R/W0 = 10, LEN0 = 01: ports E2h and E3h
  expect(trace(source, withDe)).toEqual(['1@b B0', '1@c B0', '1@d B0 rf', '1@e B0', '1@f B0']);
  expect(trace(source)).toEqual([]);
});

test('INT1 is a debug exception of its own kind: DR6 says nothing, the return address is behind it', () => {
  expect(trace(`jmp start\n${HANDLER}\nstart: nop\nx: db 0f1h\ny: nop`)).toEqual(['1@x>y ']);
});

test('a data breakpoint met by MOV SS waits until the next instruction is done, be it INT n', () => {
  const source = `jmp start\n${HANDLER}\nvector16: nop\nh: iretd
start: mov word [8000h], 16
  ${load('dr0', '8000h')}${load('dr7', '0F0001h')}
a: mov ss, [8000h]
b: nop
c: mov ss, [8000h]
d: int 16
e: ${OFF}`;
  expect(trace(source)).toEqual(['1@c B0', '16@d>e', '1@vector16 B0']);
});

test('an instruction breakpoint behind MOV SS does not hit', () => {
  const source = `jmp start\n${HANDLER}\nstart: ${load('dr0', 'x')}${load('dr7', '1')}mov ax, ss\nmov ss, ax\nx: nop\n${OFF}`;
  expect(trace(source)).toEqual([]);
});

test('a breakpoint that is armed while code runs is met although the code was decoded, and its page in use, before', () => {
  const source = `jmp start\n${HANDLER}
start: mov ecx, 40
x: mov [8000h], ecx
  dec ecx
  jnz x
  ${load('dr0', '8000h')}${load('dr1', 'x')}${load('dr7', '0D0005h')}
  mov ecx, 2
  cmp ebx, 0
  jne done
  inc ebx
  jmp x
done: ${OFF}`;
  expect(trace(source)).toEqual(['1@x B1', '1@x+6 B0', '1@x B1', '1@x+6 B0']);
});

test('saved and restored after each instruction, a processor meets the same', () => {
  const source = `jmp start\n${HANDLER}\nstart: ${load('dr0', '8001h')}${load('dr1', 'x')}${load('dr7', '00010005h')}
  mov word [8004h], 16
  mov edi, 8000h\nmov ecx, 3
  pushfd\nor dword [esp], 100h\npopfd
x: rep stosb
y: mov ss, [8004h]
  mov [8001h], al
  pushfd\nand dword [esp], ~100h\npopfd
z: ${OFF}`;
  const p = new Debuggee();
  const events = p.trace(source, () => restoreCpu(p.cpu, JSON.parse(JSON.stringify(saveCpu(p.cpu)))));
  expect(events).toEqual(trace(source));
  expect(events).toContain('1@x B0+BS rf');
  const state = saveCpu(p.cpu);
  expect(() => restoreCpu(p.cpu, { ...state, dr7: 0 })).toThrow('cpu.dr7');
  expect(() => restoreCpu(p.cpu, { ...state, dr6: 0 })).toThrow('cpu.dr6');
  expect(() => restoreCpu(p.cpu, { ...state, pendingDebug: 0x10 })).toThrow('cpu.pendingDebug');
});
