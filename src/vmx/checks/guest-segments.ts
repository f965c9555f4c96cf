/** Checks on guest segment registers (SDM Vol. 3, "Checks on Guest Segment Registers"). */
import { hex } from '../../base/int.ts';
import {
  AR_G,
  AR_P,
  AR_S,
  AR_UNUSABLE,
  CR0_PE,
  CS,
  DS,
  ES,
  FLAG_VM,
  FS,
  GS,
  LDTR,
  SS_,
  TR,
} from '../../base/registers.ts';
import { SECONDARY } from '../controls.ts';
import * as F from '../fields.ts';
import { check, type EntryCheck, type EntryView, SECONDARY_FIELDS } from './check.ts';

const SECTION = 'Checks on Guest Segment Registers';
const NAMES = ['es', 'cs', 'ss', 'ds', 'fs', 'gs', 'ldtr', 'tr'] as const;

// The fields of the eight registers follow each other in the registers' order.
const selectorOf = (segment: number) => F.GUEST_ES_SELECTOR + 2 * segment;
const baseOf = (segment: number) => F.GUEST_ES_BASE + 2 * segment;
const limitOf = (segment: number) => F.GUEST_ES_LIMIT + 2 * segment;
const accessOf = (segment: number) => F.GUEST_ES_ACCESS_RIGHTS + 2 * segment;

const access = (v: EntryView, segment: number) => v.low(accessOf(segment));
const type = (v: EntryView, segment: number) => access(v, segment) & 15;
const dpl = (v: EntryView, segment: number) => (access(v, segment) >> 5) & 3;
const rpl = (v: EntryView, segment: number) => v.low(selectorOf(segment)) & 3;
const usable = (v: EntryView, segment: number) => (access(v, segment) & AR_UNUSABLE) === 0;
const virtual8086 = (v: EntryView) => (v.low(F.GUEST_RFLAGS) & FLAG_VM) !== 0;
const unrestricted = (v: EntryView) => v.secondary(SECONDARY.UNRESTRICTED_GUEST);

/** Rows in the manual's order within one sub-heading: CS, SS, DS, ES, FS, GS. */
const SIX = [CS, SS_, DS, ES, FS, GS];
const DATA = [DS, ES, FS, GS];

/** A rule for virtual-8086 mode. */
const in8086 = (segment: number, what: string, field: number, holds: (v: EntryView) => boolean, message: string) =>
  check(
    `guest.${NAMES[segment]}.${what}-8086`,
    SECTION,
    [field, F.GUEST_RFLAGS],
    (v) => !virtual8086(v) || holds(v),
    message,
  );

/** A rule for protected mode and, with unrestricted guest, real mode; CS is always looked at, others only if usable. */
function elsewhere(
  segment: number,
  what: string,
  more: readonly number[],
  holds: (v: EntryView) => boolean,
  message: string | ((v: EntryView) => string),
): EntryCheck {
  const applies = (v: EntryView) => !virtual8086(v) && (segment === CS || usable(v, segment));
  const fields = [accessOf(segment), F.GUEST_RFLAGS, ...more.filter((field) => field !== accessOf(segment))];
  return check(`guest.${NAMES[segment]}.${what}`, SECTION, fields, (v) => !applies(v) || holds(v), message);
}

const CODE_TYPES = (1 << 9) | (1 << 11) | (1 << 13) | (1 << 15);

/** Granularity against the limit; the same two sentences for every register. */
const granularityFits = (v: EntryView, segment: number) => {
  const limit = v.low(limitOf(segment));
  const g = (access(v, segment) & AR_G) !== 0;
  return !((limit & 0xfff) !== 0xfff && g) && !(limit >>> 20 !== 0 && !g);
};
const granularityMessage = (segment: number) => (v: EntryView) =>
  (access(v, segment) & AR_G) !== 0
    ? `bit 15 (G) must be 0 with a limit of ${hex(v.low(limitOf(segment)))}: its bits 11:0 are not all 1`
    : `bit 15 (G) must be 1 with a limit of ${hex(v.low(limitOf(segment)))}: it exceeds 1 MiB`;

const RESERVED_LOW = 0xf00;
const RESERVED_HIGH = 0xfffe_0000 | 0;

const eachOf = (segments: readonly number[], make: (segment: number) => EntryCheck): EntryCheck[] => segments.map(make);

const applicable = (segment: number) => (v: EntryView) => segment === TR || usable(v, segment);
/** A rule for TR, or for LDTR while it is usable. */
const system = (
  segment: number,
  what: string,
  holds: (v: EntryView) => boolean,
  message: string | ((v: EntryView) => string),
  more: readonly number[] = [],
) =>
  check(
    `guest.${NAMES[segment]}.${what}`,
    SECTION,
    [accessOf(segment), ...more],
    (v) => !applicable(segment)(v) || holds(v),
    message,
  );

/** S, P, reserved bits and G of a system segment. */
const systemAccess = (segment: number): EntryCheck[] => [
  system(segment, 's', (v) => (access(v, segment) & AR_S) === 0, 'bit 4 (S) must be 0'),
  system(segment, 'present', (v) => (access(v, segment) & AR_P) !== 0, 'bit 7 (P) must be 1'),
  system(segment, 'reserved-11-8', (v) => (access(v, segment) & RESERVED_LOW) === 0, 'bits 11:8 must be 0'),
  system(segment, 'granularity', (v) => granularityFits(v, segment), granularityMessage(segment), [limitOf(segment)]),
];

export const guestSegments: readonly EntryCheck[] = [
  // Selectors
  check(
    'guest.tr.ti',
    SECTION,
    [F.GUEST_TR_SELECTOR],
    (v) => (v.low(F.GUEST_TR_SELECTOR) & 4) === 0,
    'bit 2 (TI) must be 0',
  ),
  check(
    'guest.ldtr.ti',
    SECTION,
    [F.GUEST_LDTR_SELECTOR, F.GUEST_LDTR_ACCESS_RIGHTS],
    (v) => !usable(v, LDTR) || (v.low(F.GUEST_LDTR_SELECTOR) & 4) === 0,
    'bit 2 (TI) must be 0 while LDTR is usable',
  ),
  check(
    'guest.ss.rpl',
    SECTION,
    [F.GUEST_SS_SELECTOR, F.GUEST_CS_SELECTOR, F.GUEST_RFLAGS, ...SECONDARY_FIELDS],
    (v) => virtual8086(v) || unrestricted(v) || rpl(v, SS_) === rpl(v, CS),
    (v) => `RPL must be that of CS (${rpl(v, CS)}), it is ${rpl(v, SS_)}`,
  ),
  // Base addresses
  ...eachOf(SIX, (s) =>
    check(
      `guest.${NAMES[s]}.base-8086`,
      SECTION,
      [baseOf(s), selectorOf(s), F.GUEST_RFLAGS],
      (v) => !virtual8086(v) || v.low(baseOf(s)) === v.low(selectorOf(s)) << 4,
      'must be the selector times 16 in virtual-8086 mode',
    ),
  ),
  // Limits
  ...eachOf(SIX, (s) =>
    in8086(s, 'limit', limitOf(s), (v) => v.low(limitOf(s)) === 0xffff, 'must be FFFFh in virtual-8086 mode'),
  ),
  // Access rights: virtual-8086 mode
  ...eachOf(SIX, (s) =>
    in8086(s, 'access', accessOf(s), (v) => access(v, s) === 0xf3, 'must be F3h in virtual-8086 mode'),
  ),
  // Access rights: type
  elsewhere(
    CS,
    'type',
    SECONDARY_FIELDS,
    (v) => ((CODE_TYPES >> type(v, CS)) & 1) !== 0 || (type(v, CS) === 3 && unrestricted(v)),
    (v) => `type must be accessed code (9, 11, 13, 15; with 'unrestricted guest' also 3), it is ${type(v, CS)}`,
  ),
  elsewhere(
    SS_,
    'type',
    [],
    (v) => type(v, SS_) === 3 || type(v, SS_) === 7,
    (v) => `type must be 3 or 7 (accessed, writable data), it is ${type(v, SS_)}`,
  ),
  ...eachOf(DATA, (s) =>
    elsewhere(
      s,
      'type-accessed',
      [],
      (v) => (type(v, s) & 1) !== 0,
      (v) => `bit 0 of the type (accessed) must be 1, the type is ${type(v, s)}`,
    ),
  ),
  ...eachOf(DATA, (s) =>
    elsewhere(
      s,
      'type-readable',
      [],
      (v) => (type(v, s) & 8) === 0 || (type(v, s) & 2) !== 0,
      (v) => `a code segment must be readable, the type is ${type(v, s)}`,
    ),
  ),
  // S
  ...eachOf(SIX, (s) => elsewhere(s, 's', [], (v) => (access(v, s) & AR_S) !== 0, 'bit 4 (S) must be 1')),
  // DPL
  elsewhere(
    CS,
    'dpl-data',
    [],
    (v) => type(v, CS) !== 3 || dpl(v, CS) === 0,
    (v) => `DPL must be 0 while the type is 3, it is ${dpl(v, CS)}`,
  ),
  elsewhere(
    CS,
    'dpl-non-conforming',
    [F.GUEST_SS_ACCESS_RIGHTS],
    (v) => (type(v, CS) !== 9 && type(v, CS) !== 11) || dpl(v, CS) === dpl(v, SS_),
    (v) => `DPL of non-conforming code must be that of SS (${dpl(v, SS_)}), it is ${dpl(v, CS)}`,
  ),
  elsewhere(
    CS,
    'dpl-conforming',
    [F.GUEST_SS_ACCESS_RIGHTS],
    (v) => (type(v, CS) !== 13 && type(v, CS) !== 15) || dpl(v, CS) <= dpl(v, SS_),
    (v) => `DPL of conforming code must not exceed that of SS (${dpl(v, SS_)}), it is ${dpl(v, CS)}`,
  ),
  // SS: its DPL is the privilege level, even while it is unusable
  check(
    'guest.ss.dpl-rpl',
    SECTION,
    [F.GUEST_SS_ACCESS_RIGHTS, F.GUEST_SS_SELECTOR, F.GUEST_RFLAGS, ...SECONDARY_FIELDS],
    (v) => virtual8086(v) || unrestricted(v) || dpl(v, SS_) === rpl(v, SS_),
    (v) => `DPL must be the selector's RPL (${rpl(v, SS_)}), it is ${dpl(v, SS_)}`,
  ),
  check(
    'guest.ss.dpl-real',
    SECTION,
    [F.GUEST_SS_ACCESS_RIGHTS, F.GUEST_CS_ACCESS_RIGHTS, F.GUEST_CR0, F.GUEST_RFLAGS],
    (v) => virtual8086(v) || (type(v, CS) !== 3 && (v.low(F.GUEST_CR0) & CR0_PE) !== 0) || dpl(v, SS_) === 0,
    (v) => `DPL must be 0 while CR0.PE is 0 or the type of CS is 3, it is ${dpl(v, SS_)}`,
  ),
  ...eachOf(DATA, (s) =>
    elsewhere(
      s,
      'dpl-rpl',
      [selectorOf(s), ...SECONDARY_FIELDS],
      (v) => unrestricted(v) || type(v, s) > 11 || dpl(v, s) >= rpl(v, s),
      (v) => `DPL must not be below the selector's RPL (${rpl(v, s)}), it is ${dpl(v, s)}`,
    ),
  ),
  // P, reserved bits, G
  ...eachOf(SIX, (s) => elsewhere(s, 'present', [], (v) => (access(v, s) & AR_P) !== 0, 'bit 7 (P) must be 1')),
  ...eachOf(SIX, (s) =>
    elsewhere(s, 'reserved-11-8', [], (v) => (access(v, s) & RESERVED_LOW) === 0, 'bits 11:8 must be 0'),
  ),
  ...eachOf(SIX, (s) => elsewhere(s, 'granularity', [limitOf(s)], (v) => granularityFits(v, s), granularityMessage(s))),
  ...eachOf(SIX, (s) =>
    elsewhere(s, 'reserved-31-17', [], (v) => (access(v, s) & RESERVED_HIGH) === 0, 'bits 31:17 must be 0'),
  ),
  // TR
  system(
    TR,
    'type',
    (v) => type(v, TR) === 3 || type(v, TR) === 11,
    (v) => `TR must be a busy 16-bit (3) or 32-bit (11) TSS, its type is ${type(v, TR)}`,
  ),
  ...systemAccess(TR),
  system(TR, 'usable', (v) => usable(v, TR), 'bit 16 (unusable) must be 0'),
  system(TR, 'reserved-31-17', (v) => (access(v, TR) & RESERVED_HIGH) === 0, 'bits 31:17 must be 0'),
  // LDTR
  system(
    LDTR,
    'type',
    (v) => type(v, LDTR) === 2,
    (v) => `type must be 2 (LDT), it is ${type(v, LDTR)}`,
  ),
  ...systemAccess(LDTR),
  system(LDTR, 'reserved-31-17', (v) => (access(v, LDTR) & RESERVED_HIGH) === 0, 'bits 31:17 must be 0'),
];
