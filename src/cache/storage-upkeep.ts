import type { RandomSource } from '../base/random.ts';
import type { DurableFiles } from '../durable/durable-files.ts';
import type { SerialQueue } from '../durable/serial-queue.ts';
import type { HeldKeys } from './cache-keys.ts';
import type { SegmentSpender } from './segment-spender.ts';
import type { SegmentWriter } from './segment-writer.ts';
import { pagesFor, segmentsFor } from './storage-layout.ts';
import { VolumePlace } from './storage-place.ts';
import { scanVolume, type ScanResult } from './storage-scan.ts';
import {
  NOTHING_FOUND,
  type DamageReport,
  type StorageCacheSizes,
  type StorageState,
} from './storage-state.ts';
import { StorageVolume, type OpenedVolume } from './storage-volume.ts';

export interface StorageUpkeepOptions {
  readonly directory: string;
  readonly feeders: ReadonlySet<number> | undefined;
}

export interface StorageUpkeepDependencies {
  readonly state: StorageState;
  readonly queue: SerialQueue;
  readonly writer: SegmentWriter;
  readonly spender: SegmentSpender;
  readonly files: DurableFiles;
  readonly random: RandomSource;
  /** Lent for as long as the cache is open. */
  readonly heldKeys: HeldKeys;
}

/** What becomes of the volume as a whole: it is opened, healed, and given the size that is wanted. */
export class StorageUpkeep {
  readonly #options: StorageUpkeepOptions;
  readonly #dependencies: StorageUpkeepDependencies;
  readonly #state: StorageState;
  readonly #queue: SerialQueue;
  readonly #writer: SegmentWriter;
  readonly #spender: SegmentSpender;
  #growths = 0;
  #found = NOTHING_FOUND;

  constructor(options: StorageUpkeepOptions, dependencies: StorageUpkeepDependencies) {
    this.#options = options;
    this.#dependencies = dependencies;
    this.#state = dependencies.state;
    this.#queue = dependencies.queue;
    this.#writer = dependencies.writer;
    this.#spender = dependencies.spender;
  }

  get found(): DamageReport {
    return this.#found;
  }

  /** Opens the volume, or makes it; all that may have been left undone in it is done. */
  async open(): Promise<void> {
    const { geometry, sizes } = this.#state;
    const options = { directory: this.#options.directory, geometry, pages: this.#pagesOf(sizes) };
    const { reason, setAside } = await new VolumePlace(options, this.#dependencies).prepare();
    this.#found = { ...this.#found, setAside: [...this.#found.setAside, ...setAside] };
    const opened = await StorageVolume.open(options, this.#dependencies);
    this.#adopt(opened, await this.#scanned(opened.volume), reason ?? '');
    this.#destroyExcess();
    await this.#grow(options.pages);
    await this.#spender.rekeyDoomed();
    await this.trim();
  }

  /** All that a failure may have left undone; throws when the disk still refuses. */
  async heal(): Promise<void> {
    if (this.#state.volume === undefined) return this.open();
    await this.#state.volume.tryWriting();
    await this.#spender.tryReading();
    await this.#state.blankDoubtful();
    await this.#grow(this.#pagesOf(this.#state.sizes));
    await this.#spender.rekeyDoomed();
  }

  /**
   * Allocates what other sizes need, and then lets the caller choose. `commit` puts them in force; what was filled last
   * beyond a smaller capacity is destroyed. `state-unwritable` when the disk has no space for it: nothing changed.
   */
  async prepareSize(sizes: StorageCacheSizes): Promise<{ commit: () => void; abort: () => void }> {
    this.#growths++;
    let open = true;
    const settle = (work: () => void): void => {
      if (!open) return;
      open = false;
      this.#growths--;
      work();
      void this.#queue.run(() => this.#state.whileWritable(() => this.trim()));
    };
    try {
      await this.#queue.run(() => this.#grow(this.#pagesOf(sizes)));
    } catch (error) {
      settle(() => undefined);
      throw error;
    }
    return { commit: () => settle(() => this.#resize(sizes)), abort: () => settle(() => undefined) };
  }

  /** Makes sure that doomed segments lose their keys soon. */
  destroyDoomed(): void {
    if (this.#state.book.doomed.length === 0) return;
    void this.#queue.run(() =>
      this.#state.whileWritable(async () => {
        await this.#spender.rekeyDoomed();
        await this.trim();
      }),
    );
  }

  /** After a failed opening there is no volume to grow: the next opening makes it as large as it must be. */
  async #grow(pages: number): Promise<void> {
    if (this.#state.volume === undefined) return;
    const before = this.#state.volume.segmentCount;
    await this.#state.volume.grow(pages);
    this.#state.book.extend(before, this.#state.volume.segmentCount);
  }

  /** Gives back pages at the end that no size needs and nothing is stored in. */
  async trim(): Promise<void> {
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

  async #scanned(volume: StorageVolume): Promise<ScanResult> {
    try {
      return await scanVolume(volume, this.#state.geometry);
    } catch (error) {
      await volume.close().catch(() => undefined); // the first error is the one to tell
      throw error;
    }
  }

  #adopt({ volume, missingSegments }: OpenedVolume, scan: ScanResult, reason: string): void {
    this.#state.volume = volume;
    this.#state.destroyed(this.#state.book.load(scan, this.#options.feeders));
    this.#writer.continueFrom((scan.filled.at(-1)?.fillOrder ?? 0) + 1);
    this.#found = {
      damagedSegments: scan.damagedSegments + missingSegments,
      damagedPages: scan.damagedPages,
      cutSegments: scan.cutSegments,
      setAside: this.#found.setAside,
      destroyedBytes: scan.destroyedBytes,
    };
    this.#state.damaged(this.#found, reason);
  }

  /** What was filled last beyond capacity and reserve is doomed: an orderly stop may have filled the reserve too. */
  #destroyExcess(): void {
    const { capacityBytes, reserveBytes } = this.#state.sizes;
    const most = segmentsFor(capacityBytes + reserveBytes, this.#state.geometry);
    this.#state.destroyed(this.#state.book.doomNewest(most - (this.#writer.hasTail ? 1 : 0)));
  }

  #resize(sizes: StorageCacheSizes): void {
    this.#state.sizes = sizes;
    this.#destroyExcess();
    this.destroyDoomed();
  }

  #pagesOf({ capacityBytes, reserveBytes }: StorageCacheSizes): number {
    return pagesFor(segmentsFor(capacityBytes + reserveBytes, this.#state.geometry), this.#state.geometry);
  }
}
