import type { ProcessorEvent } from './monitor.ts';

/** Who watches a processor: tracers, debuggers. Costs nothing while unset; whoever watches changes nothing. */
export interface CpuObserver {
  /** Before each instruction (each iteration of a repeated one): registers are those that it will find. Watching it is slow. */
  onInstruction?(): void;
  /** An event is about to be delivered through the IDT or the interrupt vectors; EIP names the instruction that it belongs to.
   *  `injected`: by a VM entry. The chain of a triple fault is the last events before the shutdown. */
  onEvent?(event: ProcessorEvent, injected: boolean): void;
}
