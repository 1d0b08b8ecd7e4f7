import { timingSafeEqual } from 'node:crypto';
import { wipe } from '../base/bytes.ts';
import { EntropyError, isEntropyError } from '../base/errors.ts';
import { randomBytes, type RandomSource } from '../base/random.ts';
import { bytesOfField, type EncryptionInfo } from './encryption-info.ts';
import {
  ENVELOPE_OVERHEAD_BYTES,
  KEY_BYTES,
  KEY_ID_BYTES,
  openEnvelope,
  sealEnvelope,
  type EnvelopeKey,
} from './envelope.ts';

/**
 * The second wrapping of the archive key K, beside the mode's own: by the recovery key R. In encryption.info:
 *
 *   recovery.id           "{XXXXXXXX-XXXX-XXXX-XXXX-XXXXXXXXXXXX}"   names R
 *   recovery.wrappedKey   envelope of K under R                      so that R opens the archive
 *   recovery.key          envelope of R under K                      so that whoever has the archive open can show R
 *
 * K and R are independent: neither is derived from the other, and both are new after a rotation.
 */
export interface RecoveryKey extends EnvelopeKey {
  readonly id: Buffer;
  readonly secret: Buffer;
}

const ID = 'recovery.id';
const WRAPPED = 'recovery.wrappedKey';
const OWN_KEY = 'recovery.key';
const FIELDS = [ID, WRAPPED, OWN_KEY] as const;
const WRAPPED_PURPOSE = 'archive key, recovery';
const OWN_KEY_PURPOSE = 'recovery key';
const WRAPPED_BYTES = KEY_BYTES + ENVELOPE_OVERHEAD_BYTES;
const ID_PATTERN = /^\{[0-9A-F]{8}(?:-[0-9A-F]{4}){3}-[0-9A-F]{12}\}$/;

/** A new recovery key; its secret is the caller's to wipe. */
export function createRecoveryKey(random: RandomSource): RecoveryKey {
  const id = randomBytes(random, KEY_ID_BYTES);
  // RFC 9562 section 5.4: version 4, variant 10.
  id.writeUInt8((id.readUInt8(6) & 0x0f) | 0x40, 6);
  id.writeUInt8((id.readUInt8(8) & 0x3f) | 0x80, 8);
  return { id, secret: randomBytes(random, KEY_BYTES) };
}

/** `{XXXXXXXX-XXXX-XXXX-XXXX-XXXXXXXXXXXX}`. */
export function recoveryIdText(id: Uint8Array): string {
  const hex = Buffer.from(id).toString('hex').toUpperCase();
  return `{${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}}`;
}

/** The fields by which either key gives the other. */
export function wrapForRecovery(
  key: EnvelopeKey,
  recovery: RecoveryKey,
  random: RandomSource,
): ReadonlyMap<string, string> {
  const wrapped = sealEnvelope(recovery, WRAPPED_PURPOSE, key.secret, random);
  const ownKey = sealEnvelope(key, OWN_KEY_PURPOSE, recovery.secret, random);
  return new Map([
    [ID, recoveryIdText(recovery.id)],
    [WRAPPED, wrapped.toString('base64')],
    [OWN_KEY, ownKey.toString('base64')],
  ]);
}

/** False for an archive that was made before there were recovery keys. */
export function hasRecovery(info: EncryptionInfo): boolean {
  return FIELDS.some((field) => info.fields.has(field));
}

/** Id of the archive's recovery key as text; empty when it has none. */
export function recoveryIdOf(info: EncryptionInfo): string {
  return info.fields.get(ID) ?? '';
}

/** The fields of the recovery wrapping alone. */
export function recoveryFieldsOf(info: EncryptionInfo): ReadonlyMap<string, string> {
  return new Map([...info.fields].filter(([name]) => FIELDS.some((field) => field === name)));
}

/**
 * The recovery key of an archive whose key is known; its secret is the caller's to wipe. That it opens the archive is
 * made sure of, so a recovery wrapping that was damaged is noticed while it is not yet needed. Throws `state-damaged`.
 */
export function recoveryKeyOf(info: EncryptionInfo, key: EnvelopeKey): RecoveryKey {
  const secret = openEnvelope(key, OWN_KEY_PURPOSE, bytesOfField(info, OWN_KEY, WRAPPED_BYTES));
  try {
    if (secret.length !== KEY_BYTES) throw damaged('holds a recovery key of the wrong length');
    const recovery = { id: idOf(info), secret };
    const wrapped = openWrapped(info, recovery);
    const same = wrapped.length === key.secret.length && timingSafeEqual(wrapped, key.secret);
    wipe(wrapped);
    if (!same) throw damaged('holds a recovery wrapping of another key');
    return recovery;
  } catch (error) {
    wipe(secret);
    throw error;
  }
}

/**
 * The archive key by the recovery key: the 32 secret bytes, the caller's to wipe. Throws `recovery-key-wrong` for a key of
 * another archive or an earlier rotation; `state-damaged` when there is no recovery wrapping.
 */
export function unwrapByRecovery(info: EncryptionInfo, recoverySecret: Uint8Array): Buffer {
  const recovery = { id: idOf(info), secret: Buffer.from(recoverySecret) };
  try {
    const secret = openWrapped(info, recovery);
    if (secret.length === KEY_BYTES) return secret;
    wipe(secret);
    throw damaged('holds a key of the wrong length');
  } catch (error) {
    if (!isEntropyError(error, 'state-damaged')) throw error;
    throw new EntropyError(
      'recovery-key-wrong',
      `the recovery key is well-formed but does not open this archive; its key has the id ${recoveryIdText(recovery.id)}`,
      { cause: error },
    );
  } finally {
    wipe(recovery.secret);
  }
}

function openWrapped(info: EncryptionInfo, recovery: EnvelopeKey): Buffer {
  return openEnvelope(recovery, WRAPPED_PURPOSE, bytesOfField(info, WRAPPED, WRAPPED_BYTES));
}

function idOf(info: EncryptionInfo): Buffer {
  const text = info.fields.get(ID) ?? '';
  if (!ID_PATTERN.test(text)) throw damaged(`has no valid ${ID}`);
  return Buffer.from(text.replaceAll(/[{}-]/g, ''), 'hex');
}

function damaged(what: string): EntropyError {
  return new EntropyError('state-damaged', `encryption.info ${what}`);
}
