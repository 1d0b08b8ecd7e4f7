import { createCipheriv, createDecipheriv } from 'node:crypto';
import { wipe } from '../base/bytes.ts';
import { EntropyError } from '../base/errors.ts';
import { hkdfSha256 } from '../base/hkdf.ts';
import { randomBytes, type RandomSource } from '../base/random.ts';

/**
 * An envelope keeps bytes secret and unaltered under a key. Layout, integers big-endian:
 *
 *    0  "emenvlop"          8
 *    8  version u32         4
 *   12  key id             16   which key opens it; says nothing about the key
 *   28  salt               32   fresh for each envelope
 *   60  plaintext length    4
 *   64  ciphertext        0…
 *       tag                16
 *
 * AES-256-GCM (SP 800-38D) under a key and a nonce that both come from HKDF-SHA-256(key, salt), so no key ever meets
 * two plaintexts. The header is the associated data.
 */
const MAGIC = Buffer.from('emenvlop', 'latin1');
const VERSION = 1;
export const KEY_BYTES = 32;
export const KEY_ID_BYTES = 16;
const SALT_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const KEY_ID_OFFSET = MAGIC.length + 4;
const SALT_OFFSET = KEY_ID_OFFSET + KEY_ID_BYTES;
const LENGTH_OFFSET = SALT_OFFSET + SALT_BYTES;
const HEADER_BYTES = LENGTH_OFFSET + 4;

/** What an envelope adds to its plaintext, in bytes. */
export const ENVELOPE_OVERHEAD_BYTES = HEADER_BYTES + TAG_BYTES;
export const MAXIMUM_PLAINTEXT_BYTES = 16 * 1024 * 1024;

/** A key as its owner holds it: 32 secret bytes, and the public 16 that name them. */
export interface EnvelopeKey {
  readonly id: Uint8Array;
  readonly secret: Uint8Array;
}

/** Seals up to MAXIMUM_PLAINTEXT_BYTES. The purpose is not stored: what was sealed for one opens for no other. */
export function sealEnvelope(
  key: EnvelopeKey,
  purpose: string,
  plaintext: Uint8Array,
  random: RandomSource,
): Buffer {
  if (plaintext.length > MAXIMUM_PLAINTEXT_BYTES)
    throw new RangeError('the plaintext is larger than an envelope holds');
  const header = Buffer.alloc(HEADER_BYTES);
  MAGIC.copy(header);
  header.writeUInt32BE(VERSION, MAGIC.length);
  header.set(key.id, KEY_ID_OFFSET);
  header.set(randomBytes(random, SALT_BYTES), SALT_OFFSET);
  header.writeUInt32BE(plaintext.length, LENGTH_OFFSET);
  return withDerived(key.secret, header, purpose, (cipherKey, nonce) => {
    const cipher = createCipheriv('aes-256-gcm', cipherKey, nonce, { authTagLength: TAG_BYTES });
    cipher.setAAD(header);
    const parts = [header, cipher.update(plaintext), cipher.final(), cipher.getAuthTag()];
    return Buffer.concat(parts);
  });
}

/** Opens an envelope; the plaintext is the caller's to wipe. Throws `state-damaged`, `state-version-newer`. */
export function openEnvelope(key: EnvelopeKey, purpose: string, envelope: Uint8Array): Buffer {
  const bytes = Buffer.from(envelope.buffer, envelope.byteOffset, envelope.length);
  assertHeader(bytes, purpose);
  if (!bytes.subarray(KEY_ID_OFFSET, SALT_OFFSET).equals(key.id))
    throw damaged(purpose, 'is under another key');
  const header = bytes.subarray(0, HEADER_BYTES);
  return withDerived(key.secret, header, purpose, (cipherKey, nonce) => {
    const decipher = createDecipheriv('aes-256-gcm', cipherKey, nonce, { authTagLength: TAG_BYTES });
    decipher.setAAD(header);
    decipher.setAuthTag(bytes.subarray(-TAG_BYTES));
    const plaintext = decipher.update(bytes.subarray(HEADER_BYTES, -TAG_BYTES));
    try {
      decipher.final();
    } catch (error) {
      wipe(plaintext);
      throw damaged(purpose, 'was altered, or is not of this key', error);
    }
    return plaintext;
  });
}

function assertHeader(bytes: Buffer, purpose: string): void {
  if (bytes.length < ENVELOPE_OVERHEAD_BYTES || !bytes.subarray(0, MAGIC.length).equals(MAGIC)) {
    throw damaged(purpose, 'is not an envelope');
  }
  const version = bytes.readUInt32BE(MAGIC.length);
  if (version > VERSION) {
    throw new EntropyError('state-version-newer', `the envelope of ${purpose} has format version ${version}`);
  }
  const plaintextBytes = bytes.readUInt32BE(LENGTH_OFFSET);
  const fits =
    plaintextBytes <= MAXIMUM_PLAINTEXT_BYTES && bytes.length === plaintextBytes + ENVELOPE_OVERHEAD_BYTES;
  if (version !== VERSION || !fits) throw damaged(purpose, 'has a header that does not fit it');
}

function damaged(purpose: string, what: string, cause?: unknown): EntropyError {
  return new EntropyError('state-damaged', `the envelope of ${purpose} ${what}`, { cause });
}

/** Lends the key and nonce of one envelope, and wipes them. */
function withDerived<T>(
  secret: Uint8Array,
  header: Buffer,
  purpose: string,
  use: (cipherKey: Buffer, nonce: Buffer) => T,
): T {
  const salt = header.subarray(SALT_OFFSET, LENGTH_OFFSET);
  const info = `entropy-mixer envelope ${VERSION}: ${purpose}`;
  const derived = hkdfSha256(secret, salt, info, KEY_BYTES + NONCE_BYTES);
  try {
    return use(derived.subarray(0, KEY_BYTES), derived.subarray(KEY_BYTES));
  } finally {
    wipe(derived);
  }
}
