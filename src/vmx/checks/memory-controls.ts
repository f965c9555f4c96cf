/** Checks on VM-execution controls that bring structures of their own for the guest's memory: page-modification logging, VM functions,
 *  VMCS shadowing, virtualization exceptions (SDM Vol. 3, "VM-Execution Control Fields" of the checks on VMX controls). */
import { SECONDARY, VM_FUNCTION } from '../controls.ts';
import * as F from '../fields.ts';
import { bitList, check, type EntryCheck, type EntryView, fits32, SECONDARY_FIELDS } from './check.ts';

const EXECUTION = 'VM-Execution Control Fields';

/** A page whose address a field gives: aligned to 4 KiB and below 4 GiB where it is used. */
function page(id: string, field: number, fields: readonly number[], used: (v: EntryView) => boolean, by: string) {
  const all = [field, ...fields];
  return [
    check(
      `${id}.aligned`,
      EXECUTION,
      all,
      (v) => !used(v) || (v.low(field) & 0xfff) === 0,
      `with '${by}' bits 11:0 of the address must be 0`,
    ),
    check(
      `${id}.width`,
      EXECUTION,
      all,
      (v) => !used(v) || fits32(v, field),
      `with '${by}' the address must lie below 4 GiB`,
    ),
  ];
}

const ept = (v: EntryView) => v.secondary(SECONDARY.ENABLE_EPT);
const pml = (v: EntryView) => v.secondary(SECONDARY.ENABLE_PML);
const functions = (v: EntryView) => v.secondary(SECONDARY.ENABLE_VM_FUNCTIONS);
const switching = (v: EntryView) => functions(v) && (v.low(F.VM_FUNCTION_CONTROLS) & VM_FUNCTION.EPTP_SWITCHING) !== 0;
const shadowing = (v: EntryView) => v.secondary(SECONDARY.VMCS_SHADOWING);
const exceptions = (v: EntryView) => v.secondary(SECONDARY.EPT_VIOLATION_VE);
const FUNCTIONS = [F.VM_FUNCTION_CONTROLS, ...SECONDARY_FIELDS];
const [PRIMARY_FIELD, SECONDARY_FIELD] = SECONDARY_FIELDS as readonly [number, number];

export const memoryControls: readonly EntryCheck[] = [
  check(
    'execution.pml.ept',
    EXECUTION,
    [SECONDARY_FIELD, PRIMARY_FIELD],
    (v) => !pml(v) || ept(v),
    "'enable PML' needs 'enable EPT'",
  ),
  ...page('execution.pml-address', F.PML_ADDRESS, SECONDARY_FIELDS, pml, 'enable PML'),
  check(
    'execution.vm-functions.must-be-zero',
    EXECUTION,
    FUNCTIONS,
    (v) =>
      !functions(v) ||
      ((v.low(F.VM_FUNCTION_CONTROLS) & ~v.capabilities.vmFunctions) === 0 && v.high(F.VM_FUNCTION_CONTROLS) === 0),
    (v) => {
      const excess = v.low(F.VM_FUNCTION_CONTROLS) & ~v.capabilities.vmFunctions;
      return `this processor has no VM function for ${excess !== 0 ? bitList(excess) : 'bits above 31'}: must be 0`;
    },
  ),
  check(
    'execution.eptp-switching.ept',
    EXECUTION,
    FUNCTIONS,
    (v) => !switching(v) || ept(v),
    "VM function 0 (EPTP switching) needs 'enable EPT'",
  ),
  ...page('execution.eptp-list', F.EPTP_LIST_ADDRESS, FUNCTIONS, switching, 'EPTP switching'),
  ...page('execution.vmread-bitmap', F.VMREAD_BITMAP_ADDRESS, SECONDARY_FIELDS, shadowing, 'VMCS shadowing'),
  ...page('execution.vmwrite-bitmap', F.VMWRITE_BITMAP_ADDRESS, SECONDARY_FIELDS, shadowing, 'VMCS shadowing'),
  ...page(
    'execution.ve-information',
    F.VIRTUALIZATION_EXCEPTION_INFORMATION_ADDRESS,
    SECONDARY_FIELDS,
    exceptions,
    'EPT-violation #VE',
  ),
];
