import { isEntropyError, messageOf, type EntropyError, type ErrorCode } from '../src/base/errors.ts';

/** Passes when the work is refused with this code, and gives the error for further looks. */
export async function rejectsWith(work: Promise<unknown>, code: ErrorCode): Promise<EntropyError> {
  const outcome = await work.then(
    () => undefined,
    (error: unknown) => error,
  );
  return expected(outcome, code);
}

/** The same for work that is done at once. */
export function throwsWith(work: () => unknown, code: ErrorCode): EntropyError {
  let outcome: unknown;
  try {
    work();
  } catch (error) {
    outcome = error;
  }
  return expected(outcome, code);
}

/**
 * For `assert.throws(work, isA(RangeError))`: uvu calls what it is given, and a class that is called gives an error, which is true, whatever
 * was thrown.
 */
export function isA(kind: ErrorConstructor): (error: unknown) => boolean {
  return (error) => error instanceof kind;
}

function expected(outcome: unknown, code: ErrorCode): EntropyError {
  if (outcome === undefined) throw new Error(`expected ${code}, and nothing was refused`);
  if (isEntropyError(outcome, code)) return outcome;
  throw new Error(`expected ${code}, got ${messageOf(outcome)}`, { cause: outcome });
}
