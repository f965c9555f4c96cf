/** Selection: which form an instruction takes, and what is wrong if none fits. */

import { encodeAddress, hasRegisters } from './address.ts';
import { counted } from './errors.ts';
import { type Form, formsOf } from './forms.ts';
import type { AssemblyInstruction, ImmediateOperand, MemoryOperand, Operand, Size } from './operands.ts';
import type { Slot } from './slots.ts';

/** The better fit is the larger. */
const INVALID = 0;
const SIZE_MISSING = 1;
const SIZE_WRONG = 2;
const FITS = 3;
type Fit = typeof INVALID | typeof SIZE_MISSING | typeof SIZE_WRONG | typeof FITS;

/** Where and how code is placed. */
export interface Position {
  readonly bits: 16 | 32;
  readonly section: number;
  /** Offset of the instruction in its section. */
  readonly offset: number;
}

const sizeOf = (operand: Operand): Size => (operand.kind === 'register' ? operand.register.size : operand.size);

/** Sizes that operands are taken to have although nobody declared them: found out from the only form that fits. */
type Assumed = readonly Size[];
const NOTHING_ASSUMED: Assumed = [0, 0, 0];

function kindFits(slot: Slot, operand: Operand, position: Position, addressSize: 2 | 4): boolean {
  switch (operand.kind) {
    case 'register':
      return (
        slot.registers.includes(operand.register.class) &&
        (slot.only === undefined || slot.only === operand.register.name)
      );
    case 'memory':
      if (!slot.memory || (slot.distance === 'far') !== (operand.distance === 'far')) return false;
      return slot.role !== 'O' || isOffset(operand, addressSize);
    case 'far':
      return slot.role === 'A';
    case 'immediate':
      if (slot.role !== 'I' && slot.role !== 'J' && slot.value === undefined) return false;
      if (slot.distance !== undefined && slot.distance !== operand.distance) return false;
      // short is said to forms that ask for it only, near to jumps that are not of a byte
      if (operand.distance === 'short' && slot.distance !== 'short') return false;
      if (operand.distance === 'near' && (slot.role !== 'J' || slot.bytes === 1)) return false;
      return valueFits(slot, operand, position);
  }
}

/** A bare displacement of the size of addresses. */
const isOffset = (m: MemoryOperand, addressSize: 2 | 4): boolean =>
  !hasRegisters(m) && (m.displacementSize === 0 || m.displacementSize === addressSize);

function valueFits(slot: Slot, { value, strict }: ImmediateOperand, position: Position): boolean {
  if (slot.value === undefined) return true;
  // hope for the best in the first pass
  if (value.unknown) return !strict;
  if (value.plus !== null || value.minus !== null) return false;
  if (slot.value === 'one') return value.number === 1n;
  if (strict) return false;
  const width = widthOfSlot(slot, position);
  return BigInt.asUintN(width * 8, value.number + 128n) <= 255n;
}

/** The operand size that a sign-extended byte is extended to. */
const widthOfSlot = (slot: Slot, position: Position): number =>
  slot.size || (slot.same > 0 ? slot.same : position.bits / 8);

function sizeFits(slot: Slot, operand: Operand, assumed: Size, position: Position): Fit {
  if (operand.kind === 'register') return FITS;
  const implied = slot.implied === 'bits' ? ((position.bits / 8) as Size) : (slot.implied ?? 0);
  const size = sizeOf(operand) || assumed;
  if (slot.size !== 0) {
    const taken = size || implied;
    return taken === slot.size ? FITS : taken === 0 ? SIZE_MISSING : INVALID;
  }
  return size === 0 || slot.same === -1 || slot.same === size ? FITS : SIZE_WRONG;
}

function fitOf(
  form: Form,
  operands: readonly Operand[],
  assumed: Assumed,
  position: Position,
  addressSize: 2 | 4,
): Fit {
  if (form.slots.length !== operands.length) return INVALID;
  let worst: Fit = FITS;
  let missing = false;
  for (let i = 0; i < operands.length; i++) {
    const slot = form.slots[i] as Slot;
    const operand = operands[i] as Operand;
    if (!kindFits(slot, operand, position, addressSize)) return INVALID;
    const size = sizeFits(slot, operand, assumed[i] as Size, position);
    if (size === INVALID) return INVALID;
    if (size === SIZE_MISSING) missing = true;
    else if (size < worst) worst = size;
  }
  return missing ? SIZE_MISSING : worst;
}

/** Bytes of a jump with a byte of distance. */
const SHORT_JUMP = 2;

/** Whether a relaxed jump's target is near enough for a byte. */
function isNear(target: ImmediateOperand, position: Position, prefixLength: number): boolean {
  if (target.strict) return false;
  if (target.value.unknown) return true;
  if (target.value.plus !== position.section || target.value.minus !== null) return false;
  const distance = target.value.number - BigInt(position.offset + prefixLength + SHORT_JUMP);
  return distance >= -128n && distance <= 127n;
}

/** Tries the forms in their order. Returns the first that fits, else the best fit that there was. */
function firstFit(
  forms: readonly Form[],
  operands: readonly Operand[],
  assumed: Assumed,
  position: Position,
  addressSize: 2 | 4,
  prefixLength: number,
): Form | Fit {
  let best = INVALID as Fit;
  for (const form of forms) {
    const result = fitOf(form, operands, assumed, position, addressSize);
    if (result === FITS) {
      if (!form.relaxed || isNear(operands[0] as ImmediateOperand, position, prefixLength)) return form;
    } else if (result > best) best = result;
  }
  return best;
}

/** Sizes that were not declared, where there is one possibility for each; null if there are more. */
function onlySizes(
  forms: readonly Form[],
  operands: readonly Operand[],
  position: Position,
  addressSize: 2 | 4,
): Assumed | null {
  const possible = operands.map((o) => new Set<Size>([o.kind === 'register' ? 0 : o.size]));
  for (const form of forms)
    if (fitOf(form, operands, NOTHING_ASSUMED, position, addressSize) === SIZE_MISSING)
      form.slots.forEach((slot, n) => void possible[n]?.add(slot.size));
  for (const sizes of possible) sizes.delete(0);
  const open = operands.some((o, n) => o.kind !== 'register' && (possible[n] as Set<Size>).size > 1);
  return open ? null : operands.map((o, n) => (o.kind === 'register' ? 0 : ([...(possible[n] as Set<Size>)][0] ?? 0)));
}

/** The form for an instruction, or what is wrong. `prefixLength`: bytes of prefixes that a jump would have. */
export function selectForm(
  instruction: AssemblyInstruction,
  position: Position,
  addressSize: 2 | 4,
  prefixLength: number,
): Form | string {
  const { operands, mnemonic } = instruction;
  const forms = formsOf(mnemonic);
  if (forms === undefined) return `there is no instruction \`${mnemonic}\``;
  const found = firstFit(forms, operands, NOTHING_ASSUMED, position, addressSize, prefixLength);
  if (typeof found !== 'number') return found;
  const assumed = found === SIZE_MISSING ? onlySizes(forms, operands, position, addressSize) : null;
  const again = assumed === null ? found : firstFit(forms, operands, assumed, position, addressSize, prefixLength);
  return typeof again !== 'number' ? again : complaint(instruction, found, forms, addressSize);
}

function complaint({ mnemonic, operands }: AssemblyInstruction, best: Fit, forms: readonly Form[], addressSize: 2 | 4) {
  for (const operand of operands) {
    const address = operand.kind === 'memory' ? encodeAddress(operand, addressSize) : null;
    if (typeof address === 'string') return address;
  }
  if (best === SIZE_MISSING) return 'the size of the operand is not known: say byte, word or dword';
  if (best === SIZE_WRONG) return 'the sizes of the operands differ';
  const counts = [...new Set(forms.map((f) => f.slots.length))].sort();
  if (!counts.includes(operands.length)) {
    const expected = counted(
      counts.map((n) => n || 'no'),
      'operand',
    );
    return `\`${mnemonic}\`: expected ${expected}, found ${operands.length || 'none'}`;
  }
  return `\`${mnemonic}\` does not take such operands`;
}
