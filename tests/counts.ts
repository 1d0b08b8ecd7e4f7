/** True in `npm run test:long`: the same tests at their full counts. */
export const LONG = process.env.TEST_LONG === '1';

/** How often a sampled test runs: a short count for `npm test`, the full one for `npm run test:long`. */
export function count(short: number, long: number): number {
  return LONG ? long : short;
}
