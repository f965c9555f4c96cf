/** Registers by name. */

export type RegisterClass = 'r8' | 'r16' | 'r32' | 'segment' | 'control' | 'debug';

export interface Register {
  readonly name: string;
  readonly class: RegisterClass;
  /** Its number in ModRM, in an opcode, in a SIB byte. */
  readonly number: number;
  /** Operand size in bytes. */
  readonly size: 1 | 2 | 4;
}

const GENERAL = {
  r8: 'al cl dl bl ah ch dh bh',
  r16: 'ax cx dx bx sp bp si di',
  r32: 'eax ecx edx ebx esp ebp esi edi',
  segment: 'es cs ss ds fs gs',
  control: 'cr0 cr1 cr2 cr3 cr4 cr5 cr6 cr7',
  debug: 'dr0 dr1 dr2 dr3 dr4 dr5 dr6 dr7',
} as const;

const SIZE: Readonly<Record<RegisterClass, 1 | 2 | 4>> = { r8: 1, r16: 2, r32: 4, segment: 2, control: 4, debug: 4 };

/** Every register, by its lower-case name. */
export const registers: ReadonlyMap<string, Register> = new Map(
  (Object.keys(GENERAL) as RegisterClass[]).flatMap((group) =>
    GENERAL[group]
      .split(' ')
      .map((name, number): [string, Register] => [name, { name, class: group, number, size: SIZE[group] }]),
  ),
);

/** The register of that name; throws for a name that is none. */
export function register(name: string): Register {
  const found = registers.get(name);
  if (found === undefined) throw new RangeError(`no register is called ${name}`);
  return found;
}
