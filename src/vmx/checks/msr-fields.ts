/** Rules about MSRs that are fields of the VMCS, the same for guest and host (SDM Vol. 3, "Checks on Host Control Registers, MSRs, and
 *  SSP", "Checks on Guest Control Registers, Debug Registers, and MSRs").
 *
 *  IA32_EFER.LMA and LME have no rule of their own: they are reserved on a processor without Intel 64. */
import { PERFORMANCE_COUNTERS } from '../../cpu/model.ts';
import { isMemoryTypes } from '../../cpu/msr.ts';
import { bitList, check, type EntryCheck, type EntryView } from './check.ts';

type Used = (v: EntryView) => boolean;

/** A bit for each counter that there is. */
const COUNTERS = (1 << PERFORMANCE_COUNTERS) - 1;
/** IA32_EFER.NXE */
const EFER_BITS = 0x800;

/** `control`: the word that says whether the field is used. */
export const performanceControl = (
  id: string,
  section: string,
  field: number,
  control: number,
  used: Used,
): EntryCheck[] => [
  check(
    `${id}.perf-global-ctrl.reserved`,
    section,
    [field, control],
    (v) => !used(v) || ((v.low(field) & ~COUNTERS) === 0 && v.high(field) === 0),
    `when it is loaded only bits 0 to ${PERFORMANCE_COUNTERS - 1} may be 1, one for each counter`,
  ),
];

export const pat = (id: string, section: string, field: number, control: number, used: Used): EntryCheck[] => [
  check(
    `${id}.pat.types`,
    section,
    [field, control],
    (v) => !used(v) || (isMemoryTypes(v.low(field)) && isMemoryTypes(v.high(field))),
    'when it is loaded each of its 8 bytes must be 0 (UC), 1 (WC), 4 (WT), 5 (WP), 6 (WB) or 7 (UC-)',
  ),
];

export const efer = (id: string, section: string, field: number, control: number, used: Used): EntryCheck[] => [
  check(
    `${id}.efer.reserved`,
    section,
    [field, control],
    (v) => !used(v) || ((v.low(field) & ~EFER_BITS) === 0 && v.high(field) === 0),
    (v) => `when it is loaded only bit 11 (NXE) may be 1, not ${bitList(v.low(field) & ~EFER_BITS)}`,
  ),
];
