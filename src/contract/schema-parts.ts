import { Type, type TUnsafe } from 'typebox';

/** What every schema of the contract is made with. */

/** An object that holds what is named and nothing else. */
export const closed = { additionalProperties: false } as const;

/** One of some words. */
export function oneOf<const T extends string>(...values: readonly T[]): TUnsafe<T> {
  return Type.Unsafe<T>(Type.Enum([...values]));
}
