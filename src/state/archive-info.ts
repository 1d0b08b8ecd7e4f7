import { wipe } from '../base/bytes.ts';
import type { RandomSource } from '../base/random.ts';
import type { EncryptionInfo } from './encryption-info.ts';
import { createRecoveryKey, hasRecovery, recoveryFieldsOf, wrapForRecovery } from './recovery-wrapping.ts';
import type { KeyWrapping, RootKey } from './root-key.ts';

export interface ArchiveInfoDependencies {
  /** The mode in force. */
  readonly wrapping: KeyWrapping;
  readonly random: RandomSource;
}

/**
 * The info of an archive's next write. What is on disk stays, so that no mode wraps at each write; an archive made before there were
 * recovery keys gets one. Throws as the mode's wrapping.
 */
export async function infoToWrite(
  key: RootKey,
  onDisk: EncryptionInfo | undefined,
  { wrapping, random }: ArchiveInfoDependencies,
): Promise<EncryptionInfo> {
  if (onDisk !== undefined && hasRecovery(onDisk)) return onDisk;
  const fields = [...(onDisk?.fields ?? (await wrapping.wrap(key))), ...recoveryFields(key, onDisk, random)];
  return { mode: wrapping.mode, keyId: key.id, fields: new Map(fields) };
}

/** The same key, wrapped by the mode again; the recovery key stays. Throws as the mode's wrapping. */
export async function infoWrappedAnew(
  key: RootKey,
  onDisk: EncryptionInfo | undefined,
  { wrapping, random }: ArchiveInfoDependencies,
): Promise<EncryptionInfo> {
  const fields = [...(await wrapping.wrap(key)), ...recoveryFields(key, onDisk, random)];
  return { mode: wrapping.mode, keyId: key.id, fields: new Map(fields) };
}

/** Those on disk, or of a new recovery key. */
function recoveryFields(
  key: RootKey,
  onDisk: EncryptionInfo | undefined,
  random: RandomSource,
): ReadonlyMap<string, string> {
  if (onDisk !== undefined && hasRecovery(onDisk)) return recoveryFieldsOf(onDisk);
  const recovery = createRecoveryKey(random);
  try {
    return wrapForRecovery(key, recovery, random);
  } finally {
    wipe(recovery.secret);
  }
}
