/** Bochs as another machine for multiboot images: a CD made by GRUB, the output of COM1 from a file. Uses what Debian's packages bochs,
 *  bochs-term, bochsbios, seabios, grub-pc-bin, grub-common, xorriso, mtools and bsdutils bring; nothing of it is needed otherwise. */
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const TOOLS = ['grub-mkrescue', 'xorriso', 'mformat', 'script'];
const FIRMWARE = ['/usr/share/bochs/BIOS-bochs-latest', '/usr/share/seabios/vgabios-stdvga.bin'];

function inPath(tool: string): boolean {
  return (process.env.PATH ?? '').split(':').some((folder) => existsSync(join(folder, tool)));
}

/** Debian calls the program itself bochs-bin. */
const program = (): string | undefined => ['bochs-bin', 'bochs'].find(inPath);

/** What is missing for a run; '' if nothing is. */
export function missing(): string {
  const lacks = [...TOOLS.filter((tool) => !inPath(tool)), ...FIRMWARE.filter((file) => !existsSync(file))];
  return [...(program() === undefined ? ['bochs'] : []), ...lacks].join(', ');
}

export interface BochsOptions {
  /** A processor model of Bochs. */
  readonly model: string;
  /** The run ends as soon as the output contains this … */
  readonly until: RegExp;
  /** … or after so many seconds … */
  readonly seconds: number;
  /** … or if it has printed something, and then nothing more for so many seconds. */
  readonly silence: number;
}

/** What an image prints on COM1. */
export async function runInBochs(image: Uint8Array, options: BochsOptions): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'bochs-'));
  const file = (name: string): string => join(folder, name);
  try {
    mkdirSync(file('iso/boot/grub'), { recursive: true });
    writeFileSync(file('iso/boot/kernel'), image);
    writeFileSync(
      file('iso/boot/grub/grub.cfg'),
      'set timeout=0\nterminal_output console\nmenuentry k { multiboot /boot/kernel\nboot }\n',
    );
    execFileSync('grub-mkrescue', ['-o', file('cd.iso'), file('iso')], { stdio: 'ignore' });
    writeFileSync(file('commands'), 'c\n');
    writeFileSync(file('com1'), '');
    writeFileSync(
      file('bochsrc'),
      `megs: 256
romimage: file=${FIRMWARE[0]}
vgaromimage: file=${FIRMWARE[1]}
cpu: model=${options.model}, count=1, ips=50000000
display_library: term
log: ${file('log')}
panic: action=report
clock: sync=none
com1: enabled=1, mode=file, dev=${file('com1')}
ata0-master: type=cdrom, path=${file('cd.iso')}, status=inserted
boot: cdrom
`,
    );
    // its text display wants a terminal
    const command = `exec ${program()} -q -f ${file('bochsrc')} -rc ${file('commands')}`;
    const child = spawn('script', ['-qec', command, '/dev/null'], {
      stdio: 'ignore',
      detached: true,
      env: { ...process.env, TERM: 'xterm' },
    });
    let ended = false;
    child.on('exit', () => {
      ended = true;
    });
    const output = (): string => readFileSync(file('com1'), 'latin1');
    let printed = 0;
    let silence = 0;
    for (let n = 0; n < options.seconds && !ended && !options.until.test(output()); n++) {
      await new Promise((resolve) => setTimeout(resolve, 1000));
      const { length } = output();
      silence = length === printed && length > 0 ? silence + 1 : 0;
      if (silence >= options.silence) break;
      printed = length;
    }
    if (!ended && child.pid !== undefined) process.kill(-child.pid);
    return output();
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
