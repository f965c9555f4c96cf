/** Address brands. All of them are plain numbers (bytes, 0 ≤ n < 2^52); the brand only says which space a number lives in. */
declare const space: unique symbol;

/** What segmentation yields and paging translates (32 bits). */
export type Linear = number & { readonly [space]?: 'linear' };
/** What a guest takes for physical: paging yields it, EPT translates it. */
export type GuestPhysical = number & { readonly [space]?: 'guest-physical' };
/** An address on the machine's own bus. */
export type HostPhysical = number & { readonly [space]?: 'host-physical' };
