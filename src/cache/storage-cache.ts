import { wipe } from '../base/bytes.ts';
import type { Counters } from '../base/counters.ts';
import { EntropyError } from '../base/errors.ts';
import type { EventSink } from '../base/events.ts';
import type { RandomSource } from '../base/random.ts';
import type { DurableFiles } from '../durable/durable-files.ts';
import { SerialQueue } from '../durable/serial-queue.ts';
import { HeldKeys, type CacheKeys } from './cache-keys.ts';
import type { Origin, Portion } from './origin.ts';
import { SegmentSpender } from './segment-spender.ts';
import { SegmentWriter } from './segment-writer.ts';
import { DEFAULT_GEOMETRY, type Geometry } from './storage-layout.ts';
import { merged } from './storage-shares.ts';
import { isRefusal, StorageState, type DamageReport, type StorageCacheSizes } from './storage-state.ts';
import { StorageRekey } from './storage-rekey.ts';
import { StorageUpkeep } from './storage-upkeep.ts';

export type { DamageReport, StorageCacheSizes } from './storage-state.ts';

export interface StorageCacheOptions extends StorageCacheSizes {
  readonly directory: string;
  /** Ids of the enrolled feeders: what others stored is not given out, whenever the files can be opened. Undefined: all are. */
  readonly feeders?: ReadonlySet<number>;
  readonly geometry?: Geometry;
}

export interface StorageCacheDependencies {
  readonly files: DurableFiles;
  readonly random: RandomSource;
  /** Copied, and the copies wiped by `close`. */
  readonly keys: CacheKeys;
  readonly events: EventSink;
  readonly counters: Counters;
}

const MAXIMUM_BYTES = 2 * 1024 ** 3;

/**
 * External entropy on the disk: sealed segments (segment-format.ts), and their keys in pages (key-pages.ts). A byte is
 * given out once in the life of the files: the key of its segment is durably gone before.
 *
 * A disk that refuses writes is told once (`failure`, an event), and asked again by `probe`; meanwhile there is no
 * room, and segments can still be taken when their keys can be destroyed.
 */
export class StorageCache {
  readonly #queue = new SerialQueue();
  readonly #state: StorageState;
  readonly #writer: SegmentWriter;
  readonly #spender: SegmentSpender;
  readonly #upkeep: StorageUpkeep;
  readonly #keys: HeldKeys;
  readonly #rekey: StorageRekey;
  #closed = false;

  private constructor(options: StorageCacheOptions, dependencies: StorageCacheDependencies) {
    const { directory, feeders, geometry = DEFAULT_GEOMETRY } = options;
    this.#state = new StorageState({ ...options, geometry }, dependencies);
    this.#keys = new HeldKeys(dependencies.keys);
    const shared = { state: this.#state, queue: this.#queue };
    this.#rekey = new StorageRekey({ ...shared, heldKeys: this.#keys });
    this.#writer = new SegmentWriter(shared);
    this.#spender = new SegmentSpender({ ...shared, writer: this.#writer });
    this.#upkeep = new StorageUpkeep(
      { directory, feeders },
      {
        ...dependencies,
        ...shared,
        writer: this.#writer,
        spender: this.#spender,
        heldKeys: this.#keys,
      },
    );
  }

  /**
   * Opens the cache of a directory, or makes it. Damage and a disk that refuses are told, not thrown: see `found` and
   * `failure`. Throws RangeError for sizes or a key that no cache can have.
   */
  static async open(
    options: StorageCacheOptions,
    dependencies: StorageCacheDependencies,
  ): Promise<StorageCache> {
    assertSizes(options);
    const cache = new StorageCache(options, dependencies);
    await cache.#queue.run(() => cache.#state.whileWritable(() => cache.#upkeep.open()));
    return cache;
  }

  get found(): DamageReport {
    return this.#upkeep.found;
  }

  get failure(): EntropyError | undefined {
    return this.#state.failure;
  }

  get capacityBytes(): number {
    return this.#state.sizes.capacityBytes;
  }

  /** Payload that is stored durably and can be given out. */
  get bytes(): number {
    return this.#state.book.bytes;
  }

  /** What it is worth, in 1/1024 bit. */
  get creditedUnits(): number {
    return this.#state.book.creditedUnits;
  }

  /** Payload for which there is room now, in frames of 2 KiB or more; one append of that many bytes always fits. */
  get roomBytes(): number {
    return this.#writer.roomFor(this.#state.sizes.capacityBytes);
  }

  /** What `store` may bring now, as `storageReserveBytes` reckons it: each portion with the cost of its record. */
  get stopRoomBytes(): number {
    return this.#writer.roomFor(this.#mostBytes);
  }

  /**
   * Stores bytes, which must stay unchanged until it settles; they are durable when it resolves. RangeError when there
   * is no room. `state-unwritable` when the disk refuses: nothing of it counts then, but until `probe` succeeds a
   * crash may bring it back, so the caller must destroy those bytes and not use them otherwise.
   */
  append(bytes: Uint8Array, origin: Origin): Promise<void> {
    return this.#writer.append(bytes, origin, this.#state.sizes.capacityBytes);
  }

  /**
   * Takes a segment out, of those left partly filled by earlier processes first, then the oldest: its key is durably destroyed,
   * and then its bytes are given, for the caller to wipe. undefined when nothing is stored. `state-unwritable` when its key cannot
   * be destroyed, `state-unreadable` when the disk cannot be read: it stays stored. A single segment that cannot be read while others
   * can is given up, told as damage, and the next one taken.
   */
  async takeSegment(): Promise<Portion[] | undefined> {
    for (;;) {
      const portions = await this.#spender.take();
      if (portions !== undefined)
        void this.#queue.run(() => this.#state.whileWritable(() => this.#upkeep.trim()));
      if (portions === undefined || portions.length > 0) return portions;
    }
  }

  /**
   * The orderly stop: stores what memory held, into the reserve too. Gives how many bytes are durable; the others found no room,
   * or the disk refused them. The portions stay the caller's to wipe.
   */
  async store(portions: readonly Portion[]): Promise<number> {
    const joined = merged(portions);
    try {
      await this.#queue.settled();
      const stored = await Promise.allSettled(joined.map((portion) => this.#storeWhatFits(portion)));
      for (const one of stored) if (one.status === 'rejected' && !isRefusal(one.reason)) throw one.reason;
      return stored.reduce((sum, one) => sum + (one.status === 'fulfilled' ? one.value : 0), 0);
    } finally {
      for (const { bytes } of joined) wipe(bytes);
    }
  }

  /**
   * What this feeder brought is not given out any more. Segments that hold nothing else lose their key at once, others
   * when they are spent; until then only this process knows, so whoever opens the cache voids revoked feeders again.
   */
  voidFeeder(feeder: number): void {
    this.#state.destroyed(this.#state.book.voidFeeder(feeder, this.#writer.openShares));
    this.#upkeep.destroyDoomed();
  }

  /**
   * Allocates what other sizes need, and then lets the caller choose. `commit` puts them in force; what was filled last
   * beyond a smaller capacity and its reserve is destroyed. `state-unwritable` when the disk has no space for it: nothing changed.
   */
  async prepareSize(sizes: StorageCacheSizes): Promise<{ commit: () => void; abort: () => void }> {
    assertSizes(sizes);
    return this.#upkeep.prepareSize(sizes);
  }

  /** Segments whose keys were destroyed since the key-encryption key came into force. */
  get spentSegments(): number {
    return this.#state.spentSegments;
  }

  /**
   * Puts all key pages under another key-encryption key, which is copied; appends and takes go on meanwhile. When it resolves an earlier
   * one opens no page on the disk, and is wiped. `state-unwritable` when the disk refuses: pages may then be under either, and
   * both open them here, until a later call succeeds.
   */
  rekey(key: Uint8Array): Promise<void> {
    return this.#rekey.run(key);
  }

  /** Asks a disk that failed whether it takes writes again. True when it does: then there is room again. */
  probe(): Promise<boolean> {
    return this.#queue.run(async () => {
      if (this.#state.failure === undefined) return true;
      if (this.#closed) return false;
      try {
        await this.#upkeep.heal();
      } catch (error) {
        if (!isRefusal(error)) throw error;
        return false;
      }
      this.#state.failure = undefined;
      this.#state.events.emit('cache.storage.healed');
      return true;
    });
  }

  /** Waits for what is under way, lets go of the files and wipes the keys; nothing can be stored or taken any more. */
  close(): Promise<void> {
    return this.#queue.run(async () => {
      if (this.#closed) return;
      this.#closed = true;
      this.#state.failure ??= new EntropyError('state-unwritable', 'the storage cache is closed');
      const volume = this.#state.volume;
      this.#state.volume = undefined;
      this.#keys.wipe();
      await volume?.close();
    });
  }

  async #storeWhatFits({ bytes, origin }: Portion): Promise<number> {
    const fitting = bytes.subarray(0, this.stopRoomBytes);
    if (fitting.length > 0) await this.#writer.append(fitting, origin, this.#mostBytes);
    return fitting.length;
  }

  get #mostBytes(): number {
    return this.#state.sizes.capacityBytes + this.#state.sizes.reserveBytes;
  }
}

function assertSizes({ capacityBytes, reserveBytes }: StorageCacheSizes): void {
  const sound = Number.isSafeInteger(capacityBytes) && Number.isSafeInteger(reserveBytes);
  if (!sound || capacityBytes < 1 || reserveBytes < 0 || capacityBytes + reserveBytes > MAXIMUM_BYTES) {
    throw new RangeError('a storage cache has 1 byte to 2 GiB');
  }
}
