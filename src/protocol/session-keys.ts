import { createHmac, timingSafeEqual } from 'node:crypto';
import { wipe } from '../base/bytes.ts';
import { hkdfSha256 } from '../base/hkdf.ts';
import { KEY_BYTES } from './limits.ts';

/**
 * The key schedule. HKDF-SHA-256 (RFC 5869) over X25519 shared secret ‖ enrolled key, salted with the transcript, gives four keys by
 * label. The shared secret is forgotten with the ephemeral keys, so an enrolled key stolen later opens nothing; the enrolled key is in it,
 * so whoever sits between and has no key learns nothing either.
 */
const LABELS = {
  feederProof: 'entropy-feed.v1 feeder proof',
  hostProof: 'entropy-feed.v1 host proof',
  feederToHost: 'entropy-feed.v1 feeder to host',
  hostToFeeder: 'entropy-feed.v1 host to feeder',
} as const;

/** Four secret keys of 32 bytes; wiped by whoever had them derived. */
export type SessionKeys = Readonly<Record<keyof typeof LABELS, Buffer>>;

export function deriveSessionKeys(
  sharedSecret: Uint8Array,
  enrolledKey: Uint8Array,
  transcript: Uint8Array,
): SessionKeys {
  // Two fixed lengths, or the border between the two would be open.
  if (sharedSecret.length !== KEY_BYTES || enrolledKey.length !== KEY_BYTES)
    throw new RangeError(`shared secret and enrolled key have ${KEY_BYTES} bytes`);
  const material = Buffer.concat([sharedSecret, enrolledKey]);
  const derive = (label: string): Buffer => hkdfSha256(material, transcript, label, KEY_BYTES);
  try {
    return {
      feederProof: derive(LABELS.feederProof),
      hostProof: derive(LABELS.hostProof),
      feederToHost: derive(LABELS.feederToHost),
      hostToFeeder: derive(LABELS.hostToFeeder),
    };
  } finally {
    wipe(material);
  }
}

export function wipeSessionKeys(keys: SessionKeys): void {
  for (const key of Object.values(keys)) wipe(key);
}

/** HMAC-SHA-256 of what the role has seen, in order: the transcript, and for the host what its welcome says. */
export function proofOf(proofKey: Uint8Array, ...seen: readonly Uint8Array[]): Buffer {
  const mac = createHmac('sha256', proofKey);
  for (const part of seen) mac.update(part);
  return mac.digest();
}

export function isProof(given: Uint8Array, proofKey: Uint8Array, ...seen: readonly Uint8Array[]): boolean {
  const expected = proofOf(proofKey, ...seen);
  const matches = given.length === expected.length && timingSafeEqual(given, expected);
  // The proof that would have been right is nobody else's business.
  wipe(expected);
  return matches;
}
