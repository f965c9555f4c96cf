/** How many random cases the tests try: some in every run, ten times as many with `npm run test:properties`.
 *  RINGLET_EFFORT sets any other factor. */
export const EFFORT = Number(process.env.RINGLET_EFFORT ?? 1);

export const runs = (cases: number): number => Math.ceil(cases * EFFORT);
