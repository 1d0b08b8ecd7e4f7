import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { EntropyError, isEntropyError } from '../base/errors.ts';
import { SWTPM_PREFIX } from './transport.ts';

const SYSFS = '/sys/class/tpm';

/** A TPM 1.2 has no resource manager's device: when that is missing, the kernel says whether this is why. */
export async function explainAbsence(
  error: unknown,
  device: string,
  sysfs: string = SYSFS,
): Promise<unknown> {
  if (!isEntropyError(error, 'tpm-absent') || device.startsWith(SWTPM_PREFIX)) return error;
  const [, number] = /^tpmrm(\d+)$/.exec(path.basename(device)) ?? [];
  if (number === undefined) return error;
  const version = path.join(sysfs, `tpm${number}`, 'tpm_version_major');
  const major = (await readFile(version, 'utf8').catch(() => '')).trim();
  return major === '1' ? new EntropyError('tpm-version', `${device}: the kernel has a TPM 1.2`) : error;
}
