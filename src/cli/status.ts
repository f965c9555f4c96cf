/** Exit statuses of the command line. Scripts rely on them. */

/** Powered off, halted for ever, or the expected text was seen. */
export const DONE = 0;
/** Wrong usage or an unusable file. */
export const USAGE = 2;
/** The hypervisor stopped a VM: entry failure, misconfiguration, an instruction that it cannot emulate. */
export const VM_STOPPED = 118;
/** The run ended without the text that `--expect` names. */
export const TEXT_NOT_SEEN = 120;
/** The guest needs something that ringlet does not have yet. */
export const UNIMPLEMENTED = 122;
/** `--max-instructions` was reached. */
export const LIMIT = 124;
export const TRIPLE_FAULT = 126;
/** Ctrl-C, or nobody reads the output any more. */
export const INTERRUPTED = 130;

/** What a guest's write to the debug-exit port makes of the status, as QEMU's isa-debug-exit does. */
export const debugExitStatus = (value: number): number => ((value << 1) | 1) & 0xff;

/** The table as `--help` shows it. */
export const STATUS_HELP = `
Exit status:
  0        powered off (word 2000h to port 604h), halted for ever, or --expect met
  2v + 1   the guest wrote v to the debug-exit port F4h
  2        wrong usage or unusable file; one line on stderr says what to change
  118      a VM was stopped: entry failure, misconfiguration, unsupported emulation
  120      the text of --expect was not seen
  122      the guest needs something that is not implemented yet
  124      the instruction limit was reached
  126      triple fault
  130      Ctrl-C
Of several VMs the first that ended with another status than 0 decides.`;
