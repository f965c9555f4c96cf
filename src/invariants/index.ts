/** Memory isolation as properties, for anyone's hypervisor: judges event traces and hardware state, never a hypervisor's own objects.
 *
 *  @example
 *  const machine = new Machine();
 *  const judge = new Judge();
 *  new HardwareTrace(machine, (event) => judge.add(event));   // from 'ringlet'
 *  // … run a hypervisor that declares its frames: root.own(vmcs, frame), or the debug port …
 *  judge.violations;                                          // []
 *
 *  @packageDocumentation */
export type { OwnershipChange, Regime, TlbEntry, TraceEvent } from '../machine/trace-event.ts';
export { Judge, judge, type Property, type Violation } from './judge.ts';
export { parseTrace, toLine } from './lines.ts';
export { type Conflict, Ownership } from './ownership.ts';
export { beyondGrant, type Reach, type ReadableMemory, reachable } from './reach.ts';
