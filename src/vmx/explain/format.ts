/** Values of fields as the manual prints them. */
import { hex, type U64 } from '../../base/int.ts';
import { type Field, fieldName, fieldOf } from '../field-table.ts';
import type { VmcsImage } from './image.ts';
import type { FieldChange } from './nearest.ts';

/** A 64-bit value: 0000_0000_0030_0000h. */
export const hex64 = ({ lo, hi }: U64): string => `${hex(hi).slice(0, -1)}_${hex(lo)}`;

/** The value of a field in as many digits as the field has; all of it where a log had more than 32 bits. */
export function valueText(field: Field, value: U64): string {
  if (field.width === 64 || value.hi !== 0) return hex64(value);
  return hex(value.lo, field.width === 16 ? 4 : 8);
}

/** `GUEST_CR0 = 8000_0031h`. */
export function fieldText(image: VmcsImage, encoding: number): string {
  const field = fieldOf(encoding);
  return field === undefined ? fieldName(encoding) : `${field.name} = ${valueText(field, image.value(field))}`;
}

export function changeText({ name, encoding, from, to }: FieldChange): string {
  const field = fieldOf(encoding) as Field;
  return `${name}: ${valueText(field, from)} → ${valueText(field, to)}`;
}
