/** Writes instructions.txt anew: every mnemonic and operand shape with the bytes of the nasm that is installed.
 *  Run it with `npx tsx tests/asm/make-list.ts` after adding rows, and read the difference. */

import { writeFileSync } from 'node:fs';
import { everyForm, Random, sample } from './generator.ts';
import { hexOf, nasm } from './nasm.ts';

const ADDRESSES = {
  16:
    '[bx] [bx+si] [bx+di] [bp+si] [bp+di] [si] [di] [bp] [si+bx] [bp+0] [bx+7fh] [bx+80h] [bx-1] [byte_bx+1] [word_bx+1] ' +
    '[1234h] [es:di] [dword_12345678h] [eax] [eax*2] [esp+4] [bx+0ffffh] [ss:bx+si+1000h] [a32_1234h]',
  32:
    '[eax*2] [nosplit_eax*2] [eax*3] [eax*5] [eax*9] [eax*4] [eax+eax] [eax+ebx] [ebx+eax] [ebx*1+eax] [esp] [ebp] ' +
    '[esp+eax] [eax+esp] [ebp+eax] [eax+ebp] [ebp*2] [esp+4] [ebp+eax*4-80h] [eax+7fh] [eax+80h] [dword_eax+1] [byte_eax] ' +
    '[0] [12345678h] [es:eax] [fs:0] [ss:esp+4] [word_10h] [bx+si] [a16_10h] [eax-1] [eax+0ffffffffh] [eax*8+12345h] ' +
    '[eax*1] [nosplit_eax*1] [2*eax+ebx] [ebx+eax+4+5] [4+ebx+5+eax]',
} as const;

function linesFor(bits: 16 | 32): Set<string> {
  const r = new Random(bits * 7);
  const addresses = ADDRESSES[bits].split(' ').map((address) => address.replace('_', ' '));
  const lines = new Set(addresses.flatMap((address) => [`mov ecx, ${address}`, `lea dx, ${address}`]));
  for (const line of ['mov al, [10h]', 'mov [10h], eax', 'mov ax, [es:10h]']) lines.add(line);
  const seen = new Set<string>();
  for (const { name, form } of everyForm()) {
    // of the condition codes one in all shapes, the others once
    const conditional = /^(J|SET|CMOV)(?!MP|CXZ|ECXZ)/.test(name) && !/^(J|SET|CMOV)Z$/.test(name);
    const { rank, operandSize, slots } = form;
    const key = conditional ? name : JSON.stringify([name, rank, operandSize, slots]);
    if (seen.has(key)) continue;
    seen.add(key);
    for (let n = conditional || slots.length === 0 ? 1 : 2; n > 0; n--)
      lines.add(sample(r, bits, name, form).text.replace('($$+', '($+'));
  }
  return lines;
}

const list: string[] = ['# code size | instruction | bytes, as nasm 2.16 makes them'];
for (const bits of [16, 32] as const)
  for (const line of linesFor(bits)) {
    const bytes = nasm(`bits ${bits}\n${line}\n`);
    if (typeof bytes === 'string') throw new Error(`${bits}: ${line}: ${bytes}`);
    list.push(`${bits} | ${line} | ${hexOf(bytes)}`);
  }
writeFileSync(new URL('./instructions.txt', import.meta.url), `${list.join('\n')}\n`);
