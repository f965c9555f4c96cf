import { execFile } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { planRun, type RunPlan } from '../../src/cli/plan.ts';
import { Consoles } from '../../src/cli/serial.ts';

export const ROOT = join(import.meta.dirname, '..', '..');
const MULTIBOOT =
  'bits 32\norg 0x100000\ndd 0x1badb002, 0x10000, -0x1badb002 - 0x10000, 0x100000, 0x100000, 0, 0, start\n';

export const folder = (): string => mkdtempSync(join(tmpdir(), 'ringlet-cli-'));

/** Writes a multiboot kernel with this code at `start`, and returns its path. */
export function kernel(name: string, code: string, where = folder()): string {
  const path = join(where, `${name}.asm`);
  writeFileSync(path, `${MULTIBOOT}start:\n${code}\n`);
  return path;
}

/** Switches the machine off. */
export const POWER_OFF = 'mov dx, 0x604\nmov ax, 0x2000\nout dx, ax\n';

/** Echoes serial input in upper case by interrupt, and counts in between how often it woke up; a full stop ends it. */
export const ECHO = `
        mov esp, 0x9000
        lgdt [gdtr]
        jmp 8:.go
.go:    mov eax, 16
        mov ds, ax
        mov ss, ax
        mov eax, handler
        mov [idt+36*8], ax
        shr eax, 16
        mov [idt+36*8+6], ax
        mov word [idt+36*8+2], 8
        mov word [idt+36*8+4], 0x8e00
        lidt [idtr]
        mov al, 0x11
        out 0x20, al
        mov al, 0x20
        out 0x21, al
        mov al, 4
        out 0x21, al
        mov al, 1
        out 0x21, al
        mov al, 0xef
        out 0x21, al
        mov dx, 0x3f9
        mov al, 1
        out dx, al
.idle:  sti
        hlt
        inc dword [0x8000]
        jmp .idle
handler: pusha
.more:  mov dx, 0x3fd
        in al, dx
        test al, 1
        jz .done
        mov dx, 0x3f8
        in al, dx
        cmp al, '.'
        je off
        and al, 0xdf
        out dx, al
        jmp .more
.done:  mov al, 0x20
        out 0x20, al
        popa
        iret
off:    ${POWER_OFF}
align 8
gdt:    dq 0, 0x00cf9a000000ffff, 0x00cf92000000ffff
gdtr:   dw 23
        dd gdt
idtr:   dw 37*8-1
        dd idt
idt:    times 37*8 db 0`;

/** A run whose output ends in a string. */
export function captured(plan: RunPlan): { consoles: Consoles; output: () => string } {
  let text = '';
  const prefixes = plan.vms.map((vm) => (plan.vms.length === 1 ? null : `${vm.name}: `));
  const consoles = new Consoles(
    prefixes,
    (bytes) => {
      text += Buffer.from(bytes).toString('latin1');
    },
    plan.expect,
  );
  return { consoles, output: () => text };
}

export const planOf = (image: string, mode: 'bare' | 'nested', options: Record<string, string> = {}): RunPlan =>
  planRun([{ image, options: { memory: '4M' } }], { mode, ...options });

export interface Finished {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the real command line. */
export function ringlet(words: readonly string[], input = ''): Promise<Finished> {
  return new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      ['--import', 'tsx', join(ROOT, 'src', 'cli', 'main.ts'), ...words],
      { cwd: ROOT, timeout: 60_000 },
      (error, stdout, stderr) => resolve({ status: error === null ? 0 : Number(error.code), stdout, stderr }),
    );
    child.stdin?.on('error', () => {}); // it may be gone before it has read
    child.stdin?.end(input);
  });
}
