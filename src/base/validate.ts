/** Checks for data that came from outside: snapshots, images, options. Each returns the value with its type or throws
 *  InvalidInput with a message that names the field, the value and what would be accepted. */

import { InvalidInput } from './errors.ts';

const show = (value: unknown): string => {
  if (typeof value === 'string') return JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value);
  if (Array.isArray(value)) return `a list of ${value.length}`;
  return typeof value === 'object' && value !== null ? 'an object' : String(value);
};

const refuse = (field: string, value: unknown, wanted: string): never => {
  throw new InvalidInput(`${field} is ${show(value)}, must be ${wanted}`);
};

/** An integer from `least` to `most`, both included. */
export function integer(value: unknown, field: string, least: number, most: number): number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < least || value > most) {
    return refuse(field, value, `an integer from ${least} to ${most}`);
  }
  return value;
}

/** An unsigned byte, word, doubleword. */
export const byte = (value: unknown, field: string): number => integer(value, field, 0, 0xff);
export const word = (value: unknown, field: string): number => integer(value, field, 0, 0xffff);
export const dword = (value: unknown, field: string): number => integer(value, field, 0, 0xffff_ffff);
/** A 32-bit pattern as typed arrays hold it. */
export const int32 = (value: unknown, field: string): number => integer(value, field, -0x8000_0000, 0x7fff_ffff);

/** A point in virtual time. */
export const ticks = (value: unknown, field: string): number => integer(value, field, 0, Number.MAX_SAFE_INTEGER);

/** A point in virtual time, or null for "not set". */
export const ticksOrNull = (value: unknown, field: string): number | null =>
  value === null ? null : ticks(value, field);

export function boolean(value: unknown, field: string): boolean {
  return typeof value === 'boolean' ? value : refuse(field, value, 'true or false');
}

export function string(value: unknown, field: string, most = 0x1_0000): string {
  return typeof value === 'string' && value.length <= most
    ? value
    : refuse(field, value, `text of at most ${most} characters`);
}

/** One of a list of literals. */
export function oneOf<T extends string | number>(value: unknown, field: string, choices: readonly T[]): T {
  return choices.includes(value as T) ? (value as T) : refuse(field, value, `one of ${choices.join(', ')}`);
}

/** A list of at most `most` elements (exactly `least` when both are equal), each checked by `check`. */
export function list<T>(
  value: unknown,
  field: string,
  least: number,
  most: number,
  check: (element: unknown, field: string) => T,
): T[] {
  if (!Array.isArray(value) || value.length < least || value.length > most) {
    return refuse(field, value, least === most ? `a list of ${least}` : `a list of ${least} to ${most}`);
  }
  return Array.from(value, (element, i) => check(element, `${field}[${i}]`)); // holes are elements, too
}

/** A plain object whose fields are still to be checked. */
export function record(value: unknown, field: string): { readonly [key: string]: unknown } {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return refuse(field, value, 'an object');
  return value as { readonly [key: string]: unknown };
}
