/** Starts an emulator in a process of its own and times its guest by the marks on the serial line. */

import { spawn } from 'node:child_process';
import { createServer, type Server } from 'node:net';
import { performance } from 'node:perf_hooks';
import { Markers } from './markers.ts';

/** How to start an emulator, and where its first serial port is: its standard output (unbuffered), or a TCP connection that it
 *  makes to the port for which `{port}` stands in its arguments. */
export interface Launch {
  readonly command: readonly string[];
  readonly serial: 'stdout' | 'tcp';
}

export interface Timing {
  readonly milliseconds: number;
  readonly checksum: string;
  /** Instructions between the marks, if the emulator tells: a line `instructions N` on its standard error. */
  readonly instructions: number | null;
}

export interface Failure {
  readonly error: string;
  /** True if the emulator says (a line `left out: why` on its standard error) that this is nothing that it has. */
  readonly skipped: boolean;
}

/** An emulator that has printed everything may end by itself. */
const GRACE_MS = 1000;

export async function measure(launch: Launch, timeoutSeconds: number): Promise<Timing | Failure> {
  const server = launch.serial === 'tcp' ? await listen() : null;
  try {
    return await watch(launch, server, timeoutSeconds);
  } finally {
    server?.close();
  }
}

function watch(launch: Launch, server: Server | null, timeoutSeconds: number): Promise<Timing | Failure> {
  const port = String(portOf(server));
  const [program = '', ...args] = launch.command.map((part) => part.replaceAll('{port}', port));
  return new Promise((resolve) => {
    const markers = new Markers();
    let errors = '';
    let why = '';
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    const kill = (): boolean => child.kill('SIGKILL');
    const timer = setTimeout(() => {
      why = `no result within ${timeoutSeconds} s`;
      kill();
    }, timeoutSeconds * 1000);
    let grace: NodeJS.Timeout | undefined;
    const onSerial = (data: Buffer): void => {
      const now = performance.now();
      if (markers.checksum === null && markers.feed(data.toString('latin1'), now)) grace = setTimeout(kill, GRACE_MS);
    };
    const onOther = (data: Buffer): void => {
      errors = (errors + data.toString('latin1')).slice(-100_000);
    };
    child.stdout.on('data', server === null ? onSerial : onOther);
    child.stderr.on('data', onOther);
    server?.on('connection', (socket) => socket.on('data', onSerial).on('error', () => {}));
    child.on('error', (error) => {
      why = error.message;
    });
    child.on('close', (status) => {
      clearTimeout(timer);
      clearTimeout(grace);
      resolve(verdict(markers, errors, why || `ended with status ${status}`));
    });
  });
}

function verdict(markers: Markers, errors: string, why: string): Timing | Failure {
  const { checksum, milliseconds } = markers;
  const excuse = /^left out: (.*)$/m.exec(errors)?.[1];
  if (excuse !== undefined) return { error: excuse, skipped: true };
  if (checksum === null || milliseconds === null) {
    return failed(`${why}: ${JSON.stringify(`${errors.slice(-300)} ${markers.tail}`.trim())}`);
  }
  if (milliseconds === 0) return failed('both marks came in one piece: too short to be measured, or buffered output');
  const count = /^instructions (\d+)$/m.exec(errors)?.[1];
  return { milliseconds, checksum, instructions: count === undefined ? null : Number(count) };
}

const failed = (error: string): Failure => ({ error, skipped: false });

function listen(): Promise<Server> {
  const server = createServer({ noDelay: true });
  return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(server)));
}

function portOf(server: Server | null): number {
  const address = server?.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}
