/** The command line itself: commands, options, help. */

import { Command } from 'commander';
import { InvalidInput } from '../base/errors.ts';
import { processorModels } from '../cpu/model.ts';
import { asm } from './commands/asm.ts';
import { type BenchOptions, bench } from './commands/bench.ts';
import { demo } from './commands/demo.ts';
import { disasm } from './commands/disasm.ts';
import { type ExplainOptions, explain } from './commands/explain.ts';
import { run } from './commands/run.ts';
import { splitWords, TRACE_TOPICS } from './numbers.ts';
import { type GlobalOptions, planRun, type RunPlan, readConfig, type VmOptions, type VmRequest } from './plan.ts';
import { STATUS_HELP } from './status.ts';
import { VERSION } from './version.ts';

const RUN_HELP = `
IMAGE is recognised by its content:
  multiboot v1 kernel (ELF32, or address fields in the header)
  assembly source NAME.asm, assembled on the spot
  boot sector of 512 bytes (starts in real mode at 7C00h)
  flat binary (see --load, --entry, --real)
  the bare name of a guest of this package, such as hello

stdout carries the guest's first serial port, byte for byte; stdin feeds it. Everything else goes to stderr.
Several VMs have their lines prefixed; stdin feeds the first one.

Numbers are written 1000000, 0x100000 or 100000h.

A file for --config: options by their long names in camel case, and the VMs:
  { "mode": "nested", "maxInstructions": 1000000, "vms": [{ "image": "a.asm", "memory": "32M" }, { "image": "hello" }] }
Options of a VM: image, memory, append, initrd, symbols, load, entry, real, name. Paths count from the current folder.
${STATUS_HELP}

Examples:
  ringlet run hello
  ringlet run kernel.asm --mode bare --stats
  ringlet run kernel.elf --append "root=none" --expect "login:" --max-instructions 100000000
  ringlet run --vm "tasks --memory 16M" --vm "pages --memory 32M" --trace exit,irq
  ringlet run kernel.asm --record keys.log        and later: ringlet run kernel.asm --replay keys.log`;

const EXPLAIN_HELP = `
INPUT is
  an image, as for run: it runs until the moment that --at names; its output is not shown
  a VMCS in JSON, field name or encoding to value: { "GUEST_CR0": "0x80010031", "0x6802": 4096, … }
    fields that it does not name are 0; with "partial": true they are unknown, and rules about them are not judged
  a kernel log of Linux with what KVM prints when an entry fails (kvm_intel.dump_invalid_vmcs=1); the last dump counts
    without --cpu the processor is taken to offer all controls, as the log does not say which it has

For each rule that does not hold: its id, the section of the manual, the fields and their values, what is wrong;
then the smallest change of fields found with which all rules hold.

stdout carries the explanation. Exit status: 0, 2 for wrong usage or an unusable file, 120 if the moment did not come.

Examples:
  ringlet explain vmlaunch
  ringlet explain vmlaunch --number 3 --dump vmcs
  ringlet explain vmlaunch --at exit:EPT_VIOLATION --linear 7004h --access write
  ringlet explain hello --mode nested --at exit --dump ept,io
  dmesg | ringlet explain -
  ringlet explain vmcs.json --json`;

/** Options of one VM: of `run` itself, and inside `--vm "…"`. */
function addVmOptions(command: Command): Command {
  return command
    .option('--memory <size>', 'guest RAM, a multiple of 4 KiB: 64M, 4096K, 1G (default: 64M)')
    .option('--append <text>', "the kernel's command line (multiboot)")
    .option('--initrd <file>', 'first multiboot module')
    .option('--load <address>', 'take IMAGE for a flat binary and load it there (default: 100000h, with --real 7C00h)')
    .option('--entry <address>', 'first instruction of a flat binary (default: where it is loaded)')
    .option('--real', 'start a flat binary in real mode, CS = 0')
    .option('--symbols <file>', 'symbols for traces and reports: an ELF file, or what nm prints')
    .option('--name <name>', 'name of the VM in output and reports');
}

/** Words of `--vm`: an image and its options. */
export function parseVm(text: string): VmRequest {
  const command = quiet(addVmOptions(new Command('--vm').argument('<image>')).helpOption(false));
  try {
    command.parse(splitWords(text), { from: 'user' });
  } catch (error) {
    throw new InvalidInput(`--vm "${text}": ${(error as Error).message.replace(/^error: /, '')}`);
  }
  return { image: command.args[0], options: command.opts<VmOptions>() };
}

/** Errors are thrown, nothing is printed. */
function quiet(command: Command): Command {
  return command
    .exitOverride()
    .allowExcessArguments(false)
    .configureOutput({ outputError: () => {} });
}

type RunCommandOptions = VmOptions & GlobalOptions & { readonly vm?: string[]; readonly config?: string };

/** The plan that the words of `run` make. Throws InvalidInput. */
export function planCommand(image: string | undefined, all: RunCommandOptions): RunPlan {
  const { vm = [], config, memory, append, initrd, load, entry, real, symbols, name, ...options } = all;
  const own = Object.fromEntries(
    Object.entries({ memory, append, initrd, load, entry, real, symbols, name }).filter(([, v]) => v !== undefined),
  ) as VmOptions;
  const ways = [image !== undefined, vm.length > 0, config !== undefined].filter(Boolean).length;
  if (ways === 0) throw new InvalidInput('run needs an IMAGE: give a kernel, or --vm, or --config');
  if (ways > 1) throw new InvalidInput('IMAGE, --vm and --config exclude each other: use one of them');
  if (image !== undefined) return planRun([{ image, options: own }], options);
  const lost = Object.keys(own)[0];
  if (lost !== undefined) {
    const where = config === undefined ? 'inside the quotes of --vm' : 'into the file';
    throw new InvalidInput(`--${lost} belongs to one VM: put it ${where}`);
  }
  if (config === undefined) return planRun(vm.map(parseVm), options);
  const read = readConfig(config);
  return planRun(read.vms, { ...read.options, ...options });
}

const collect = (value: string, before: string[] = []): string[] => [...before, value];

const BENCH_HELP = `
Each workload is a small kernel with a fixed amount of work. It runs on the bare machine, with shadow paging, and with EPT pages of 4 KiB and of
2 MiB. The counts are the same on every host; cycles are intervals under a model that docs/paging-benchmark.md states.

Example:
  ringlet bench paging --only protect,stride --charts charts`;

/** `onStatus`: what the process is to exit with. */
export function makeProgram(onStatus: (status: number) => void): Command {
  const program = quiet(new Command('ringlet'))
    .description('An x86 machine with hardware virtualisation, and a hypervisor that runs on it.')
    .version(VERSION, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print help')
    .helpCommand('help [command]', 'print help for a command')
    .showSuggestionAfterError(true)
    .addHelpText('after', '\nFirst things to try: ringlet demo, ringlet run hello, ringlet run --help');

  addVmOptions(
    program
      .command('run')
      .summary('boot a kernel')
      .description('Boots a kernel, in a VM under the hypervisor or on the bare machine.')
      .argument('[image]', 'kernel image, assembly source, or the name of a packaged guest'),
  )
    .optionsGroup('Options of the run:')
    .option(
      '--mode <mode>',
      'nested (VMX and EPT), shadow (VMX and shadow page tables) or bare (no virtualisation) (default: nested)',
    )
    .option('--vm <words>', 'one of several VMs: "IMAGE options"; may be repeated', collect)
    .option('--config <file>', 'VMs and options from a JSON file')
    .option('--cpu <name>', `processor model: ${processorModels.map((m) => m.name).join(', ')} (default: p6-vmx)`)
    .option('--tlb <kind>', 'translation caching: unlimited, modelled[:ENTRIES], stalest[:SEED] (default: unlimited)')
    .option('--max-instructions <n>', 'stop after exactly N retired instructions, those of all VMs together')
    .option('--expect <text>', 'stop with status 0 as soon as the output contains TEXT; 120 if it never does')
    .option('--record <file>', 'write down everything that enters from outside, with its instruction')
    .option('--replay <file>', 'let the same enter at the same instructions; stdin is not read')
    .option(
      '--report <what>',
      'flushes: at the end, flushes that were relied on and not done, and superfluous ones (slow)',
    )
    .option('--stats [format]', 'statistics on stderr at the end, as text or --stats=json')
    .option('--trace <list>', `show on stderr what happens: ${TRACE_TOPICS.join(', ')}, all; LIST=jsonl for JSON lines`)
    .addHelpText('after', RUN_HELP)
    .action(async (image: string | undefined, options: RunCommandOptions) => {
      onStatus(await run(planCommand(image, options)));
    });

  program
    .command('asm')
    .summary('assemble a NASM source')
    .description('Assembles a source in a subset of the NASM language into a flat binary.')
    .argument('<file>', 'the source')
    .requiredOption('-o, --output <file>', 'where the binary goes')
    .option('-D, --define <name=value>', 'define a single-line macro, as %define would; may be repeated', collect)
    .option('-I, --include <dir>', 'a further folder for %include and incbin; may be repeated', collect)
    .addHelpText(
      'after',
      `
Includes are looked for beside the source, in the -I folders, and in a folder "include" beside or above it.
Errors are listed as file:line:column: message; then nothing is written and the status is 2.

Example:
  ringlet asm kernel.asm -o kernel.bin -D DEBUG=1`,
    )
    .action((file: string, options) => asm(file, options));

  program
    .command('disasm')
    .summary('disassemble a binary')
    .description('Prints a flat binary as a listing in NASM syntax: address, bytes, instruction.')
    .argument('<file>', 'the binary')
    .option('--bits <bits>', 'code size: 16 or 32', '32')
    .option('--org <address>', 'address of the first byte', '0')
    .addHelpText('after', '\nExample:\n  ringlet disasm boot.bin --bits 16 --org 7C00h')
    .action((file: string, options) => disasm(file, options));

  addVmOptions(
    program
      .command('explain')
      .summary('say what is wrong with a VM entry, or what an exit means')
      .description(
        'Explains a failed VM entry: every rule that the VMCS breaks, and the nearest valid state. Or an exit, or an address.',
      )
      .argument('<input>', 'an image to run, a VMCS in JSON, or a kernel log with the dump of KVM; - for stdin'),
  )
    .optionsGroup('What is explained:')
    .option('--from <kind>', 'what INPUT is: image, vmcs or kvm (default: by its content)')
    .option('--at <moment>', 'of an image: entry-failure, exit, exit:REASON by name or number (default: entry-failure)')
    .option('--number <n>', 'the how manieth such moment (default: 1)')
    .option('--linear <address>', 'the whole walk for this linear address of the guest, too')
    .option('--guest-physical <address>', 'the whole EPT walk for this guest-physical address, too')
    .option('--access <kind>', 'of such a walk: read, write or fetch (default: read)')
    .option('--user', 'the access of such a walk comes from ring 3')
    .option('--dump <list>', 'in words, too: vmcs, ept, io, msr (the bitmaps), or all')
    .option('--json', 'the plain data of all this in one line of JSON')
    .optionsGroup('Options of the run:')
    .option('--mode <mode>', 'bare, for images that execute VMX themselves, or nested (default: bare)')
    .option('--cpu <name>', `processor model: ${processorModels.map((m) => m.name).join(', ')} (default: p6-vmx)`)
    .option('--tlb <kind>', 'translation caching, as for run')
    .option('--max-instructions <n>', 'give up after so many instructions (default: 100000000)')
    .addHelpText('after', EXPLAIN_HELP)
    .action(async (input: string, options: ExplainOptions) => onStatus(await explain(input, options)));

  program
    .command('bench')
    .summary('compare shadow and nested paging')
    .description('Runs benchmark SUITE and prints what came out. There is one: paging, shadow against nested paging.')
    .argument('<suite>', 'paging')
    .option('--only <list>', 'workloads whose names contain one of these words, separated by commas')
    .option('--rounds <n>', 'rounds of each workload that are counted (default: 2)')
    .option('--seeds <n>', 'how many seeds of replacement (default: 2)')
    .option('--json <file>', 'write all numbers there')
    .option('--charts <dir>', 'write charts into this folder, as SVG')
    .option('--quiet', 'do not tell what is being run')
    .addHelpText('after', BENCH_HELP)
    .action((suite: string, options: BenchOptions) => onStatus(bench(suite, options)));

  program
    .command('demo')
    .summary('watch guest kernels boot')
    .description('Boots a guest on the bare machine and two under the hypervisor, and shows what the machine did.')
    .option('--no-color', 'without colours; also if NO_COLOR is set or stdout is no terminal')
    .addHelpText('after', '\nThe guests are in the folder guests of the package, to be read and changed.')
    .action(async (options: { color: boolean }) => onStatus(await demo(options)));

  return program;
}

/** `--stats IMAGE` must not take IMAGE for the format. */
export const normalise = (words: readonly string[]): string[] =>
  words.map((word) => (word === '--stats' ? '--stats=text' : word));
