import type { Clock } from '../base/clock.ts';
import type { Counters } from '../base/counters.ts';
import type { EventSink } from '../base/events.ts';
import type { RandomSource } from '../base/random.ts';
import { wipeKeys } from '../cache/cache-keys.ts';
import { openInstallSeed } from '../cache/install-seed.ts';
import { INSTALL_SEED_FEEDER } from '../cache/origin.ts';
import { Reservoir, storageReserveBytes, type SegmentStore } from '../cache/reservoir.ts';
import { SeedFirstStore } from '../cache/seed-first-store.ts';
import { StorageCache, type StorageCacheDependencies } from '../cache/storage-cache.ts';
import { CACHE_DIRECTORY } from '../cache/storage-place.ts';
import { NodeFiles } from '../durable/node-files.ts';
import type { CacheStart } from './engine-thread-data.ts';

export interface ExternalCachesDependencies {
  readonly random: RandomSource;
  readonly clock: Clock;
  readonly events: EventSink;
  readonly counters: Counters;
  /** mlock; false where the host refuses. */
  readonly lock: (memory: Uint8Array) => boolean;
}

/** Opens both caches of external entropy. What was stored is drawn into memory in the background: see Reservoir.start. */
export async function openExternalCaches(
  start: CacheStart,
  dependencies: ExternalCachesDependencies,
): Promise<Reservoir> {
  const { stateDirectory, keys, sizes, feeders } = start;
  try {
    const files = await NodeFiles.open({ root: stateDirectory });
    const reserveBytes = storageReserveBytes(sizes.memoryBytes);
    const storage = await StorageCache.open(
      {
        directory: CACHE_DIRECTORY,
        capacityBytes: sizes.storageBytes,
        reserveBytes,
        // Whoever is not enrolled now was revoked before: what he left is not used.
        feeders: new Set([...feeders, INSTALL_SEED_FEEDER]),
      },
      { ...dependencies, files, keys },
    );
    const withSeed = await seedFirst(start, storage, { ...dependencies, files, keys });
    return new Reservoir(sizes, { ...dependencies, storage: withSeed });
  } finally {
    wipeKeys(keys);
  }
}

async function seedFirst(
  { installSeedBytes }: CacheStart,
  feeders: StorageCache,
  dependencies: StorageCacheDependencies,
): Promise<SegmentStore> {
  if (installSeedBytes === undefined) return feeders;
  const seed = await openInstallSeed({ seedBytes: installSeedBytes }, dependencies);
  return new SeedFirstStore({ seed, feeders });
}
