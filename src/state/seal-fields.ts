import { EntropyError } from '../base/errors.ts';
import { PCR_COUNT, type PcrValues } from '../tpm/pcr.ts';
import { bytesOfField, type EncryptionInfo } from './encryption-info.ts';
import { parseSuspension, suspensionFields, type SuspendedSeal } from './seal-suspension.ts';
import { parseSealedPart, sealedPartFields, type SealedPart } from './sealed-part.ts';

/** Where the daemon measures its own installation: an application's register, which it may reset. */
export const INSTALLATION_PCR = 23;

/** What mode TPM keeps in encryption.info; none of it is secret. */
export interface SealFields extends SealedPart {
  /** Name of the storage root key: pinned, so that no other is taken for it. */
  readonly rootName: Buffer;
  /** Name of the endorsement key, by which a cleared TPM is told from another one; undefined where it could not be had. */
  readonly endorsementName: Buffer | undefined;
  /** The policy: PCRs, and their values when it was sealed. */
  readonly values: PcrValues;
  /** Beside it, for firmware updates; undefined when there is none. */
  readonly suspended: SuspendedSeal | undefined;
}

const NAME_BYTES = 34;
const PREFIX = 'tpm';
const NO_PCRS = 'none';

/** Base64 but for the PCRs: `7=<64 hexadecimal digits> 14=…`, or `none`. */
export function sealFields(fields: SealFields): ReadonlyMap<string, string> {
  const pcrs = [...fields.values].map(([pcr, value]) => `${pcr}=${value.toString('hex')}`).join(' ');
  return new Map([
    ['tpm.rootName', fields.rootName.toString('base64')],
    ...(fields.endorsementName === undefined
      ? []
      : ([['tpm.endorsementName', fields.endorsementName.toString('base64')]] as const)),
    ['tpm.pcrs', pcrs === '' ? NO_PCRS : pcrs],
    ...sealedPartFields(PREFIX, fields),
    ...suspensionFields(fields.suspended),
  ]);
}

/** @throws EntropyError state-damaged */
export function parseSealFields(info: EncryptionInfo): SealFields {
  const part = parseSealedPart(info, PREFIX);
  return {
    ...part,
    rootName: nameField(info, 'tpm.rootName'),
    endorsementName: info.fields.has('tpm.endorsementName')
      ? nameField(info, 'tpm.endorsementName')
      : undefined,
    values: pcrField(info.fields.get('tpm.pcrs') ?? ''),
    suspended: parseSuspension(info),
  };
}

function nameField(info: EncryptionInfo, field: string): Buffer {
  const name = bytesOfField(info, field, NAME_BYTES);
  if (name.length !== NAME_BYTES) throw damaged(field);
  return name;
}

function pcrField(text: string): PcrValues {
  const values = new Map<number, Buffer>();
  if (text === NO_PCRS) return values;
  let last = -1;
  for (const part of text.split(' ')) {
    const [, pcr, value] = /^(0|[1-9][0-9]?)=([0-9a-f]{64})$/.exec(part) ?? [];
    if (pcr === undefined || value === undefined || Number(pcr) <= last || Number(pcr) >= PCR_COUNT)
      throw damaged('tpm.pcrs');
    last = Number(pcr);
    values.set(last, Buffer.from(value, 'hex'));
  }
  return values;
}

function damaged(field: string): EntropyError {
  return new EntropyError('state-damaged', `encryption.info has no valid ${field}`);
}
