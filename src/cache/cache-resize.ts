import { wipe } from '../base/bytes.ts';
import type { Counters } from '../base/counters.ts';
import type { EventSink } from '../base/events.ts';
import type { CacheWatch } from './cache-watch.ts';
import type { MemoryTier } from './memory-tier.ts';
import type { Portion } from './origin.ts';
import type { CacheSizes, PreparedSizes } from './reservoir-types.ts';
import { storageReserveBytes } from './segment-store.ts';
import type { StorageTier } from './storage-tier.ts';

export interface CacheResizeDependencies {
  readonly memory: MemoryTier;
  readonly storage: StorageTier;
  readonly watch: CacheWatch;
  readonly events: EventSink;
  readonly counters: Counters;
  /** Other sizes are in force. */
  readonly onResized: () => void;
}

/** Gives both caches other sizes while they are in use: what the disk cannot do is refused before anything changed. */
export class CacheResize {
  readonly #dependencies: CacheResizeDependencies;
  /** Committed while a segment was on its way: put in force when that has come. */
  #committed: CacheSizes | undefined;

  constructor(dependencies: CacheResizeDependencies) {
    this.#dependencies = dependencies;
  }

  /** Reserves what other sizes need on disk. @throws EntropyError state-unwritable: everything stays as it was */
  async prepare(sizes: CacheSizes): Promise<PreparedSizes> {
    const { memory, storage } = this.#dependencies;
    const { storageBytes, memoryBytes } = sizes;
    const prepared = await storage.prepareSize({
      capacityBytes: storageBytes,
      reserveBytes: storageReserveBytes(memoryBytes),
    });
    return {
      commit: () => {
        prepared.commit();
        this.#committed = sizes;
        if (!memory.opening) this.settle();
      },
      abort: () => prepared.abort(),
    };
  }

  /** Puts in force what was committed, if that is still to be done. Not while a segment is on its way. */
  settle(): void {
    if (this.#committed === undefined) return;
    const { memory, watch, events, onResized } = this.#dependencies;
    const { memoryBytes, lowWatermarkPercent, storageBytes } = this.#committed;
    this.#committed = undefined;
    const displaced = memory.resize({ sizeBytes: memoryBytes });
    watch.reconfigure({ memorySizeBytes: memoryBytes, lowWatermarkPercent });
    for (const portion of displaced) void this.#displace(portion);
    events.emit('cache.resized', { memoryBytes, lowWatermarkPercent, storageBytes });
    onResized();
  }

  /** What memory can no longer hold goes to storage, or is destroyed for want of room. */
  async #displace({ bytes, origin }: Portion): Promise<void> {
    const { storage, counters } = this.#dependencies;
    const { storedBytes } = await storage.append(bytes, origin);
    counters.add('cache.bytes.destroyed', bytes.length - storedBytes);
    wipe(bytes);
  }
}
