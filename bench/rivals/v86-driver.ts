/** One image on v86, without firmware: node dist/bench/v86-driver.js DIRECTORY IMAGE jit|no-jit. Serial port on standard output. */

import { readFileSync, writeSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

interface V86 {
  add_listener(event: 'serial0-output-byte', listener: (byte: number) => void): void;
}
type V86Constructor = new (options: Readonly<Record<string, unknown>>) => V86;

const [directory = '', file = '', mode = ''] = process.argv.slice(2);
const build = resolve(join(directory, 'node_modules', 'v86', 'build'));
const library = (await import(pathToFileURL(join(build, 'libv86.mjs')).href)) as { V86: V86Constructor };
const machine = new library.V86({
  wasm_path: join(build, 'v86.wasm'),
  memory_size: 64 << 20,
  vga_memory_size: 2 << 20,
  multiboot: { buffer: Uint8Array.from(readFileSync(file)).buffer },
  disable_jit: mode === 'no-jit' ? 1 : 0,
  disable_keyboard: true,
  disable_mouse: true,
  disable_speaker: true,
  autostart: true,
});

const byteBuffer = new Uint8Array(1);
let marked = false;
machine.add_listener('serial0-output-byte', (byte) => {
  byteBuffer[0] = byte;
  writeSync(1, byteBuffer);
  if (byte === 0x3e) marked = true;
  else if (byte === 0x0a && marked) process.exit(0); // it would go on for ever
});
