import { wipe } from '../base/bytes.ts';
import type { Counters } from '../base/counters.ts';
import { EntropyError } from '../base/errors.ts';
import type { EventSink } from '../base/events.ts';
import type { RandomSource } from '../base/random.ts';
import type { DurableFiles } from '../durable/durable-files.ts';
import { SerialQueue } from '../durable/serial-queue.ts';
import type { Origin, Portion } from './origin.ts';
import { KEY_BYTES } from './segment-format.ts';
import { SegmentSpender } from './segment-spender.ts';
import { SegmentWriter } from './segment-writer.ts';
import { DEFAULT_GEOMETRY, pagesFor, segmentsFor, type Geometry } from './storage-layout.ts';
import { scanVolume } from './storage-scan.ts';
import { merged } from './storage-shares.ts';
import { isRefusal, StorageState, type StorageCacheSizes } from './storage-state.ts';
import { VolumePlace } from './storage-place.ts';
import { StorageVolume } from './storage-volume.ts';

export type { StorageCacheSizes } from './storage-state.ts';

export interface StorageCacheOptions extends StorageCacheSizes {
  readonly directory: string;
  readonly geometry?: Geometry;
}

export interface StorageCacheDependencies {
  readonly files: DurableFiles;
  readonly random: RandomSource;
  /** 32 secret bytes; copied, and the copy wiped by `close`. */
  readonly keyEncryptionKey: Uint8Array;
  readonly events: EventSink;
  readonly counters: Counters;
}

/** What opening found amiss. */
export interface DamageReport {
  /** Segments whose key is not here, or which the file does not reach. */
  readonly damagedSegments: number;
  /** Key pages of which neither place opens; the bytes of their segments are lost. */
  readonly damagedPages: number;
  /** Segments of which only a first part opens. After a crash some are normal. */
  readonly cutSegments: number;
  /** Files that could not be used at all, by the names they were given. */
  readonly setAside: readonly string[];
  /** Payload that was lost with all that, as far as clear lengths tell. */
  readonly destroyedBytes: number;
}

const MAXIMUM_BYTES = 2 * 1024 ** 3;
const NOTHING_FOUND: DamageReport = {
  damagedSegments: 0,
  damagedPages: 0,
  cutSegments: 0,
  setAside: [],
  destroyedBytes: 0,
};

/**
 * External entropy on the disk: sealed segments (segment-format.ts), and their keys in pages (key-pages.ts). A byte is
 * given out once in the life of the files: the key of its segment is durably gone before.
 *
 * A disk that refuses writes is told once (`failure`, an event), and asked again by `probe`; meanwhile there is no
 * room, and segments can still be taken when their keys can be destroyed.
 */
export class StorageCache {
  readonly #directory: string;
  readonly #dependencies: StorageCacheDependencies;
  readonly #queue = new SerialQueue();
  readonly #state: StorageState;
  readonly #writer: SegmentWriter;
  readonly #spender: SegmentSpender;
  #growths = 0;
  #closed = false;
  #found = NOTHING_FOUND;

  private constructor(options: StorageCacheOptions, dependencies: StorageCacheDependencies) {
    this.#directory = options.directory;
    this.#state = new StorageState(
      { ...options, geometry: options.geometry ?? DEFAULT_GEOMETRY },
      dependencies,
    );
    const shared = { state: this.#state, queue: this.#queue };
    this.#writer = new SegmentWriter(shared);
    this.#spender = new SegmentSpender({ ...shared, writer: this.#writer });
    this.#dependencies = {
      ...dependencies,
      keyEncryptionKey: Uint8Array.from(dependencies.keyEncryptionKey),
    };
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
    if (dependencies.keyEncryptionKey.length !== KEY_BYTES)
      throw new RangeError(`the key has ${KEY_BYTES} bytes`);
    const cache = new StorageCache(options, dependencies);
    await cache.#queue.run(() => cache.#state.whileWritable(() => cache.#openVolume()));
    return cache;
  }

  get found(): DamageReport {
    return this.#found;
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

  /** Ids of the feeders whose bytes are stored in sealed segments: as opened, all of them. */
  get feeders(): ReadonlySet<number> {
    return this.#state.book.feeders;
  }

  /** What it is worth, in 1/1024 bit. */
  get creditedUnits(): number {
    return this.#state.book.creditedUnits;
  }

  /** Payload for which there is room now, in frames of 2 KiB or more; one append of that many bytes always fits. */
  get roomBytes(): number {
    return this.#writer.roomFor(this.#state.sizes.capacityBytes);
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
   * Takes the oldest segment out: first its key is durably destroyed, then its bytes are given, for the caller to
   * wipe. undefined when nothing is stored. `state-unwritable` when its key cannot be destroyed; it stays stored.
   */
  async takeSegment(): Promise<Portion[] | undefined> {
    for (;;) {
      const portions = await this.#spender.take();
      if (portions !== undefined) void this.#queue.run(() => this.#state.whileWritable(() => this.#trim()));
      if (portions === undefined || portions.length > 0) return portions;
    }
  }

  /**
   * The orderly stop: stores what memory held, into the reserve too. What does not fit is counted as destroyed; the
   * portions stay the caller's to wipe. `state-unwritable` when the disk refuses.
   */
  async store(portions: readonly Portion[]): Promise<void> {
    const most = this.#state.sizes.capacityBytes + this.#state.sizes.reserveBytes;
    const joined = merged(portions);
    try {
      await this.#queue.settled();
      await Promise.all(joined.map(({ origin, bytes }) => this.#storeWhatFits(bytes, origin, most)));
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
    this.#destroyDoomed();
  }

  /**
   * Allocates what other sizes need, and then lets the caller choose. `commit` puts them in force; what was filled last
   * beyond a smaller capacity is destroyed. `state-unwritable` when the disk has no space for it: nothing changed.
   */
  async prepareSize(sizes: StorageCacheSizes): Promise<{ commit: () => void; abort: () => void }> {
    assertSizes(sizes);
    this.#growths++;
    let open = true;
    const settle = (work: () => void): void => {
      if (!open) return;
      open = false;
      this.#growths--;
      work();
      void this.#queue.run(() => this.#state.whileWritable(() => this.#trim()));
    };
    try {
      await this.#queue.run(() => this.#grow(this.#pagesOf(sizes)));
    } catch (error) {
      settle(() => undefined);
      throw error;
    }
    return { commit: () => settle(() => this.#resize(sizes)), abort: () => settle(() => undefined) };
  }

  /** Asks a disk that failed whether it takes writes again. True when it does: then there is room again. */
  probe(): Promise<boolean> {
    return this.#queue.run(async () => {
      if (this.#state.failure === undefined) return true;
      if (this.#closed) return false;
      try {
        await this.#heal();
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
      await this.#state.volume?.close();
      this.#state.volume = undefined;
      wipe(this.#dependencies.keyEncryptionKey);
    });
  }

  async #storeWhatFits(bytes: Uint8Array, origin: Origin, mostBytes: number): Promise<void> {
    if (this.#state.failure !== undefined) throw this.#state.failure;
    const fits = Math.min(bytes.length, this.#writer.roomFor(mostBytes));
    this.#state.destroyed(bytes.length - fits);
    if (fits > 0) await this.#writer.append(bytes.subarray(0, fits), origin, mostBytes);
  }

  #destroyDoomed(): void {
    if (this.#state.book.doomed.length === 0) return;
    void this.#queue.run(() =>
      this.#state.whileWritable(async () => {
        await this.#spender.rekeyDoomed();
        await this.#trim();
      }),
    );
  }

  async #openVolume(): Promise<void> {
    const { geometry } = this.#state;
    const options = { directory: this.#directory, geometry, pages: this.#pagesOf(this.#state.sizes) };
    const { reason, setAside } = await new VolumePlace(options, this.#dependencies).prepare();
    this.#found = { ...this.#found, setAside: [...this.#found.setAside, ...setAside] };
    const { volume, missingSegments } = await StorageVolume.open(options, this.#dependencies);
    const scan = await scanVolume(volume, geometry);
    this.#state.volume = volume;
    this.#state.book.load(scan);
    this.#writer.continueFrom((scan.filled.at(-1)?.fillOrder ?? 0) + 1);
    this.#found = {
      damagedSegments: scan.damagedSegments + missingSegments,
      damagedPages: scan.damagedPages,
      cutSegments: scan.cutSegments,
      setAside: this.#found.setAside,
      destroyedBytes: scan.destroyedBytes,
    };
    this.#report(reason ?? '');
    const { capacityBytes, reserveBytes } = this.#state.sizes;
    this.#state.destroyed(this.#state.book.doomNewest(segmentsFor(capacityBytes + reserveBytes, geometry)));
    await this.#grow(options.pages);
    await this.#spender.rekeyDoomed();
    await this.#trim();
  }

  #report(reason: string): void {
    const { setAside, ...counts } = this.#found;
    this.#state.destroyed(counts.destroyedBytes);
    if (setAside.length + counts.damagedSegments + counts.damagedPages + counts.cutSegments === 0) return;
    this.#state.events.emit('cache.damaged', { ...counts, setAside: setAside.join(' '), reason });
  }

  #resize(sizes: StorageCacheSizes): void {
    this.#state.sizes = sizes;
    const open = this.#writer.hasTail ? 1 : 0;
    this.#state.destroyed(
      this.#state.book.doomNewest(segmentsFor(sizes.capacityBytes, this.#state.geometry) - open),
    );
    this.#destroyDoomed();
  }

  /** After a failed opening there is no volume to grow: the next opening makes it as large as it must be. */
  async #grow(pages: number): Promise<void> {
    if (this.#state.volume === undefined) return;
    const before = this.#state.volume.segmentCount;
    await this.#state.volume.grow(pages);
    this.#state.book.extend(before, this.#state.volume.segmentCount);
  }

  /** Gives back pages at the end that no size needs and nothing is stored in. */
  async #trim(): Promise<void> {
    const volume = this.#state.volume;
    if (volume === undefined || this.#growths > 0) return;
    const { keysPerPage } = this.#state.geometry;
    let pages = volume.keys.count;
    while (
      pages > this.#pagesOf(this.#state.sizes) &&
      this.#state.book.cut((pages - 1) * keysPerPage, pages * keysPerPage)
    )
      pages--;
    if (pages === volume.keys.count) return;
    try {
      await volume.shrink(pages);
    } finally {
      this.#state.book.extend(pages * keysPerPage, volume.segmentCount);
    }
  }

  /** All that a failure may have left undone; throws when the disk still refuses. */
  async #heal(): Promise<void> {
    if (this.#state.volume === undefined) return this.#openVolume();
    await this.#state.volume.tryWriting();
    for (const { segment, endBytes } of this.#state.doubtful.values()) {
      const rest = Buffer.alloc(this.#state.geometry.segmentBytes - endBytes);
      await this.#state.volume.writeSegment(segment, endBytes, rest);
    }
    await this.#grow(this.#pagesOf(this.#state.sizes));
    this.#state.doubtful.clear();
    await this.#spender.rekeyDoomed();
  }

  #pagesOf({ capacityBytes, reserveBytes }: StorageCacheSizes): number {
    return pagesFor(segmentsFor(capacityBytes + reserveBytes, this.#state.geometry), this.#state.geometry);
  }
}

function assertSizes({ capacityBytes, reserveBytes }: StorageCacheSizes): void {
  const sound = Number.isSafeInteger(capacityBytes) && Number.isSafeInteger(reserveBytes);
  if (!sound || capacityBytes < 1 || reserveBytes < 0 || capacityBytes + reserveBytes > MAXIMUM_BYTES) {
    throw new RangeError('a storage cache has 1 byte to 2 GiB');
  }
}
