/** Ways in which ringlet runs an image: on the machine itself, under its hypervisor with EPT pages of 4 KiB or 2 MiB, and under a
 *  loop that does nothing but what cannot be left out. */

export const WAYS = ['bare', 'nested', 'nested-large', 'minimal'] as const;
export type Way = (typeof WAYS)[number];

export const isWay = (text: string): text is Way => (WAYS as readonly string[]).includes(text);
