import { existsSync } from 'node:fs';
import type { Clock } from '../base/clock.ts';
import { Counters } from '../base/counters.ts';
import { isEntropyError } from '../base/errors.ts';
import type { EventSink } from '../base/events.ts';
import type { Log } from '../base/log.ts';
import type { RandomSource } from '../base/random.ts';
import { removeInstallSeed } from '../cache/install-seed.ts';
import { assertNew, DEFAULT_SEED_RATE_UNITS, install, type Installed } from '../install/install.ts';
import type { Kickstart } from '../install/kickstart.ts';
import { readKickstartFile } from '../install/kickstart-file.ts';
import { ConfigStore } from '../state/config-store.ts';
import { readInstallRecord } from '../state/install-record.ts';
import { withDoorTests } from './door-tests.ts';
import type { OpenedStore } from './state-directory.ts';

export interface InstallFileOptions {
  /** Undefined: no file is looked for. */
  readonly path: string | undefined;
  readonly uid: number;
  readonly moduleDirectory: string;
}

export interface InstallFileDependencies {
  readonly random: RandomSource;
  readonly clock: Clock;
  readonly events: EventSink;
  readonly log: Log;
}

/** Where a host's install file is looked for, by root. */
export const INSTALL_FILE = '/etc/entropy-mixer/install.ks';

/**
 * Before the daemon reads its configuration: applies the install file to a new state, once, and clears away the area of a seed that nothing
 * names or that is used up. A file that cannot be applied ends the start, for the host would run under another policy than it was given.
 *
 * @throws EntropyError kickstart-invalid, input-failed, key-file-exposed, state-unwritable, module-*
 */
export async function firstStart(
  store: OpenedStore,
  options: InstallFileOptions,
  dependencies: InstallFileDependencies,
): Promise<void> {
  if (store.archive.refused !== undefined) return;
  await clearAway(store, dependencies.log);
  const { path } = options;
  if (path === undefined || !existsSync(path)) return;
  const config = ConfigStore.open({ flags: {}, file: {} }, store);
  const because = whyNot({ ...store, config });
  if (because === undefined) return applied(store, { ...options, path }, { ...dependencies, config });
  dependencies.events.emit('install.file-left', { file: path, because });
}

/** Empty area files of a seed that is used up, or what a crash left before the seed counted. */
async function clearAway(store: OpenedStore, log: Log): Promise<void> {
  try {
    const seed = readInstallRecord(store)?.seed ?? null;
    if (seed === null || seed.usedUp) await removeInstallSeed(store.files);
  } catch (error) {
    if (!isEntropyError(error)) throw error;
    log.warn('the area of the install seed could not be cleared away', {
      code: error.code,
      because: error.message,
    });
  }
}

function whyNot(parts: OpenedStore & { readonly config: ConfigStore }): string | undefined {
  try {
    if (readInstallRecord(parts) !== undefined) return 'the state was installed before';
    assertNew(parts);
    return undefined;
  } catch (error) {
    if (!isEntropyError(error)) throw error;
    return error.message;
  }
}

async function applied(
  store: OpenedStore,
  { path, uid, moduleDirectory }: InstallFileOptions & { readonly path: string },
  dependencies: InstallFileDependencies & { readonly config: ConfigStore },
): Promise<void> {
  const { log } = dependencies;
  const file = readKickstartFile({ path, trusted: { uid } });
  if (file === undefined) return;
  const { kickstart, readableByOthers } = file;
  try {
    if (kickstart.dryRun) {
      log.warn('the install file says dryrun: nothing was installed', { file: path });
      return;
    }
    const installed = await withDoorTests({ moduleDirectory }, (test) =>
      install(
        kickstart,
        { rateUnits: DEFAULT_SEED_RATE_UNITS },
        { ...store, ...dependencies, counters: new Counters(), test },
      ),
    );
    told(path, installed, kickstart, dependencies);
    if (readableByOthers)
      log.warn('others than its owner can read the install file, and with it the seed', { file: path });
  } finally {
    kickstart.entropy?.seed?.fill(0);
  }
}

function told(
  file: string,
  { record, warnings }: Installed,
  kickstart: Kickstart,
  { events, log }: Pick<InstallFileDependencies, 'events' | 'log'>,
): void {
  events.emit('install.applied', {
    file,
    sources: record.sources ?? 'default',
    seedBytes: record.seed?.bytes ?? 0,
    fingerprint: record.seed?.fingerprint ?? '',
  });
  for (const warning of warnings) log.warn(warning, { file });
  for (const { line, section, command } of kickstart.notRun)
    log.warn('a line of the install file was not run', { line, section, command });
}
