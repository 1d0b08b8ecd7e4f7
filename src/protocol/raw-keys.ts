import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import { wipe } from '../base/bytes.ts';
import { KEY_BYTES } from './limits.ts';

/** Keys of RFC 7748 and RFC 8032 as their 32 bytes. */
export type Curve = 'x25519' | 'ed25519';

/** The names of RFC 8037. */
const JWK_NAMES: Readonly<Record<Curve, string>> = { x25519: 'X25519', ed25519: 'Ed25519' };

/** What stands before the 32 bytes in PKCS#8 (RFC 8410, section 7). */
const PRIVATE_PREFIX: Readonly<Record<Curve, Buffer>> = {
  x25519: Buffer.from('302e020100300506032b656e04220420', 'hex'),
  ed25519: Buffer.from('302e020100300506032b657004220420', 'hex'),
};

/**
 * A private key from its 32 secret bytes, which stay the caller's to wipe; what OpenSSL keeps is cleansed when it is collected. As a JWK
 * it would be read ten times as fast, but the secret would have been a string, which nothing can wipe.
 */
export function privateKeyFrom(curve: Curve, secret: Uint8Array): KeyObject {
  assertKeyBytes(secret);
  const wrapped = Buffer.concat([PRIVATE_PREFIX[curve], secret]);
  try {
    return createPrivateKey({ key: wrapped, format: 'der', type: 'pkcs8' });
  } finally {
    wipe(wrapped);
  }
}

export function publicKeyFrom(curve: Curve, bytes: Uint8Array): KeyObject {
  assertKeyBytes(bytes);
  const x = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('base64url');
  return createPublicKey({ key: { kty: 'OKP', crv: JWK_NAMES[curve], x }, format: 'jwk' });
}

/** The 32 public bytes of a private or public key of either curve. */
export function publicBytesOf(key: KeyObject): Buffer {
  const publicKey = key.type === 'private' ? createPublicKey(key) : key;
  const { x } = publicKey.export({ format: 'jwk' });
  if (x === undefined) throw new TypeError('this is no key of X25519 or Ed25519');
  return Buffer.from(x, 'base64url');
}

function assertKeyBytes(bytes: Uint8Array): void {
  if (bytes.length !== KEY_BYTES) throw new RangeError(`a key has ${KEY_BYTES} bytes`);
}
