/** The command line of the benchmarks. */

import { parseArgs } from 'node:util';

export interface Options {
  /** Suites in the order in which they run; empty: all. */
  readonly suites: readonly string[];
  readonly list: boolean;
  readonly help: boolean;
  readonly runs: number;
  readonly scale: number;
  /** Kernels or micro-benchmarks whose names contain one of these; null: all. */
  readonly only: readonly string[] | null;
  /** Rivals of `interpreter` by name; null: all that there are. */
  readonly rivals: readonly string[] | null;
  /** Further images. */
  readonly images: readonly string[];
  /** Folder that has node_modules/v86. */
  readonly v86: string | null;
  /** Further rivals. */
  readonly peers: readonly { readonly name: string; readonly command: string }[];
  readonly json: string | null;
  /** Seconds a run may take. */
  readonly timeout: number;
  /** Seconds for each round of a micro-benchmark. */
  readonly seconds: number;
}

export const HELP = `Usage: npm run bench -- [SUITE …] [options]

  --list               name the suites and run nothing
  --runs N             runs of each contestant, in turn (default 5; fewer than 5 prove nothing)
  --scale X            factor of the kernels' rounds (default 1)
  --only A,B           kernels or micro-benchmarks whose names contain A or B
  --image FILE         one more image for interpreter and nested: .asm source, or a multiboot image; may be repeated
  --rivals A,B         rivals of interpreter: v86, v86-nojit, qemu, bochs, or names given by --peer
  --v86 DIR            folder in which "npm install v86" was run
  --peer NAME=COMMAND  one more rival; {image} stands for the image, its standard output is the serial line; may be repeated
  --timeout S          seconds after which a run has failed (default 120)
  --seconds S          seconds for each round of a micro-benchmark (default 0.5)
  --json FILE          write all numbers there`;

/** Throws an Error that says what to change. */
export function parseOptions(args: readonly string[]): Options {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      list: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
      runs: { type: 'string', default: '5' },
      scale: { type: 'string', default: '1' },
      only: { type: 'string' },
      image: { type: 'string', multiple: true, default: [] },
      rivals: { type: 'string' },
      v86: { type: 'string' },
      peer: { type: 'string', multiple: true, default: [] },
      timeout: { type: 'string', default: '120' },
      seconds: { type: 'string', default: '0.5' },
      json: { type: 'string' },
    },
  });
  return {
    suites: positionals,
    list: values.list,
    help: values.help,
    runs: Math.ceil(positive('--runs', values.runs)),
    scale: positive('--scale', values.scale),
    only: values.only?.split(',') ?? null,
    rivals: values.rivals?.split(',') ?? null,
    images: values.image,
    v86: values.v86 ?? null,
    peers: values.peer.map(peer),
    json: values.json ?? null,
    timeout: positive('--timeout', values.timeout),
    seconds: positive('--seconds', values.seconds),
  };
}

function positive(option: string, text: string): number {
  const value = Number(text);
  if (!(value > 0 && value < Number.POSITIVE_INFINITY)) throw new Error(`${option} ${text}: give a positive number`);
  return value;
}

function peer(text: string): { name: string; command: string } {
  const [, name, command] = /^([\w.-]+)=(.+)$/.exec(text) ?? [];
  if (name === undefined || command === undefined) throw new Error(`--peer ${text}: give NAME=COMMAND`);
  return { name, command };
}

/** Whether --only lets a name through. */
export const wanted = (options: Options, name: string): boolean =>
  options.only === null || options.only.some((part) => name.includes(part));
