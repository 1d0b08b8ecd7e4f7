/** The largest time a Date can hold (ECMA-262, time values): a daemon's clock or answer may be beyond it. */
const MAXIMUM_TIME_MS = 8.64e15;

/** ISO 8601 in UTC, from milliseconds since 1970-01-01. */
export function timeText(ms: number): string {
  return Math.abs(ms) <= MAXIMUM_TIME_MS ? new Date(ms).toISOString() : `${ms} ms`;
}
