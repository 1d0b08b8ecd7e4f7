import { EntropyError, isEntropyError } from '../base/errors.ts';
import { MAXIMUM_RESET_COUNT } from '../tpm/boot-policy.ts';
import { parseSealedPublic } from '../tpm/public-area.ts';
import type { SealedSecret } from '../tpm/sealed-secret.ts';
import { bytesOfField, type EncryptionInfo } from './encryption-info.ts';
import { ENVELOPE_OVERHEAD_BYTES, KEY_BYTES } from './envelope.ts';

/**
 * A second sealed key beside the first, for firmware updates: its policy asks nothing of the PCRs that they change, and holds until a
 * boot. What it says of the end is said to the TPM, which has it in the policy: another end in the file opens nothing.
 *
 *   tpm.suspended.untilReset   the last reset count, decimal
 *   tpm.suspended.public, tpm.suspended.private, tpm.suspended.wrappedKey   as those of the first
 */
export interface SuspendedSeal extends SealedSecret {
  readonly untilReset: number;
  readonly wrappedKey: Buffer;
}

const UNTIL = 'tpm.suspended.untilReset';
const PUBLIC = 'tpm.suspended.public';
const PRIVATE = 'tpm.suspended.private';
const WRAPPED = 'tpm.suspended.wrappedKey';
const MAXIMUM_PART_BYTES = 512;

export function suspensionFields(seal: SuspendedSeal | undefined): ReadonlyMap<string, string> {
  if (seal === undefined) return new Map();
  return new Map([
    [UNTIL, `${seal.untilReset}`],
    [PUBLIC, seal.publicArea.toString('base64')],
    [PRIVATE, seal.privatePart.toString('base64')],
    [WRAPPED, seal.wrappedKey.toString('base64')],
  ]);
}

/** Undefined when there is none. @throws EntropyError state-damaged */
export function parseSuspension(info: EncryptionInfo): SuspendedSeal | undefined {
  if (![UNTIL, PUBLIC, PRIVATE, WRAPPED].some((field) => info.fields.has(field))) return undefined;
  const text = info.fields.get(UNTIL) ?? '';
  const untilReset = /^(0|[1-9][0-9]{0,9})$/.test(text) ? Number(text) : NaN;
  if (!(untilReset <= MAXIMUM_RESET_COUNT)) throw damaged(UNTIL);
  const publicArea = bytesOfField(info, PUBLIC, MAXIMUM_PART_BYTES);
  try {
    parseSealedPublic(publicArea);
  } catch (error) {
    if (!isEntropyError(error)) throw error;
    throw damaged(PUBLIC);
  }
  return {
    untilReset,
    publicArea,
    privatePart: bytesOfField(info, PRIVATE, MAXIMUM_PART_BYTES),
    wrappedKey: bytesOfField(info, WRAPPED, KEY_BYTES + ENVELOPE_OVERHEAD_BYTES),
  };
}

function damaged(field: string): EntropyError {
  return new EntropyError('state-damaged', `encryption.info has no valid ${field}`);
}
