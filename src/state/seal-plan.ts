import { EntropyError } from '../base/errors.ts';
import { SECURE_BOOT_PCR } from '../base/names.ts';
import {
  ADDABLE_PCRS,
  type EncryptionChange,
  type EncryptionMode,
  type EncryptionReport,
} from '../contract/encryption.ts';
import { INSTALLATION_PCR } from './seal-fields.ts';

/** The report that a mode and its PCRs amount to: the PCRs are the policy, and nothing else says what it asks. */
export function encryptionReport(
  mode: EncryptionMode,
  pcrs: readonly number[],
  { passphrase = false, suspendedBoots = null }: Partial<EncryptionReport> = {},
): EncryptionReport {
  return {
    mode,
    requireExecInstalledOnly: pcrs.includes(INSTALLATION_PCR),
    requireSecureBoot: pcrs.includes(SECURE_BOOT_PCR),
    passphrase,
    suspendedBoots,
    pcrs: [...pcrs],
  };
}

/**
 * What a change amounts to. The rules are those of ESXi: mode TPM stays; Secure Boot is required when it is on at the first sealing;
 * installed files can only be required together with Secure Boot.
 *
 * @throws EntropyError encryption-irreversible, encryption-unsatisfied: which requirement failed; nothing is done then
 */
export function plannedEncryption(
  current: EncryptionReport,
  change: EncryptionChange,
  host: { readonly secureBoot: 'on' | 'off' | 'unknown' },
): EncryptionReport {
  const mode = change.mode ?? current.mode;
  if (current.mode === 'TPM' && mode === 'NONE')
    throw new EntropyError('encryption-irreversible', 'the configuration is sealed to the TPM');
  if (mode === 'NONE') return stayingNone(current, change);
  const isFirst = current.mode === 'NONE';
  const requireSecureBoot =
    change.requireSecureBoot ?? (isFirst ? host.secureBoot === 'on' : current.requireSecureBoot);
  const requireExecInstalledOnly = change.requireExecInstalledOnly ?? current.requireExecInstalledOnly;
  if (requireSecureBoot && host.secureBoot !== 'on') {
    const found = host.secureBoot === 'off' ? 'it is off' : 'the firmware does not tell';
    throw unsatisfied(`Secure Boot: ${found}; enable it in the firmware and start the host first`);
  }
  if (requireExecInstalledOnly && !requireSecureBoot)
    throw unsatisfied('installed files only: it needs --require-secure-boot=T, now or before');
  const added = change.pcrs ?? current.pcrs.filter((pcr) => isAddable(pcr));
  const stranger = added.find((pcr) => !isAddable(pcr));
  if (stranger !== undefined)
    throw unsatisfied(`PCR ${stranger}: only ${ADDABLE_PCRS.join(', ')} can be added`);
  const pcrs = [
    ...added,
    ...(requireSecureBoot ? [SECURE_BOOT_PCR] : []),
    ...(requireExecInstalledOnly ? [INSTALLATION_PCR] : []),
  ];
  return encryptionReport(
    'TPM',
    pcrs.sort((a, b) => a - b),
  );
}

function stayingNone(current: EncryptionReport, change: EncryptionChange): EncryptionReport {
  const asks =
    change.requireSecureBoot === true ||
    change.requireExecInstalledOnly === true ||
    (change.pcrs ?? []).length > 0;
  if (asks) throw unsatisfied('mode TPM: nothing else can require anything; ask for --mode=TPM as well');
  return current;
}

function isAddable(pcr: number): boolean {
  return ADDABLE_PCRS.some((addable) => addable === pcr);
}

function unsatisfied(which: string): EntropyError {
  return new EntropyError('encryption-unsatisfied', which);
}
