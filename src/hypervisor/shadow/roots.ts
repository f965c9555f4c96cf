/** Roots: which shadow table the guest's control registers ask for. */

import { CR0_PG, CR0_WP, CR4_PGE, CR4_PSE, CR4_SMAP, CR4_SMEP } from '../../base/registers.ts';
import { type PagingRegisters, usesNx, usesPae } from '../paging/registers.ts';
import type { TableName } from './directories.ts';
import { GUARDED, NXE, PAE, PAGING_OFF, PGE, PSE, ROOT, WP_CLEAR } from './role.ts';

/** The root for the guest's registers, found by CR3: 32-bit paging takes bits 31:12 of it, PAE paging bits 31:5. */
export function rootFor(r: PagingRegisters): TableName {
  const { cr0, cr3, cr4 } = r;
  if ((cr0 & CR0_PG) === 0) return { guestFrame: 0, role: PAGING_OFF };
  const rules =
    ROOT |
    ((cr0 & CR0_WP) !== 0 ? 0 : WP_CLEAR) |
    ((cr4 & CR4_PGE) !== 0 ? PGE : 0) |
    ((cr4 & (CR4_SMEP | CR4_SMAP)) !== 0 ? GUARDED : 0);
  if (usesPae(cr0, cr4)) return { guestFrame: cr3 >>> 5, role: rules | PAE | (usesNx(r) ? NXE : 0) };
  return { guestFrame: cr3 >>> 12, role: rules | ((cr4 & CR4_PSE) !== 0 ? PSE : 0) };
}
