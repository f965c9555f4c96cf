#!/usr/bin/env node
/** Entry of the command line: from words to an exit status. */

import { setFlagsFromString } from 'node:v8';
import { CommanderError } from 'commander';
import { AssemblyError } from '../asm/index.ts';
import { InvalidInput } from '../base/errors.ts';
import { makeProgram, normalise } from './program.ts';
import { DONE, INTERRUPTED, USAGE } from './status.ts';
import { OutputClosed, say } from './terminal.ts';

// The interpreter's loop is entered anew for every slice of a run. Compiling it a second time for a change in mid-loop costs V8 as much
// as the first time, for nothing: kernels of a second gain a third by doing without.
setFlagsFromString('--no-use-osr');

async function main(words: readonly string[]): Promise<number> {
  let status = DONE;
  const program = makeProgram((s) => {
    status = s;
  });
  if (words.length === 0) {
    program.outputHelp();
    return DONE;
  }
  await program.parseAsync(normalise(words), { from: 'user' });
  return status;
}

/** What went wrong, told in one line where it is the user's to change; the status. */
function explain(error: unknown): number {
  if (error instanceof CommanderError) {
    if (error.exitCode === 0) return DONE;
    if (error.code === 'commander.help') return USAGE; // `ringlet help nothing`: the help was printed
    say(`ringlet: ${error.message.replace(/^error: /, '').replaceAll('\n', ' ')}; see ringlet --help`);
    return USAGE;
  }
  if (error instanceof AssemblyError) {
    say(error.message);
    return USAGE;
  }
  if (error instanceof InvalidInput) {
    say(`ringlet: ${error.message}`);
    return USAGE;
  }
  if (error instanceof OutputClosed) return INTERRUPTED;
  say('ringlet: this is a bug of ringlet, please report it with what you did:');
  say(error instanceof Error ? (error.stack ?? error.message) : String(error));
  return 1;
}

process.exitCode = await main(process.argv.slice(2)).catch(explain);
