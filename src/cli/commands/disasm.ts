/** `ringlet disasm`. */

import { InvalidInput } from '../../base/errors.ts';
import { disassembleBytes } from '../../cpu/disassemble.ts';
import { readBytes } from '../files.ts';
import { parseAddress } from '../numbers.ts';
import { writeOut } from '../terminal.ts';

export interface DisasmOptions {
  readonly bits: string;
  readonly org: string;
}

/** Bytes that are taken into one write. */
const LINES_AT_ONCE = 4096;

/** Prints a file as a listing: address, bytes, instruction. */
export function disasm(file: string, options: DisasmOptions): void {
  const codeSize = options.bits === '16' ? 2 : options.bits === '32' ? 4 : null;
  if (codeSize === null) throw new InvalidInput(`--bits '${options.bits}' is unknown: use 16 or 32`);
  const org = parseAddress(options.org, '--org');
  const lines = listing(readBytes(file), org, codeSize);
  for (let i = 0; i < lines.length; i += LINES_AT_ONCE) writeOut(`${lines.slice(i, i + LINES_AT_ONCE).join('\n')}\n`);
}

export function listing(bytes: Uint8Array, org: number, codeSize: 2 | 4): string[] {
  return disassembleBytes(bytes, org, codeSize).map((line) => {
    const code = Array.from(line.bytes, (b) => b.toString(16).padStart(2, '0').toUpperCase()).join('');
    return `${line.eip.toString(16).padStart(8, '0').toUpperCase()}  ${code.padEnd(20)}  ${line.text}`;
  });
}
