import { secretBytes } from './bytes.ts';

/**
 * Fills the target with secret random bytes, at once; throws when it cannot, and never gives less. Keys, nonces and
 * salts come from the one source that the composition root hands out, so nothing below it draws its own.
 */
export type RandomSource = (target: Uint8Array) => void;

/** A fresh buffer of random bytes; never a slice of a shared one, so wiping it wipes all there is. */
export function randomBytes(random: RandomSource, lengthBytes: number): Buffer {
  const bytes = secretBytes(lengthBytes);
  random(bytes);
  return bytes;
}
