import { Counters } from '../base/counters.ts';
import { isEntropyError } from '../base/errors.ts';
import type { EventBus } from '../base/events.ts';
import type { Log } from '../base/log.ts';
import type { RandomSource } from '../base/random.ts';
import { openInstallSeed } from '../cache/install-seed.ts';
import { InstallSeed } from '../service/install-seed.ts';
import { cacheKeys, wipeRing, type CacheKeyRing } from '../state/cache-key-ring.ts';
import { readInstallRecord, type InstallRecord } from '../state/install-record.ts';
import type { OpenedState } from './state-directory.ts';

interface OpenedSeedDependencies {
  readonly random: RandomSource;
  readonly bus: EventBus;
  readonly log: Log;
}

/** The install seed of a state; one that the mask leaves alone is counted, and told. */
export async function openedSeed(
  state: OpenedState,
  { inUse }: { readonly inUse: boolean },
  dependencies: OpenedSeedDependencies,
): Promise<InstallSeed> {
  const record = recordOf(state, dependencies.log);
  const { seed = null } = record ?? {};
  const isKept = seed !== null && !seed.usedUp && !inUse;
  const keptBytes = isKept ? await countKept(state, seed.bytes, dependencies) : undefined;
  if (isKept) dependencies.bus.emit('install.seed.kept', { leftBytes: keptBytes ?? 'unknown' });
  return new InstallSeed({ record, inUse, keptBytes }, { ...state, ...dependencies });
}

function recordOf(state: OpenedState, log: Log): InstallRecord | undefined {
  try {
    return readInstallRecord(state);
  } catch (error) {
    if (!isEntropyError(error)) throw error;
    log.error('the record of the install cannot be read', { code: error.code, because: error.message });
    return undefined;
  }
}

/** Opens the area, for nobody else does, and lets go of it. */
async function countKept(
  state: OpenedState,
  seedBytes: number,
  { random, bus }: OpenedSeedDependencies,
): Promise<number | undefined> {
  const { archive, files } = state;
  let keys: CacheKeyRing | undefined;
  try {
    if (state.cachesHeldBack !== undefined) return undefined;
    keys = await cacheKeys({ archive, random });
    const area = await openInstallSeed(
      { seedBytes },
      { files, random, keys, events: bus, counters: new Counters() },
    );
    const { bytes, failure } = area;
    await area.close();
    return failure === undefined ? bytes : undefined;
  } catch (error) {
    if (!isEntropyError(error)) throw error;
    return undefined;
  } finally {
    if (keys !== undefined) wipeRing(keys);
  }
}
