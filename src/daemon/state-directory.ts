import path from 'node:path';
import type { Clock } from '../base/clock.ts';
import { EntropyError, type ErrorCode } from '../base/errors.ts';
import type { EventSink } from '../base/events.ts';
import type { RandomSource } from '../base/random.ts';
import type { StateAtStart } from '../contract/outputs.ts';
import type { PartialConfiguration } from '../contract/parameters.ts';
import { DirectoryLock } from '../durable/directory-lock.ts';
import type { DurableFiles } from '../durable/durable-files.ts';
import { NodeFiles } from '../durable/node-files.ts';
import type { Hardware } from '../hardware/hardware.ts';
import { FeedLedger } from '../kernel/feed-ledger.ts';
import { Accounts } from '../state/accounts.ts';
import { ConfigStore } from '../state/config-store.ts';
import { Enrolment } from '../state/enrolment.ts';
import type { Installation } from '../state/installation.ts';
import { settleOlderCopy } from '../state/older-copy.ts';
import type { StateArchive } from '../state/state-archive.ts';
import { settleFirstMode } from './first-mode.ts';
import { openArchive } from './open-archive.ts';
import { isZeroized } from '../state/zeroize.ts';
import { settleSuspension } from './suspended-start.ts';
import { StateEncryption, type EncryptionOptions } from './state-encryption.ts';
import { Tokens } from '../state/tokens.ts';

/** What stands in the state directory, opened; its lock is held. */
export interface OpenedState {
  readonly archive: StateArchive;
  readonly config: ConfigStore;
  readonly enrolment: Enrolment;
  readonly tokens: Tokens;
  readonly accounts: Accounts;
  readonly files: DurableFiles;
  readonly ledger: FeedLedger;
  readonly encryption: StateEncryption;
  readonly cachesHeldBack: EntropyError | undefined;
  readonly report: StateAtStart;
  /** Why the gate is held closed, whatever the sources give; empty when it is not. */
  readonly heldBecause: string;
}

export interface StateDependencies {
  readonly hardware: Hardware;
  readonly random: RandomSource;
  readonly clock: Clock;
  readonly installation: Installation;
  readonly events: EventSink;
  /** Told how to let go of each part, as it is opened. */
  readonly onStop: (close: () => Promise<void>) => void;
}

/** The state archive and what is read from it; the directory's lock is held. */
export interface OpenedStore {
  readonly archive: StateArchive;
  readonly enrolment: Enrolment;
  readonly files: DurableFiles;
  readonly encryption: StateEncryption;
  /** Why the caches must not be used; undefined when they may. */
  readonly cachesHeldBack: EntropyError | undefined;
}

export interface StateOptions {
  readonly directory: string;
  readonly flags: PartialConfiguration;
  readonly encryption: EncryptionOptions;
  /** Called before the configuration is read, to install it from a file; what it throws ends the start. */
  readonly firstStart?: (store: OpenedStore) => Promise<void>;
}

const LEDGER_RECORDS = 4096;

/** What says that the key is elsewhere, and nothing against the archive. */
const WITHOUT_PASSPHRASE: readonly ErrorCode[] = [
  'passphrase-needed',
  'passphrase-wrong',
  'passphrase-unreadable',
  'passphrase-refused',
  'key-file-exposed',
];

function isSealedAwayBy(code: ErrorCode): boolean {
  return code.startsWith('tpm-') || WITHOUT_PASSPHRASE.includes(code);
}

/**
 * @throws EntropyError runtime-dir-unusable, state-in-use, state-zeroized, installation-altered, and what keeps a TPM that must be used from being used; a
 *   refused archive is told and goes on
 */
export async function openState(
  options: StateOptions,
  dependencies: StateDependencies,
): Promise<OpenedState> {
  const { directory, flags, firstStart } = options;
  const { random, clock, events, onStop } = dependencies;
  const store = await openStore(options, dependencies);
  const { archive } = store;
  await settleFirstMode(archive, { ...store, events });
  const tokens = new Tokens({ archive, random, clock });
  onStop(() => tokens.close());
  const accounts = new Accounts({ archive, clock });
  onStop(() => accounts.close());
  await firstStart?.(store);
  const config = ConfigStore.open({ flags, file: {} }, { archive });
  const isSealedAway = archive.refused !== undefined && isSealedAwayBy(archive.refused.code);
  if (config.refused !== undefined) {
    const { code, message } = config.refused;
    events.emit(isSealedAway ? 'state.sealed-away' : 'state.refused', { code, because: message });
  }
  const ledger = await FeedLedger.open({ capacity: LEDGER_RECORDS }, { ...store, random });
  onStop(() => ledger.close());
  if (ledger.setAside !== undefined) events.emit('ledger.damaged', { because: ledger.setAside.message });
  if (ledger.cutBytes > 0) events.emit('ledger.cut', { bytes: ledger.cutBytes });
  const refused = config.refused?.code ?? '';
  const report = { directory, refused };
  // Nothing is wrong with what is sealed away: the sources that need no configuration go on.
  const heldBecause = isSealedAway ? '' : refused;
  return { ...store, config, tokens, accounts, ledger, report, heldBecause };
}

/** Throws as openState does; for a refused archive see its `refused`. */
export async function openStore(
  options: { readonly directory: string; readonly encryption: EncryptionOptions },
  dependencies: StateDependencies,
): Promise<OpenedStore> {
  const { directory } = options;
  const { hardware, random, clock, events, onStop } = dependencies;
  const files = await NodeFiles.open({ root: directory });
  const lock = await DirectoryLock.take({ directory }, { lockFile: (fd) => hardware.lockFile(fd) });
  onStop(() => lock.release());
  await refuseZeroized(directory);
  const encryption = new StateEncryption(
    { ...options.encryption, stateDirectory: path.resolve(directory) },
    dependencies,
  );
  await encryption.verifyInstallation();
  const archive = await openArchive({ files, random, encryption });
  onStop(() => archive.close());
  await settleSuspension(archive, { ...dependencies, encryption });
  const counter = archive.mode === 'TPM' ? encryption.generation : undefined;
  const cachesHeldBack = await settleOlderCopy({ archive, counter, random, clock, events });
  const enrolment = Enrolment.open({ archive, random, clock });
  onStop(() => enrolment.close());
  return { archive, encryption, enrolment, files, cachesHeldBack };
}

/** What was destroyed on purpose is not begun anew in silence, as by a supervisor that starts what ended. */
async function refuseZeroized(directory: string): Promise<void> {
  if (await isZeroized(directory))
    throw new EntropyError('state-zeroized', `${directory} was destroyed by \`mixer zeroize\``);
}
