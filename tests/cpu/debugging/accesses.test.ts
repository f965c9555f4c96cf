/** Data breakpoints hit whatever makes the access: instructions of the loop, functions of their own, string instructions that go page by
 *  page, far transfers. DR0 stands on reads and writes of the 4 bytes at 8010h, in a page that was in use before; all runs in one go
 *  (SDM Vol. 3, "Data Memory and I/O Breakpoint Exception Conditions"). */
import { expect, test } from 'vitest';
import { Debuggee } from './debuggee.ts';

/** Where the handler leaves how often it ran, and ECX at the last time. */
const COUNT = 0x9100;
const LAST_ECX = 0x9104;

function hits(body: string): { count: number; ecx: number } {
  const p = new Debuggee();
  p.assemble(`jmp start
db: push eax
    xor eax, eax
    mov dr6, eax
    inc dword [${COUNT}]
    mov [${LAST_ECX}], ecx
    pop eax
    iretd
start:
    mov dword [8010h], 12345678h
    mov eax, [8010h]
    mov eax, 8010h
    mov dr0, eax
    mov eax, 0F0001h
    mov dr7, eax
    mov esi, 8000h
    mov edi, 8000h
    mov ebx, 8010h
    mov ecx, 40h
    xor eax, eax
    xor edx, edx
    cld
    ${body}
    xor eax, eax
    mov dr7, eax`);
  p.run(100_000);
  return { count: p.memory.read32(COUNT), ecx: p.memory.read32(LAST_ECX) };
}

test.each([
  ['REP STOSB', 'rep stosb', 4, 0x2c],
  ['REP STOSD', 'rep stosd', 1, 0x3b],
  ['REP LODSB', 'rep lodsb', 4, 0x2c],
  ['REP LODSD backwards', 'lea esi, [8040h]\nstd\nrep lodsd', 1, 0x33],
  ['REP MOVSB from it', 'mov edi, 9200h\nrep movsb', 4, 0x2c],
  ['REP MOVSD to it', 'mov esi, 9200h\nrep movsd', 1, 0x3b],
  ['REPE CMPSB', 'mov edi, 9200h\nmov byte [8013h], 1\nmov word [8010h], 0\nmov byte [8012h], 0\nrepe cmpsb', 7, 0x2c],
  ['REPNE SCASD', 'mov eax, 77h\nrepne scasd', 1, 0x3b],
  ['16-bit addresses', 'mov cx, 20h\na16 rep stosb', 4, 0xc],
])('%s, behind the iteration', (_, body, count, ecx) => {
  expect(hits(body)).toEqual({ count, ecx });
});

test.each([
  ['XLAT', 'mov al, 2\nxlatb'],
  ['CMPXCHG that does not store', 'mov eax, 1\ncmpxchg [ebx], edx'],
  ['CMPXCHG8B', 'cmpxchg8b [ebx - 4]'],
  ['XADD', 'xadd [ebx], eax'],
  ['BTS of a distant bit', 'mov eax, 1Fh\nbts [ebx], eax'],
  ['BT of a distant bit', 'mov eax, 80h\nbt [8000h], eax'],
  ['BSF', 'bsf eax, [ebx]'],
  ['DIV', 'mov dword [9200h], 0\ninc ecx\ndiv dword [ebx]'],
  ['IMUL', 'imul eax, [ebx], 3'],
  ['BOUND', 'mov eax, 5\nmov dword [800Ch], 0\nbound eax, [800Ch]'],
  ['LES', 'mov word [8012h], 10h\nmov dword [800Ch], 0\nmov word [8014h], 10h\nles eax, [ebx - 2]'],
  ['SGDT', 'sgdt [800Ch]'],
  ['SMSW', 'smsw [ebx]'],
  ['SLDT', 'sldt [ebx + 2]'],
  ['MOV of a segment register', 'mov [ebx], ds'],
  ['SETcc', 'sete [ebx + 3]'],
  ['SHLD', 'shld [ebx], eax, 3'],
  ['NOT', 'not byte [ebx + 1]'],
  ['PUSHA', 'mov ebp, esp\nmov esp, 8030h\npushad\nmov esp, ebp'],
  ['POP to memory', 'push eax\npop dword [ebx]'],
  ['ENTER', 'mov edx, esp\nmov ebp, 1234h\nmov esp, 8014h\nenter 8, 0\nmov esp, edx'],
  ['CALL through memory', 'mov dword [9200h], back\nmov edx, esp\nmov esp, 8014h\ncall [9200h]\nback: mov esp, edx'],
  ['PUSHFD', 'mov edx, esp\nmov esp, 8014h\npushfd\nmov esp, edx'],
])('%s', (_, body) => {
  // stores that only make the operand valid lie beside it, or are the first hit
  const first = (body.match(/mov (d?word|byte) \[801[0-3]h\]/g) ?? []).length;
  expect(hits(body).count).toBe(1 + first);
});
