/** Source of state-copy.generated.ts: the guest-state area saved and loaded field by field, as straight code. As loops over the table the
 *  same takes twice as long, and every VM exit and entry runs it. */

import { fieldName } from '../field-table.ts';
import { GUEST_FIELDS, GUEST_REGISTERS, GUEST_WORDS } from '../state-map.ts';

export function stateCopySource(): string {
  const all = GUEST_FIELDS.map((field, k) => ({
    name: fieldName(field),
    register: GUEST_REGISTERS[k] as number,
    word: GUEST_WORDS[k] as number,
  }));
  const save = all.map(
    ({ name, register, word }) =>
      `  if ((d = w[${word}] ^ S[${register}]) !== 0) { w[${word}] = S[${register}]; groups |= groupsOfChange(${word}, d); } // ${name}`,
  );
  const load = all.map(({ name, register, word }) => `  S[${register}] = w[${word}]; // ${name}`);
  return `import { groupsOfChange } from './checks/index.ts';

/** Saves registers S into the words of a VMCS; returns the groups of entry checks that have to be looked at again. */
export function saveGuestRegisters(S: Int32Array, w: Int32Array): number {
  let d = 0;
  let groups = 0;
${save.join('\n')}
  return groups;
}

/** Loads registers S from the words of a VMCS. */
export function loadGuestRegisters(S: Int32Array, w: Int32Array): void {
${load.join('\n')}
}
`;
}
