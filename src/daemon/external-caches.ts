import { wipe } from '../base/bytes.ts';
import type { Clock } from '../base/clock.ts';
import type { Counters } from '../base/counters.ts';
import type { EventSink } from '../base/events.ts';
import type { RandomSource } from '../base/random.ts';
import { Reservoir, storageReserveBytes } from '../cache/reservoir.ts';
import { StorageCache } from '../cache/storage-cache.ts';
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

const DIRECTORY = 'cache';

/** Opens both caches of external entropy. What was stored is drawn into memory in the background: see Reservoir.start. */
export async function openExternalCaches(
  { stateDirectory, keyEncryptionKey, sizes, feeders }: CacheStart,
  dependencies: ExternalCachesDependencies,
): Promise<Reservoir> {
  try {
    const files = await NodeFiles.open({ root: stateDirectory });
    const reserveBytes = storageReserveBytes(sizes.memoryBytes);
    const storage = await StorageCache.open(
      // Whoever is not enrolled now was revoked before: what he left is not used.
      { directory: DIRECTORY, capacityBytes: sizes.storageBytes, reserveBytes, feeders: new Set(feeders) },
      { ...dependencies, files, keyEncryptionKey },
    );
    return new Reservoir(sizes, { ...dependencies, storage });
  } finally {
    wipe(keyEncryptionKey);
  }
}
