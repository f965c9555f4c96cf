import { spawn } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ECHO, folder, kernel, ROOT, ringlet } from './support.ts';

describe.concurrent('the command line as a process', () => {
  test('stdout is the serial port and nothing else; statistics go to stderr', async () => {
    const { status, stdout, stderr } = await ringlet(['run', '--stats=json', 'hello']);
    expect([status, stdout]).toEqual([0, 'hello from ring 0\n']);
    expect(JSON.parse(stderr)).toMatchObject({ instructions: 210, vms: [{ name: 'hello' }] });
  });

  test('a wrong option is one line and status 2', async () => {
    const { status, stdout, stderr } = await ringlet(['run', 'hello', '--memmory', '64M']);
    expect([status, stdout]).toEqual([2, '']);
    expect(stderr).toBe("ringlet: unknown option '--memmory' (Did you mean --memory?); see ringlet --help\n");
  });

  test('too little memory is one line, status 2, and no log is begun', async () => {
    const log = join(folder(), 'log');
    const { status, stderr } = await ringlet(['run', 'hello', '--memory', '64K', '--record', log]);
    expect([status, stderr.split('\n').length]).toEqual([2, 2]);
    expect(stderr).toContain('give at least');
    expect(existsSync(log)).toBe(false);
  });

  test('a recorded run can be replayed without its input', async () => {
    const log = join(folder(), 'log');
    const image = kernel('echo', ECHO);
    const recorded = await ringlet(['run', image, '--record', log], 'abc.');
    expect([recorded.status, recorded.stdout]).toEqual([0, 'ABC']);
    const replayed = await ringlet(['run', image, '--replay', log]);
    expect([replayed.status, replayed.stdout, replayed.stderr]).toEqual([0, 'ABC', '']);
    writeFileSync(log, readFileSync(log, 'utf8').replace(/"end":\d+/, '"end":999999'));
    const other = await ringlet(['run', image, '--replay', log]);
    expect([other.status, other.stderr]).toEqual([2, expect.stringContaining('the recorded run 999999')]);
  });

  test('Ctrl-C ends a run with the statistics so far', async () => {
    const child = spawn(
      process.execPath,
      ['--import', 'tsx', 'src/cli/main.ts', 'run', 'mischief', '--append', 'spin', '--stats'],
      { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'] },
    );
    let stderr = '';
    child.stderr.on('data', (data) => {
      stderr += data;
    });
    child.stdout.once('data', () => child.kill('SIGINT'));
    const status = await new Promise((resolve) => child.on('exit', resolve));
    expect(status).toBe(130);
    expect(stderr).toContain('interrupted after');
    expect(stderr).toContain('host seconds');
  });

  test('asm writes what disasm reads; an error in the source writes nothing', async () => {
    const where = folder();
    const [source, binary] = [join(where, 'a.asm'), join(where, 'a.bin')];
    writeFileSync(source, 'bits 32\nmov eax, N\n');
    const failed = await ringlet(['asm', source, '-o', binary]);
    expect([failed.status, existsSync(binary)]).toEqual([2, false]);
    expect(failed.stderr).toContain('a.asm:2:');
    expect((await ringlet(['asm', source, '-o', binary, '-D', 'N=7'])).status).toBe(0);
    const { stdout } = await ringlet(['disasm', binary, '--org', '7C00h']);
    expect(stdout).toBe('00007C00  B807000000            mov eax, 0x7\n');
  });

  test('without a command, help is printed; each command has its own', async () => {
    expect((await ringlet([])).stdout).toContain('Commands:');
    for (const [command, word] of [
      ['run', '--max-instructions'],
      ['asm', '--define'],
    ]) {
      const { status, stdout } = await ringlet([command, '--help']);
      expect([status, stdout.includes(word)]).toEqual([0, true]);
    }
  });
});
