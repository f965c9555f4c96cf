/** `--trace`: what happens, as it happens, one line each. */

import { hex } from '../base/int.ts';
import { EIP } from '../base/registers.ts';
import type { ProcessorEvent } from '../cpu/monitor.ts';
import type { PageWalkStep } from '../mmu/observer.ts';
import { ENTRY_FAILURE, EXIT, exitReasonName } from '../vmx/exit-reasons.ts';
import * as F from '../vmx/fields.ts';
import * as op from '../vmx/operations.ts';
import { decodeQualification, interruptionText } from '../vmx/qualification.ts';
import { eventText } from './events.ts';
import type { TraceRequest, TraceTopic } from './numbers.ts';
import type { Session } from './session.ts';
import { look } from './watch.ts';

type Details = Readonly<Record<string, number | string | boolean>>;

/** Writes lines. */
export type LineSink = (line: string) => void;

export class Tracer {
  readonly #request: TraceRequest;
  readonly #sink: LineSink;
  #session: Session | null = null;

  constructor(request: TraceRequest, sink: LineSink) {
    this.#request = request;
    this.#sink = sink;
  }

  /** Starts to watch. */
  attach(session: Session): void {
    this.#session = session;
    const wants = (topic: TraceTopic): boolean => this.#request.topics.has(topic);
    session.machine.observe({
      ...(wants('exec') ? { onInstruction: () => this.#exec(session) } : {}),
      ...(wants('irq') ? { onEvent: (event, injected) => this.#event(session, event, injected) } : {}),
      ...(wants('walk') ? { onPageWalkStep: (step) => this.#walk(step) } : {}),
      ...(wants('entry') ? { onEntry: () => this.#entry(session) } : {}),
      ...(wants('exit') || wants('ept') ? { onExit: (reason) => this.#exit(session, reason) } : {}),
    });
    if (!wants('io')) return;
    session.vms.forEach((vm, number) => {
      vm.ports.onAccess = (port, size, value, input) => {
        const text = `${input ? 'in ' : 'out'} port ${hex(port, 4)} ${input ? '→' : '←'} ${hex(value, size * 2)}`;
        this.#emit('io', text, { port, size, value, input }, number);
      };
    });
  }

  #event(session: Session, event: ProcessorEvent, injected: boolean): void {
    const eip = session.machine.cpu.S[EIP] >>> 0;
    const { vector, type, errorCode } = event;
    this.#emit('irq', `${eventText(event)}${injected ? ' (injected)' : ''} at ${this.#place(eip)}`, {
      vector,
      type,
      errorCode,
      injected,
      eip,
    });
  }

  #wants(topic: TraceTopic): boolean {
    return this.#request.topics.has(topic);
  }

  #emit(topic: TraceTopic, text: string, details: Details, vm?: number): void {
    const session = this.#session;
    const time = session?.machine.cpu.now() ?? 0;
    const number = vm ?? session?.current() ?? -1;
    const name = session === null || number < 0 ? 'root' : session.vms[number].name;
    if (this.#request.jsonl) this.#sink(JSON.stringify({ time, vm: name, event: topic, ...details }));
    else this.#sink(`${String(time).padStart(12)} ${name.padEnd(10)} ${topic.padEnd(5)} ${text}`);
  }

  #exec(session: Session): void {
    const seen = look(session.machine.cpu);
    const bytes = Array.from(seen.bytes, (b) => b.toString(16).padStart(2, '0')).join('');
    const name = this.#symbol(seen.linear);
    const where = `${hex(seen.cs, 4)}:${hex(seen.eip)}`;
    this.#emit('exec', `${where} ${bytes.padEnd(16)} ${seen.text}${name === '' ? '' : `   ; ${name}`}`, {
      cs: seen.cs,
      eip: seen.eip,
      cpl: seen.cpl,
      bytes,
      text: seen.text,
      ...(name === '' ? {} : { symbol: name }),
    });
  }

  #walk({ format, level, at, low, high }: PageWalkStep): void {
    const entry = high === 0 ? hex(low) : `${hex(high)}:${hex(low)}`;
    this.#emit('walk', `${format} level ${level}: entry at ${hex(at)} is ${entry}`, { format, level, at, low, high });
  }

  #entry(session: Session): void {
    const { cpu } = session.machine;
    const information = this.#field(F.VM_ENTRY_INTERRUPTION_INFORMATION);
    const injects = interruptionText(information, this.#field(F.VM_ENTRY_EXCEPTION_ERROR_CODE));
    const eip = cpu.S[EIP] >>> 0;
    this.#emit('entry', `at ${this.#place(eip)}${injects === '' ? '' : `, injects ${injects}`}`, { eip, injects });
  }

  #exit(session: Session, whole: number): void {
    const vm = session.owner();
    const reason = whole & 0xffff;
    const qualification = this.#field(F.EXIT_QUALIFICATION);
    const eip = this.#field(F.GUEST_RIP) >>> 0;
    const failed = (whole & ENTRY_FAILURE) !== 0 ? ' (VM entry failed)' : '';
    const { text } = decodeQualification(whole, qualification);
    const name = exitReasonName(reason);
    if (this.#wants('exit'))
      this.#emit(
        'exit',
        `${name}${failed} at ${this.#place(eip, vm)}${text === '' ? '' : `: ${text}`}`,
        { reason, name, eip, qualification: qualification >>> 0, text },
        vm,
      );
    if (!this.#wants('ept') || (reason !== EXIT.EPT_VIOLATION && reason !== EXIT.EPT_MISCONFIGURATION)) return;
    const physical = this.#field(F.GUEST_PHYSICAL_ADDRESS) >>> 0;
    const linear = this.#field(F.GUEST_LINEAR_ADDRESS) >>> 0;
    this.#emit(
      'ept',
      `${name} at guest-physical ${hex(physical)}, linear ${hex(linear)}, EIP ${this.#place(eip, vm)}${text === '' ? '' : `: ${text}`}`,
      { name, guestPhysical: physical, linear, eip, qualification: qualification >>> 0 },
      vm,
    );
  }

  /** A field of the current VMCS, 0 if it has none. */
  #field(encoding: number): number {
    const x = this.#session?.machine.vmx?.context;
    return x !== undefined && op.vmread(x, encoding) === op.SUCCEED ? x.readValue : 0;
  }

  #place(address: number, vm?: number): string {
    const name = this.#symbol(address, vm);
    return name === '' ? hex(address) : `${hex(address)} (${name})`;
  }

  #symbol(address: number, vm?: number): string {
    const session = this.#session as Session;
    return session.vms[vm ?? session.current()]?.symbols.nameOf(address) ?? '';
  }
}
