/** Errors that are thrown. Architectural events (faults, exits) are values and never appear here. */

/** Something a processor of this model has and ringlet does not have yet. Stops the run, names bytes and address. */
export class Unimplemented extends Error {
  /** What is missing, in the words of the support matrix. */
  readonly feature: string;
  /** Linear address of the instruction, if an instruction asked for it. */
  address: number | undefined;
  /** Bytes of the instruction, if known. */
  bytes: readonly number[] | undefined;

  constructor(feature: string, address?: number, bytes?: readonly number[]) {
    super(feature);
    this.name = 'Unimplemented';
    this.feature = feature;
    this.address = address;
    this.bytes = bytes;
  }
}

/** Input from outside (an image, a snapshot, an option) that cannot be used. The message says what is wrong and what to change. */
export class InvalidInput extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'InvalidInput';
  }
}

/** State that a component got to restore from: an allegation, to be checked field by field. */
export type Unvalidated<T> = { readonly [K in keyof T]?: unknown };
