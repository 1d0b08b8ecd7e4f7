import { EntropyError, isEntropyError } from '../base/errors.ts';
import { parseSealedPublic } from '../tpm/public-area.ts';
import type { SealedSecret } from '../tpm/sealed-secret.ts';
import { bytesOfField, type EncryptionInfo } from './encryption-info.ts';
import { ENVELOPE_OVERHEAD_BYTES, KEY_BYTES } from './envelope.ts';

/** A key that the TPM seals, and the archive key under it. In encryption.info: `PREFIX.public`, `.private` and `.wrappedKey`, base64. */
export interface SealedPart extends SealedSecret {
  /** The archive key under the sealed one. */
  readonly wrappedKey: Buffer;
}

const MAXIMUM_PART_BYTES = 512;

/** The names of its fields. */
export function sealedPartNames(prefix: string): string[] {
  return [`${prefix}.public`, `${prefix}.private`, `${prefix}.wrappedKey`];
}

export function sealedPartFields(prefix: string, part: SealedPart): [string, string][] {
  return [
    [`${prefix}.public`, part.publicArea.toString('base64')],
    [`${prefix}.private`, part.privatePart.toString('base64')],
    [`${prefix}.wrappedKey`, part.wrappedKey.toString('base64')],
  ];
}

/** @throws EntropyError state-damaged */
export function parseSealedPart(info: EncryptionInfo, prefix: string): SealedPart {
  const publicArea = bytesOfField(info, `${prefix}.public`, MAXIMUM_PART_BYTES);
  try {
    parseSealedPublic(publicArea);
  } catch (error) {
    if (!isEntropyError(error)) throw error;
    throw new EntropyError('state-damaged', `encryption.info has no valid ${prefix}.public`);
  }
  return {
    publicArea,
    privatePart: bytesOfField(info, `${prefix}.private`, MAXIMUM_PART_BYTES),
    wrappedKey: bytesOfField(info, `${prefix}.wrappedKey`, KEY_BYTES + ENVELOPE_OVERHEAD_BYTES),
  };
}
