/** Traces as text, one event a line (JSON Lines). */
import { InvalidInput } from '../base/errors.ts';
import { boolean, integer, list, record, string } from '../base/validate.ts';
import type { OwnershipChange, TlbEntry, TraceEvent } from '../machine/trace-event.ts';

/** One event as a line, without the line feed. */
export const toLine = (event: TraceEvent): string => JSON.stringify(event);

/** Reads a trace. A file is an allegation: throws InvalidInput with the number of the line that is none of an event. */
export function parseTrace(text: string): TraceEvent[] {
  const lines = text.split('\n');
  const events: TraceEvent[] = [];
  lines.forEach((line, k) => {
    if (line !== '') events.push(parseLine(line, `line ${k + 1}`));
  });
  return events;
}

const MOST = Number.MAX_SAFE_INTEGER;

function parseLine(line: string, at: string): TraceEvent {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    throw new InvalidInput(`${at} is not JSON`);
  }
  const e = record(value, at);
  const kind = string(e.kind, `${at}.kind`);
  const number = (name: string, least = -1): number => integer(e[name], `${at}.${name}`, least, MOST);
  const word = (value: unknown, where: string): number => integer(value, where, -0x8000_0000, 0xffff_ffff) | 0;
  switch (kind) {
    case 'machine':
      return { kind, bytes: number('bytes', 0) };
    case 'table':
      return {
        kind,
        frame: number('frame', 0),
        words: list(e.words, `${at}.words`, 0, 1024, (pair, where) => {
          const [index, content] = list(pair, where, 2, 2, (n) => n);
          return [integer(index, where, 0, 1023), word(content, where)] as const;
        }),
      };
    case 'write':
      return { kind, at: number('at', 0), value: word(e.value, `${at}.value`) };
    case 'regime':
      return {
        kind,
        vpid: number('vpid'),
        eptrta: number('eptrta'),
        paging: boolean(e.paging, `${at}.paging`),
        cr3: number('cr3'),
        cr4: number('cr4'),
        nxe: boolean(e.nxe, `${at}.nxe`),
        eptFlags: boolean(e.eptFlags, `${at}.eptFlags`),
        pdptes: list(e.pdptes, `${at}.pdptes`, 0, 8, word),
      };
    case 'flush':
      return {
        kind,
        event: string(e.event, `${at}.event`),
        vpid: number('vpid'),
        eptrta: number('eptrta'),
        page: number('page'),
        guestPage: number('guestPage'),
      };
    case 'entry':
      return { kind, vmcs: number('vmcs'), vpid: number('vpid'), eptp: word(e.eptp, `${at}.eptp`) };
    case 'exit':
      return {
        kind,
        vmcs: number('vmcs'),
        reason: number('reason'),
        ...(e.logged === undefined
          ? {}
          : { logged: list(e.logged, `${at}.logged`, 0, 512, (page, where) => integer(page, where, 0, MOST)) }),
      };
    case 'own':
    case 'share':
    case 'release':
      return ownership(kind, number);
    case 'tlb':
      return { kind, entries: list(e.entries, `${at}.entries`, 0, 1 << 24, tlbEntry) };
  }
  throw new InvalidInput(`${at}: there is no event '${kind}'`);
}

const MOST_FRAMES = 1 << 20;

function ownership(kind: OwnershipChange['kind'], number: (name: string, least?: number) => number): OwnershipChange {
  const frames = number('frames', 0);
  if (frames > MOST_FRAMES) throw new InvalidInput(`${frames} frames are more than a machine has`);
  return { kind, vm: number('vm'), frame: number('frame', 0), frames, rights: number('rights', 0) };
}

const KINDS: readonly TlbEntry['kind'][] = ['linear', 'guest-physical', 'directory', 'ept-directory'];

function tlbEntry(value: unknown, at: string): TlbEntry {
  const e = record(value, at);
  const kind = KINDS.find((k) => k === e.kind);
  if (kind === undefined) throw new InvalidInput(`${at}.kind is no kind of cached translation`);
  const number = (name: string, most = MOST): number => integer(e[name], `${at}.${name}`, -1, most);
  return {
    kind,
    vpid: number('vpid'),
    eptrta: number('eptrta'),
    global: boolean(e.global, `${at}.global`),
    page: number('page'),
    shift: number('shift', 20),
    frame: number('frame'),
    guestFrame: number('guestFrame'),
    rights: number('rights'),
    eptRights: number('eptRights'),
    dirty: boolean(e.dirty, `${at}.dirty`),
    level: number('level'),
  };
}
