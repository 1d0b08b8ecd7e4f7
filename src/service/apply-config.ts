import { KIB } from '../base/units.ts';
import type { Configuration } from '../contract/parameters.ts';
import type { CacheSizes } from '../engine/engine-messages.ts';
import type { PoolFeederSettings } from '../kernel/pool-feeder.ts';
import type { ConfigParticipant, PreparedChange } from '../state/config-store.ts';

/** The part of a configuration that the kernel feed is made from. */
export function feedSettings(configuration: Configuration): PoolFeederSettings {
  return {
    intervalSeconds: configuration.feedIntervalSeconds,
    bytesPerFeed: configuration.feedBytes,
    creditCpu: configuration.creditCpuToKernel,
  };
}

/** The part that the caches of external entropy are made from. */
export function cacheSizes(configuration: Configuration): CacheSizes {
  return {
    memoryBytes: configuration.memoryCacheSizeKibibytes * KIB,
    lowWatermarkPercent: configuration.memoryCacheLowWatermarkPercentage,
    storageBytes: configuration.storageCacheSizeKibibytes * KIB,
  };
}

/** Takes what is live of a configuration into a running part. Any value of the schema will do, so it refuses nothing. */
export function liveParticipant(apply: (next: Configuration) => void): ConfigParticipant {
  return {
    prepare: (next) => Promise.resolve({ commit: () => apply(next), abort: () => undefined }),
  };
}

/** What a change of the caches' sizes needs of the engine. */
export interface CacheResizer {
  /** @throws EntropyError state-unwritable: there is no space for them */
  prepare(sizes: CacheSizes): Promise<void>;
  settle(commit: boolean): void;
}

/** Other sizes of the caches are in force only when there is space for them on disk, and that is found out before anything changes. */
export function cacheParticipant(resizer: CacheResizer): ConfigParticipant {
  return {
    prepare: async (next, previous): Promise<PreparedChange> => {
      if (isSame(cacheSizes(next), cacheSizes(previous)))
        return { commit: () => undefined, abort: () => undefined };
      await resizer.prepare(cacheSizes(next));
      return { commit: () => resizer.settle(true), abort: () => resizer.settle(false) };
    },
  };
}

function isSame(one: CacheSizes, other: CacheSizes): boolean {
  return (
    one.memoryBytes === other.memoryBytes &&
    one.lowWatermarkPercent === other.lowWatermarkPercent &&
    one.storageBytes === other.storageBytes
  );
}
