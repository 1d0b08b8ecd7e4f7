import { wipe } from '../base/bytes.ts';
import type { Clock } from '../base/clock.ts';
import { EntropyError } from '../base/errors.ts';
import type { RandomSource } from '../base/random.ts';
import type { DurableFiles } from '../durable/durable-files.ts';
import { ArchivePair } from './archive-pair.ts';
import { Bootbank, openDocuments, sealDocuments, type SealedArchive } from './bootbank.ts';
import { decodeRecoveryNotes, encodeRecoveryNotes, RECOVERY_NOTES } from './recovery-notes.ts';
import {
  hasRecovery,
  recoveryFieldsOf,
  recoveryIdOf,
  recoveryKeyOf,
  unwrapByRecovery,
} from './recovery-wrapping.ts';
import { afterRollback } from './rollback.ts';
import type { EncryptionInfo } from './encryption-info.ts';
import { isObfuscation, RootKey, type KeyWrapping } from './root-key.ts';

export interface RecoverOptions {
  readonly from: 'current' | 'previous';
  /** The 32 bytes of the recovery key; the caller's to wipe. Undefined: the archive opens by its mode. */
  readonly recoverySecret: Uint8Array | undefined;
  /** The mode to wrap the key by from now on; the archive's own when undefined. */
  readonly mode: string | undefined;
}

export interface RecoverDependencies {
  readonly files: DurableFiles;
  readonly random: RandomSource;
  readonly clock: Clock;
  readonly wrappings: readonly KeyWrapping[];
}

export interface Recovered {
  /** Id of the recovery key, which stays as it is. */
  readonly id: string;
  readonly mode: string;
}

/**
 * Puts an archive in place that opens by its mode again: the current one by its recovery key, or the previous one by either key.
 * The archive key stays, and is wrapped anew; feeders, receipts and caches go on. Both archives open at every moment as before.
 * Nothing is written unless it opened; a current archive that the previous one replaces is kept as `state.damaged.tgz`.
 *
 * @throws EntropyError recovery-nothing, recovery-key-wrong, passphrase-needed, state-damaged, state-version-newer, state-unwritable, and what the mode's
 *   wrapping throws
 */
export async function recoverArchive(
  options: RecoverOptions,
  dependencies: RecoverDependencies,
): Promise<Recovered> {
  const bootbank = new Bootbank(dependencies);
  const sealed = options.from === 'current' ? await bootbank.load() : await bootbank.loadPrevious();
  if (sealed === undefined)
    throw new EntropyError('recovery-nothing', `there is no ${options.from} archive in this state directory`);
  const key = await openedKey(sealed, options, dependencies);
  let documents = new Map<string, Buffer>();
  try {
    if (hasRecovery(sealed.info)) wipe(recoveryKeyOf(sealed.info, key).secret);
    documents = await openDocuments(sealed.envelope, key);
    if (options.from === 'previous') documents = afterRollback(documents);
    documents.set(RECOVERY_NOTES, notesOf(documents, options, dependencies.clock));
    const wrapping = wrappingOf(options.mode ?? sealed.info.mode, dependencies.wrappings);
    const fields = [...(await wrapping.wrap(key)), ...recoveryFieldsOf(sealed.info)];
    const info = { mode: wrapping.mode, keyId: key.id, fields: new Map(fields) };
    if (options.mode === undefined) requireAsMuch(sealed.info, info);
    const pair = new ArchivePair({ ...dependencies, bootbank });
    if (options.from === 'current') {
      await pair.rewrite(documents, key, info, sealed);
    } else {
      const envelope = await sealDocuments(documents, key, dependencies.random);
      await bootbank.setAside();
      await bootbank.restore({ info, envelope });
    }
    await pair.settle(info, wrapping);
    return { id: recoveryIdOf(info), mode: info.mode };
  } finally {
    key.wipe();
    for (const bytes of documents.values()) wipe(bytes);
  }
}

/** Protection is given up by name only. */
function requireAsMuch(before: EncryptionInfo, after: EncryptionInfo): void {
  if (isObfuscation(before) || !isObfuscation(after)) return;
  throw new EntropyError(
    'passphrase-needed',
    'a passphrase is joined into the archive: name one with --passphrase-file, or give it up with --to=none',
  );
}

async function openedKey(
  { info }: SealedArchive,
  { recoverySecret }: RecoverOptions,
  { wrappings }: RecoverDependencies,
): Promise<RootKey> {
  if (recoverySecret === undefined) return RootKey.open(info, wrappings);
  if (!hasRecovery(info))
    throw new EntropyError('recovery-key-wrong', 'the archive was made before there were recovery keys');
  return RootKey.of(info, unwrapByRecovery(info, recoverySecret));
}

function notesOf(documents: Map<string, Buffer>, { from }: RecoverOptions, clock: Clock): Buffer {
  return encodeRecoveryNotes({
    ...decodeRecoveryNotes(documents.get(RECOVERY_NOTES)),
    recovered: from === 'current' ? 'by-recovery-key' : 'from-previous',
    recoveredMs: clock.wallMs(),
  });
}

function wrappingOf(mode: string, wrappings: readonly KeyWrapping[]): KeyWrapping {
  const wrapping = wrappings.find((one) => one.mode === mode);
  if (wrapping === undefined)
    throw new EntropyError(
      'state-version-newer',
      `encryption.info has mode ${mode}, unknown to this version`,
    );
  return wrapping;
}
