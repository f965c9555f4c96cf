/** Checks on guest non-register state and on PAE page-directory pointers (SDM Vol. 3, "Checks on Guest Non-Register State",
 *  "Checks on Guest Page-Directory-Pointer-Table Entries"). */
import { CR0_PG, CR4_PAE, FLAG_IF, FLAG_TF } from '../../base/registers.ts';
import {
  ACTIVITY_ACTIVE,
  ACTIVITY_HLT,
  ACTIVITY_SHUTDOWN,
  ACTIVITY_WAIT_FOR_SIPI,
  BLOCKING_BY_MOV_SS,
  BLOCKING_BY_NMI,
  BLOCKING_BY_SMI,
  BLOCKING_BY_STI,
  INTERRUPTION_TYPE,
  PIN_BASED,
  SECONDARY,
} from '../controls.ts';
import * as F from '../fields.ts';
import { check, type EntryCheck, type EntryView, fits32, SECONDARY_FIELDS, withinPhysicalWidth } from './check.ts';

const STATE = 'Checks on Guest Non-Register State';
const PDPTES = 'Checks on Guest Page-Directory-Pointer-Table Entries';
const T = INTERRUPTION_TYPE;
const INFO = F.VM_ENTRY_INTERRUPTION_INFORMATION;

const activity = (v: EntryView) => v.low(F.GUEST_ACTIVITY_STATE);
const blocking = (v: EntryView, mask: number) => (v.low(F.GUEST_INTERRUPTIBILITY_STATE) & mask) !== 0;
const flag = (v: EntryView, mask: number) => (v.low(F.GUEST_RFLAGS) & mask) !== 0;
const injectsType = (v: EntryView, type: number) => v.injects && v.injectedType === type;

/** May the event be injected into a processor in this activity state? */
function injectable(v: EntryView): boolean {
  const type = v.injectedType;
  const exception = type === T.HARDWARE_EXCEPTION ? v.injectedVector : -1;
  switch (activity(v)) {
    case ACTIVITY_HLT:
      if (type === T.EXTERNAL_INTERRUPT || type === T.NMI || type === T.OTHER_EVENT) return true;
      return exception === 1 || exception === 18;
    case ACTIVITY_SHUTDOWN:
      return type === T.NMI || exception === 18;
    case ACTIVITY_WAIT_FOR_SIPI:
      return false;
    default:
      return true;
  }
}

const BS = 1 << 14;
const RTM = 1 << 16;
/** Bits 11:4, 13, 15 and 31:17. */
const PENDING_RESERVED = 0xfffe_aff0 | 0;
/** The processor could not take a single-step trap yet. */
const postponed = (v: EntryView) => blocking(v, BLOCKING_BY_STI | BLOCKING_BY_MOV_SS) || activity(v) === ACTIVITY_HLT;
/** RFLAGS.TF traps each instruction (IA32_DEBUGCTL.BTF, bit 1, makes it trap branches). */
const singleSteps = (v: EntryView) => flag(v, FLAG_TF) && (v.low(F.GUEST_IA32_DEBUGCTL) & 2) === 0;
const pending = (v: EntryView) => v.low(F.GUEST_PENDING_DEBUG_EXCEPTIONS);
const PENDING_FIELDS = [
  F.GUEST_PENDING_DEBUG_EXCEPTIONS,
  F.GUEST_INTERRUPTIBILITY_STATE,
  F.GUEST_ACTIVITY_STATE,
  F.GUEST_RFLAGS,
  F.GUEST_IA32_DEBUGCTL,
];

const linked = (v: EntryView) => v.low(F.VMCS_LINK_POINTER) !== -1 || v.high(F.VMCS_LINK_POINTER) !== -1;
/** The link pointer can be followed. */
const followable = (v: EntryView) =>
  linked(v) && (v.low(F.VMCS_LINK_POINTER) & 0xfff) === 0 && fits32(v, F.VMCS_LINK_POINTER);
/** First word of the region that it names: revision identifier and, as bit 31, the shadow-VMCS indicator. */
const linkedHead = (v: EntryView) => v.memory.read32(v.low(F.VMCS_LINK_POINTER) >>> 0);
const SHADOW = 1 << 31;

export const guestNonRegisterState: readonly EntryCheck[] = [
  check(
    'guest.activity.supported',
    STATE,
    [F.GUEST_ACTIVITY_STATE],
    (v) => {
      const state = activity(v) >>> 0;
      return state === ACTIVITY_ACTIVE || (state <= 3 && ((v.capabilities.activityStates >> (state - 1)) & 1) !== 0);
    },
    (v) => `${activity(v) >>> 0} is not an activity state of this processor`,
  ),
  check(
    'guest.activity.hlt-dpl',
    STATE,
    [F.GUEST_ACTIVITY_STATE, F.GUEST_SS_ACCESS_RIGHTS],
    (v) => activity(v) !== ACTIVITY_HLT || (v.low(F.GUEST_SS_ACCESS_RIGHTS) & 0x60) === 0,
    'must not be HLT unless the DPL of SS is 0',
  ),
  check(
    'guest.activity.blocking',
    STATE,
    [F.GUEST_ACTIVITY_STATE, F.GUEST_INTERRUPTIBILITY_STATE],
    (v) => activity(v) === ACTIVITY_ACTIVE || !blocking(v, BLOCKING_BY_STI | BLOCKING_BY_MOV_SS),
    'must be active while STI or MOV SS blocks events',
  ),
  check(
    'guest.activity.injection',
    STATE,
    [F.GUEST_ACTIVITY_STATE, INFO],
    (v) => !v.injects || injectable(v),
    'the injected event cannot occur in this activity state',
  ),
  check(
    'guest.interruptibility.reserved',
    STATE,
    [F.GUEST_INTERRUPTIBILITY_STATE],
    (v) => (v.low(F.GUEST_INTERRUPTIBILITY_STATE) & ~15) === 0,
    'bits 31:4 must be 0',
  ),
  check(
    'guest.interruptibility.sti-mov-ss',
    STATE,
    [F.GUEST_INTERRUPTIBILITY_STATE],
    (v) => !blocking(v, BLOCKING_BY_STI) || !blocking(v, BLOCKING_BY_MOV_SS),
    'bits 0 (blocking by STI) and 1 (blocking by MOV SS) must not both be 1',
  ),
  check(
    'guest.interruptibility.sti-if',
    STATE,
    [F.GUEST_INTERRUPTIBILITY_STATE, F.GUEST_RFLAGS],
    (v) => !blocking(v, BLOCKING_BY_STI) || flag(v, FLAG_IF),
    'bit 0 (blocking by STI) must be 0 while RFLAGS.IF is 0',
  ),
  check(
    'guest.interruptibility.interrupt-injection',
    STATE,
    [F.GUEST_INTERRUPTIBILITY_STATE, INFO],
    (v) => !injectsType(v, T.EXTERNAL_INTERRUPT) || !blocking(v, BLOCKING_BY_STI | BLOCKING_BY_MOV_SS),
    'bits 1:0 must be 0 when an external interrupt is injected',
  ),
  check(
    'guest.interruptibility.nmi-injection-mov-ss',
    STATE,
    [F.GUEST_INTERRUPTIBILITY_STATE, INFO],
    (v) => !injectsType(v, T.NMI) || !blocking(v, BLOCKING_BY_MOV_SS),
    'bit 1 (blocking by MOV SS) must be 0 when an NMI is injected',
  ),
  check(
    'guest.interruptibility.smi',
    STATE,
    [F.GUEST_INTERRUPTIBILITY_STATE],
    (v) => !blocking(v, BLOCKING_BY_SMI),
    'bit 2 (blocking by SMI) must be 0 outside system-management mode',
  ),
  // Left to the processor by the manual; this one is strict, so that software which is correct everywhere is asked for.
  check(
    'guest.interruptibility.nmi-injection-sti',
    STATE,
    [F.GUEST_INTERRUPTIBILITY_STATE, INFO],
    (v) => !injectsType(v, T.NMI) || !blocking(v, BLOCKING_BY_STI),
    'bit 0 (blocking by STI) must be 0 when an NMI is injected',
    { qualification: 3 },
  ),
  check(
    'guest.interruptibility.virtual-nmi',
    STATE,
    [F.GUEST_INTERRUPTIBILITY_STATE, INFO, F.PIN_BASED_VM_EXECUTION_CONTROLS],
    (v) => !injectsType(v, T.NMI) || !v.pin(PIN_BASED.VIRTUAL_NMIS) || !blocking(v, BLOCKING_BY_NMI),
    "bit 3 (blocking by NMI) must be 0 when an NMI is injected with 'virtual NMIs'",
  ),
  check(
    'guest.pending-debug.reserved',
    STATE,
    [F.GUEST_PENDING_DEBUG_EXCEPTIONS],
    (v) => (pending(v) & PENDING_RESERVED) === 0,
    'bits 11:4, 13, 15 and 31:17 must be 0',
  ),
  check(
    'guest.pending-debug.bs-missing',
    STATE,
    PENDING_FIELDS,
    (v) => !postponed(v) || !singleSteps(v) || (pending(v) & BS) !== 0,
    'bit 14 (BS) must be 1: RFLAGS.TF is 1 and its trap is postponed',
  ),
  check(
    'guest.pending-debug.bs-excess',
    STATE,
    PENDING_FIELDS,
    (v) => !postponed(v) || singleSteps(v) || (pending(v) & BS) === 0,
    'bit 14 (BS) must be 0: there is no single-step trap that could be postponed',
  ),
  check(
    'guest.pending-debug.rtm',
    STATE,
    [F.GUEST_PENDING_DEBUG_EXCEPTIONS],
    (v) => (pending(v) & RTM) === 0,
    'bit 16 must be 0: this processor has no restricted transactional memory',
  ),
  check(
    'guest.link-pointer.aligned',
    STATE,
    [F.VMCS_LINK_POINTER],
    (v) => !linked(v) || (v.low(F.VMCS_LINK_POINTER) & 0xfff) === 0,
    'bits 11:0 must be 0 unless the whole field is FFFF_FFFF_FFFF_FFFFh',
    { qualification: 4 },
  ),
  check(
    'guest.link-pointer.width',
    STATE,
    [F.VMCS_LINK_POINTER],
    (v) => !linked(v) || fits32(v, F.VMCS_LINK_POINTER),
    'must lie below 4 GiB unless the whole field is FFFF_FFFF_FFFF_FFFFh',
    { qualification: 4 },
  ),
  check(
    'guest.link-pointer.revision',
    STATE,
    [F.VMCS_LINK_POINTER],
    (v) => !followable(v) || (linkedHead(v) & ~SHADOW) === v.capabilities.revision,
    "the region must start with the processor's VMCS revision identifier",
    { qualification: 4, volatile: true },
  ),
  check(
    'guest.link-pointer.shadow',
    STATE,
    [F.VMCS_LINK_POINTER, ...SECONDARY_FIELDS],
    (v) => !followable(v) || linkedHead(v) < 0 === v.secondary(SECONDARY.VMCS_SHADOWING),
    (v) =>
      v.secondary(SECONDARY.VMCS_SHADOWING)
        ? "with 'VMCS shadowing' the region must be a shadow VMCS (bit 31 of its first word)"
        : "without 'VMCS shadowing' the region must not be a shadow VMCS (bit 31 of its first word)",
    { qualification: 4, volatile: true },
  ),
  check(
    'guest.link-pointer.current',
    STATE,
    [F.VMCS_LINK_POINTER],
    (v) => !followable(v) || v.low(F.VMCS_LINK_POINTER) >>> 0 !== v.pointer,
    'must not be the current VMCS',
    { qualification: 4, volatile: true },
  ),
];

const pae = (v: EntryView) => (v.low(F.GUEST_CR0) & CR0_PG) !== 0 && (v.low(F.GUEST_CR4) & CR4_PAE) !== 0;
const PAE_FIELDS = [F.GUEST_CR0, F.GUEST_CR4, ...SECONDARY_FIELDS];
/** Bits 2:1, 8:5 and those beyond the physical-address width. */
const entryValid = (lo: number, hi: number, bits: number) =>
  (lo & 1) === 0 || ((lo & 0x1e6) === 0 && withinPhysicalWidth({ lo, hi }, bits));
const ENTRIES = [0, 1, 2, 3];

export const guestPdptes: readonly EntryCheck[] = [
  ...ENTRIES.map((n) => {
    const field = F.GUEST_PDPTE0 + 2 * n;
    return check(
      `guest.pdpte${n}.reserved`,
      PDPTES,
      [field, ...PAE_FIELDS],
      (v) =>
        !pae(v) ||
        !v.secondary(SECONDARY.ENABLE_EPT) ||
        entryValid(v.low(field), v.high(field), v.capabilities.physicalAddressBits),
      'a present entry must have reserved bits 0 (2:1, 8:5, beyond the physical-address width)',
      { qualification: 2 },
    );
  }),
  ...ENTRIES.map((n) =>
    check(
      `guest.pdpte${n}.memory`,
      PDPTES,
      [F.GUEST_CR3, ...PAE_FIELDS],
      (v) => {
        if (!pae(v) || v.secondary(SECONDARY.ENABLE_EPT)) return true;
        const at = ((v.low(F.GUEST_CR3) & ~31) >>> 0) + 8 * n;
        return entryValid(v.memory.read32(at), v.memory.read32(at + 4), v.capabilities.physicalAddressBits);
      },
      `entry ${n} of the table that CR3 points to must have reserved bits 0 (2:1, 8:5, beyond the physical-address width)`,
      { qualification: 2, volatile: true },
    ),
  ),
];
