import { EntropyError } from '../base/errors.ts';
import { MAXIMUM_RESET_COUNT } from '../tpm/boot-policy.ts';
import type { EncryptionInfo } from './encryption-info.ts';
import { parseSealedPart, sealedPartFields, sealedPartNames, type SealedPart } from './sealed-part.ts';

/**
 * A second sealed key beside the first, for firmware updates: its policy asks nothing of the PCRs that they change, and holds until a
 * boot. What it says of the end is said to the TPM, which has it in the policy: another end in the file opens nothing.
 *
 *   tpm.suspended.untilReset   the last reset count, decimal
 *   tpm.suspended.public, tpm.suspended.private, tpm.suspended.wrappedKey   as those of the first
 */
export interface SuspendedSeal extends SealedPart {
  readonly untilReset: number;
}

const PREFIX = 'tpm.suspended';
const UNTIL = `${PREFIX}.untilReset`;

export function suspensionFields(seal: SuspendedSeal | undefined): ReadonlyMap<string, string> {
  if (seal === undefined) return new Map();
  return new Map([[UNTIL, `${seal.untilReset}`], ...sealedPartFields(PREFIX, seal)]);
}

/** Undefined when there is none. @throws EntropyError state-damaged */
export function parseSuspension(info: EncryptionInfo): SuspendedSeal | undefined {
  if (![UNTIL, ...sealedPartNames(PREFIX)].some((field) => info.fields.has(field))) return undefined;
  const text = info.fields.get(UNTIL) ?? '';
  const untilReset = /^(0|[1-9][0-9]{0,9})$/.test(text) ? Number(text) : NaN;
  if (!(untilReset <= MAXIMUM_RESET_COUNT))
    throw new EntropyError('state-damaged', `encryption.info has no valid ${UNTIL}`);
  return { ...parseSealedPart(info, PREFIX), untilReset };
}
