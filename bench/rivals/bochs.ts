/** Bochs, the careful interpreter. It loads no multiboot images, so the image goes onto a disk, behind a boot sector of ours. */

import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Image, ImageMaker } from '../images.ts';
import type { Contestant } from '../race.ts';
import { findProgram } from './find.ts';

const SECTOR = 512;
const SECTORS_PER_CYLINDER = 16 * 63;
/** 1_0000h to 8_0000h: as far as the boot sector loads. */
const MOST_SECTORS = 0x7_0000 / SECTOR;
const ROM_FOLDERS = ['/usr/share/bochs', '/usr/local/share/bochs'];
const VGA_ROMS = ['/usr/share/seabios/vgabios-stdvga.bin', '/usr/share/vgabios/vgabios.bin'];

export function bochs(maker: ImageMaker): Contestant | string {
  const path = findProgram('bochs-bin', 'bochs');
  if (path === null) return 'bochs is not installed';
  const rom = ROM_FOLDERS.map((folder) => join(folder, 'BIOS-bochs-latest')).find((file) => existsSync(file));
  const own = ROM_FOLDERS.map((folder) => join(folder, 'VGABIOS-lgpl-latest'));
  const vga = [...VGA_ROMS, ...own].find((file) => existsSync(file));
  if (rom === undefined || vga === undefined) return 'bochs has no BIOS-bochs-latest or VGA BIOS in the usual places';
  return {
    name: 'bochs',
    launch: (image) => {
      const sectors = Math.ceil(readFileSync(image.file).length / SECTOR);
      if (sectors > MOST_SECTORS) return `the image is larger than ${MOST_SECTORS / 2} KiB`;
      const disk = writeDisk(image, sectors, maker);
      return { command: command(path, rom, vga, disk), serial: 'tcp' };
    },
  };
}

/** One cylinder or more: boot sector, then the image. */
function writeDisk(image: Image, sectors: number, maker: ImageMaker): string {
  const source = readFileSync(join(import.meta.dirname, 'boot-sector.asm'), 'utf8');
  const boot = maker.assemble(source, { file: 'boot-sector.asm', defines: { SECTORS: sectors } }).bytes;
  const cylinders = Math.ceil((sectors + 1) / SECTORS_PER_CYLINDER);
  const bytes = new Uint8Array(cylinders * SECTORS_PER_CYLINDER * SECTOR);
  bytes.set(boot);
  bytes.set(readFileSync(image.file), SECTOR);
  const disk = `${image.file}.disk`;
  rmSync(`${disk}.lock`, { force: true });
  writeFileSync(disk, bytes);
  return disk;
}

function command(path: string, rom: string, vga: string, disk: string): string[] {
  const settings = `${disk}.bochsrc`;
  const debugger_ = `${disk}.debugger`;
  writeFileSync(
    settings,
    [
      'config_interface: textconfig',
      'display_library: rfb, options="timeout=0"',
      'plugin_ctrl: speaker=0, sb16=0, usb_uhci=0',
      `romimage: file=${rom}`,
      `vgaromimage: file=${vga}`,
      'megs: 64',
      'cpu: model=bx_generic, count=1, ips=100000000, reset_on_triple_fault=0',
      'clock: sync=none',
      `ata0-master: type=disk, path="${disk}", mode=flat, cylinders=0`,
      'boot: disk',
      'parport1: enabled=0',
      `log: ${disk}.log`,
      'panic: action=fatal',
      'error: action=ignore',
      'info: action=ignore',
    ].join('\n'),
  );
  writeFileSync(debugger_, 'continue\n'); // for a Bochs that was built with its debugger
  // the port is known at the start only, so COM1 stands on the command line, too
  return [path, '-q', '-f', settings, '-rc', debugger_, 'com1: enabled=1, mode=socket-client, dev=127.0.0.1:{port}'];
}
