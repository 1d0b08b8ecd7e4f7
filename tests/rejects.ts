import * as assert from 'uvu/assert';
import { isEntropyError, type ErrorCode } from '../src/base/errors.ts';

/** Passes when the work is refused with this code, and gives the error for further looks. */
export async function rejectsWith(work: Promise<unknown>, code: ErrorCode): Promise<Error> {
  const outcome = await work.then(
    () => undefined,
    (error: unknown) => error,
  );
  assert.ok(outcome instanceof Error, `expected ${code}, and nothing was refused`);
  assert.ok(isEntropyError(outcome, code), `expected ${code}, got ${outcome.stack ?? outcome.message}`);
  return outcome;
}

/** The same for work that is done at once. */
export function throwsWith(work: () => unknown, code: ErrorCode): void {
  assert.throws(work, (error: unknown) => isEntropyError(error, code));
}

/**
 * For `assert.throws(work, isA(RangeError))`: uvu calls what it is given, and a class that is called gives an error, which is true, whatever
 * was thrown.
 */
export function isA(kind: ErrorConstructor): (error: unknown) => boolean {
  return (error) => error instanceof kind;
}
