/** Records of the decoded form that every block may hold; the numbers of the loop's forms follow (forms.generated.ts). */

export const STALE = 0; // its bytes have changed: look again
export const MOVED = 1; // + record that replaces it
export const LINK = 2; // + word to patch, offset of the target from P: target in the same page
export const OUTSIDE = 3; // + unused, offset of the target from P: target in another page
export const END = 4; // + cost, link
export const COLD = 5; // + out-of-line form, instruction
export const HANDLER = 6; // + handler, instruction: goes on behind it unless the handler went elsewhere
export const TRANSFER = 7; // + handler, instruction: ends the block
export const CROSSING = 8; // + nothing
export const FIRST_HOT = 9;
/** Most instructions of a block; also the headroom of an exact stop. */
export const BLOCK_LIMIT = 63;
