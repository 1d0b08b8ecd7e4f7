import { EntropyError, isEntropyError } from '../base/errors.ts';
import { isRefusal, TpmRefusal } from '../tpm/response-code.ts';
import type { Tpm } from '../tpm/tpm.ts';
import { INSTALLATION_PCR, type SealFields } from './seal-fields.ts';

/**
 * Why the TPM does not give the key that these fields seal: which PCR changed, whether the TPM was cleared or is another one. Gives the
 * error to throw: `tpm-pcr-changed`, `tpm-cleared`, `tpm-replaced`, `tpm-root-changed`, `state-damaged`, or any other as it came.
 */
export async function whyNotUnsealed(error: unknown, tpm: Tpm, fields: SealFields): Promise<unknown> {
  if (isRefusal(error, 'POLICY_FAIL', 'POLICY')) return pcrsChanged(error, tpm, fields);
  if (isAboutBlob(error))
    return new EntropyError('state-damaged', `encryption.info holds no sealed key: ${error.message}`, {
      cause: error,
    });
  if (!isEntropyError(error, 'tpm-root-changed')) return error;
  const name = fields.endorsementName === undefined ? undefined : await tpm.endorsementName();
  if (name === undefined || fields.endorsementName === undefined)
    return new EntropyError(
      'tpm-root-changed',
      'the TPM was cleared or replaced: its storage root key is another',
    );
  return name.equals(fields.endorsementName)
    ? new EntropyError('tpm-cleared', 'the endorsement key is the same, the storage root key is another')
    : new EntropyError('tpm-replaced', 'endorsement key and storage root key are others');
}

async function pcrsChanged(error: EntropyError, tpm: Tpm, fields: SealFields): Promise<EntropyError> {
  const now = await tpm.readPcrs([...fields.values.keys()]);
  const changed = [...fields.values].filter(
    ([pcr, value]) => pcr !== INSTALLATION_PCR && now.get(pcr)?.equals(value) !== true,
  );
  const names = changed.map(([pcr]) => `PCR ${pcr}`);
  // PCR 23 was closed behind us, so it cannot be compared: it is what is left.
  if (names.length === 0 && fields.values.has(INSTALLATION_PCR))
    names.push(`PCR ${INSTALLATION_PCR} (another signer of the installation)`);
  const which = names.length === 0 ? 'the policy is of other PCRs' : `${names.join(', ')} changed`;
  const over = fields.suspended === undefined ? '' : '; the suspension of the seal is over';
  return new EntropyError('tpm-pcr-changed', `${which}${over}`, { cause: error });
}

/** What the TPM says of a sealed key that was altered: of TPM2_Load's parameters, which are nothing else, or by these names. */
function isAboutBlob(error: unknown): error is TpmRefusal {
  return (
    isRefusal(error, 'INTEGRITY', 'SIZE', 'HASH', 'TYPE', 'KEY', 'INSUFFICIENT', 'ATTRIBUTES', 'SENSITIVE') ||
    (error instanceof TpmRefusal && error.command === 'load' && error.response.at.startsWith('parameter'))
  );
}
