import type { Clock } from '../base/clock.ts';
import type { EventSink } from '../base/events.ts';
import type { RandomSource } from '../base/random.ts';
import type { StateReport } from '../contract/outputs.ts';
import type { PartialConfiguration } from '../contract/parameters.ts';
import { DirectoryLock } from '../durable/directory-lock.ts';
import type { DurableFiles } from '../durable/durable-files.ts';
import { NodeFiles } from '../durable/node-files.ts';
import type { Hardware } from '../hardware/hardware.ts';
import { FeedLedger } from '../kernel/feed-ledger.ts';
import { Accounts } from '../state/accounts.ts';
import { ConfigStore } from '../state/config-store.ts';
import { Enrolment } from '../state/enrolment.ts';
import { NoneWrapping } from '../state/root-key.ts';
import { StateArchive } from '../state/state-archive.ts';
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
  readonly report: StateReport;
}

export interface StateDependencies {
  readonly hardware: Hardware;
  readonly random: RandomSource;
  readonly clock: Clock;
  readonly events: EventSink;
  /** Told how to let go of each part, as it is opened. */
  readonly onStop: (close: () => Promise<void>) => void;
}

/** The state archive and what is read from it; the directory's lock is held. */
export interface OpenedStore {
  readonly archive: StateArchive;
  readonly enrolment: Enrolment;
  readonly files: DurableFiles;
}

export interface StateOptions {
  readonly directory: string;
  readonly flags: PartialConfiguration;
  /** Called before the configuration is read, to install it from a file; what it throws ends the start. */
  readonly firstStart?: (store: OpenedStore) => Promise<void>;
}

const LEDGER_RECORDS = 4096;

/** @throws EntropyError runtime-dir-unusable, state-in-use; a refused archive is told and goes on */
export async function openState(
  options: StateOptions,
  dependencies: StateDependencies,
): Promise<OpenedState> {
  const { directory, flags, firstStart } = options;
  const { random, clock, events, onStop } = dependencies;
  const store = await openStore(directory, dependencies);
  const { archive, enrolment, files } = store;
  const tokens = new Tokens({ archive, random, clock });
  onStop(() => tokens.close());
  const accounts = new Accounts({ archive, clock });
  onStop(() => accounts.close());
  await firstStart?.(store);
  const config = ConfigStore.open({ flags, file: {} }, { archive });
  if (config.refused !== undefined) {
    events.emit('state.refused', { code: config.refused.code, because: config.refused.message });
  }
  const ledger = await FeedLedger.open({ capacity: LEDGER_RECORDS }, { files, random });
  onStop(() => ledger.close());
  if (ledger.setAside !== undefined) events.emit('ledger.damaged', { because: ledger.setAside.message });
  if (ledger.cutBytes > 0) events.emit('ledger.cut', { bytes: ledger.cutBytes });
  const report = { directory, encryptionMode: 'NONE' as const, refused: config.refused?.code ?? '' };
  return { archive, config, enrolment, tokens, accounts, files, ledger, report };
}

/** @throws EntropyError runtime-dir-unusable, state-in-use; for a refused archive see its `refused` */
export async function openStore(
  directory: string,
  { hardware, random, clock, onStop }: Omit<StateDependencies, 'events'>,
): Promise<OpenedStore> {
  const files = await NodeFiles.open({ root: directory });
  const lock = await DirectoryLock.take({ directory }, { lockFile: (fd) => hardware.lockFile(fd) });
  onStop(() => lock.release());
  const wrappings = [new NoneWrapping({ random })];
  const archive = await StateArchive.open({ mode: 'NONE' }, { files, random, wrappings });
  onStop(() => archive.close());
  const enrolment = Enrolment.open({ archive, random, clock });
  onStop(() => enrolment.close());
  return { archive, enrolment, files };
}
