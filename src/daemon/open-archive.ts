import { isEntropyError } from '../base/errors.ts';
import type { RandomSource } from '../base/random.ts';
import type { DurableFiles } from '../durable/durable-files.ts';
import { Bootbank } from '../state/bootbank.ts';
import { StateArchive } from '../state/state-archive.ts';
import type { KeyWrapping } from '../state/root-key.ts';
import { parseSealFields } from '../state/seal-fields.ts';
import { offlineEncryption, type EncryptionOptions, type StateEncryption } from './state-encryption.ts';

export interface OpenArchiveDependencies {
  readonly files: DurableFiles;
  readonly random: RandomSource;
  readonly encryption: StateEncryption;
}

/**
 * The archive in its own mode, or a new one in the mode that the options choose: one that is protected is on disk before anything goes on.
 *
 * @throws EntropyError installation-altered for an archive that asks for installed files, and what keeps a TPM or a
 *   passphrase from being used that must be
 */
export async function openArchive(dependencies: OpenArchiveDependencies): Promise<StateArchive> {
  const { files, encryption } = dependencies;
  const open = (mode: string): Promise<StateArchive> =>
    StateArchive.open({ mode }, { ...dependencies, wrappings: encryption.wrappings });
  const found = await modeOnDisk(files);
  if (found !== undefined) return refuseAltered(await open(found));
  const mode = await encryption.modeOfNew();
  const archive = await open(mode);
  const isObfuscated = mode === 'NONE' && !encryption.isPassphraseGiven;
  if (isObfuscated || archive.refused !== undefined) return archive;
  await archive.backup();
  return archive;
}

/**
 * The modes for a program that recovers an archive: what it seals anew it seals to the same PCRs. What the archive says of them is not
 * proven until it opens, but who has the recovery key may choose them anyway.
 */
export async function wrappingsToRecover(
  options: EncryptionOptions & { readonly stateDirectory: string },
  random: RandomSource,
  files: DurableFiles,
  root: string,
): Promise<readonly KeyWrapping[]> {
  const encryption = offlineEncryption(options, { random, root });
  try {
    const info = (await new Bootbank({ files }).load())?.info;
    if (info?.mode === 'TPM') encryption.sealing.pcrs = [...parseSealFields(info).values.keys()];
    else encryption.sealing.pcrs = await encryption.pcrsOfNew();
  } catch (error) {
    if (!isEntropyError(error)) throw error;
    encryption.sealing.pcrs = await encryption.pcrsOfNew();
  }
  return encryption.wrappings;
}

/** Undefined when there is no archive; an archive that cannot be read is refused by whoever opens it. */
async function modeOnDisk(files: DurableFiles): Promise<string | undefined> {
  try {
    const mode = (await new Bootbank({ files }).load())?.info.mode;
    return mode === undefined || mode === 'TPM' ? mode : 'NONE';
  } catch (error) {
    if (!isEntropyError(error)) throw error;
    return 'NONE';
  }
}

/** Files that are not those that were built must not run at all, least of all with the gate open. */
async function refuseAltered(archive: StateArchive): Promise<StateArchive> {
  if (!isEntropyError(archive.refused, 'installation-altered')) return archive;
  const { refused } = archive;
  await archive.close();
  throw refused;
}
