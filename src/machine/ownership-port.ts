/** A debug port by which root-mode machine code declares which frames belong to which VM. Doublewords:
 *
 *    +0  name of the VM (the address of its VMCS)
 *    +4  first frame: address of it, bits 11:0 ignored
 *    +8  number of frames
 *   +12  what: 1 own, 2 share with the rights in bits 10:8, 3 release; writing it makes the declaration
 *
 *  What a guest writes there in VMX non-root operation is dropped: a guest has no say in who owns what. */
import type { Machine } from './machine.ts';
import type { OwnershipChange } from './trace-event.ts';

const KINDS: readonly (OwnershipChange['kind'] | undefined)[] = [undefined, 'own', 'share', 'release'];
const LENGTH = 16;

/** Puts the port on a machine's board. */
export function attachOwnershipPort(machine: Machine, port: number): void {
  const registers = [0, 0, 0];
  machine.ports.add(port, LENGTH, {
    widestAccess: 4,
    read: () => -1,
    write: (offset, value, size) => {
      if (size !== 4 || offset % 4 !== 0 || machine.vmx?.context.nonRoot) return;
      if (offset < 12) {
        registers[offset / 4] = value;
        return;
      }
      const kind = KINDS[value & 0xff];
      const [vm, address, frames] = registers;
      if (kind === undefined) return;
      const rights = kind === 'own' ? 7 : kind === 'share' ? (value >>> 8) & 7 : 0;
      machine.onOwnership?.({ kind, vm, frame: address >>> 12, frames, rights });
    },
  });
}
