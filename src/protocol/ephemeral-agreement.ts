import { diffieHellman, type KeyObject } from 'node:crypto';
import { isAllZero, wipe } from '../base/bytes.ts';
import { EntropyError, type ErrorCode } from '../base/errors.ts';
import { randomBytes, type RandomSource } from '../base/random.ts';
import { KEY_BYTES } from './limits.ts';
import { privateKeyFrom, publicBytesOf, publicKeyFrom } from './raw-keys.ts';

/** An X25519 key for one connection, and its public bytes. */
export function newEphemeral(random: RandomSource): {
  readonly privateKey: KeyObject;
  readonly ephemeral: Buffer;
} {
  const secret = randomBytes(random, KEY_BYTES);
  try {
    const privateKey = privateKeyFrom('x25519', secret);
    return { privateKey, ephemeral: publicBytesOf(privateKey) };
  } finally {
    wipe(secret);
  }
}

/** RFC 7748, section 6.1: a shared secret of zeros comes from a public key of small order, and is refused. */
export function agree(privateKey: KeyObject, peer: Uint8Array, code: ErrorCode): Buffer {
  const sharedSecret = sharedSecretOf(privateKey, peer);
  if (sharedSecret === undefined || isAllZero(sharedSecret))
    throw new EntropyError(code, 'the ephemeral key is of small order');
  return sharedSecret;
}

/** undefined when OpenSSL refuses the key, as newer versions do for those of small order. */
function sharedSecretOf(privateKey: KeyObject, peer: Uint8Array): Buffer | undefined {
  try {
    return diffieHellman({ privateKey, publicKey: publicKeyFrom('x25519', peer) });
  } catch {
    return undefined;
  }
}
