import type { Counters } from '../base/counters.ts';
import { isEntropyError, type EntropyError } from '../base/errors.ts';
import type { EventSink } from '../base/events.ts';
import { SegmentBook } from './segment-book.ts';
import { RECORD_OVERHEAD_BYTES } from './segment-format.ts';
import type { Geometry } from './storage-layout.ts';
import type { StoredSegment } from './storage-scan.ts';
import type { StorageVolume } from './storage-volume.ts';

export interface StorageCacheSizes {
  /** Payload that appends may fill. */
  readonly capacityBytes: number;
  /** Payload beyond it, allocated like the rest, that only the orderly stop fills. */
  readonly reserveBytes: number;
}

/** What was found amiss. */
export interface DamageReport {
  /** Segments whose key is not here, which cannot be read, or which the file does not reach. */
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

export const NOTHING_FOUND: DamageReport = {
  damagedSegments: 0,
  damagedPages: 0,
  cutSegments: 0,
  setAside: [],
  destroyedBytes: 0,
};

/** What the parts of the storage cache share: its volume, its book, and whether the disk plays along. */
export class StorageState {
  readonly geometry: Geometry;
  readonly events: EventSink;
  readonly counters: Counters;
  readonly book: SegmentBook;
  /** Segments behind whose end, or as a whole, a failed append may have left something: what is there is not known. */
  readonly doubtful = new Map<number, StoredSegment>();
  sizes: StorageCacheSizes;
  /** undefined while the disk has not let it be opened, and when it is closed. */
  volume: StorageVolume | undefined;
  failure: EntropyError | undefined;
  /** Segments whose keys were destroyed since the key-encryption key came into force. */
  spentSegments = 0;

  constructor(
    options: StorageCacheSizes & { readonly geometry: Geometry },
    dependencies: { readonly events: EventSink; readonly counters: Counters },
  ) {
    this.geometry = options.geometry;
    this.book = new SegmentBook({ fullBytes: options.geometry.segmentBytes - RECORD_OVERHEAD_BYTES });
    this.sizes = { capacityBytes: options.capacityBytes, reserveBytes: options.reserveBytes };
    this.events = dependencies.events;
    this.counters = dependencies.counters;
  }

  openedVolume(): StorageVolume {
    if (this.volume === undefined) throw new Error('broken invariant: the storage cache is open');
    return this.volume;
  }

  /** Makes it known. Before its key goes, too: a header under neither its key nor its void id would look like damage. */
  async blankDoubtful(): Promise<void> {
    if (this.doubtful.size === 0) return;
    const volume = this.openedVolume();
    for (const { segment, endBytes } of this.doubtful.values())
      await volume.writeSegment(segment, endBytes, Buffer.alloc(this.geometry.segmentBytes - endBytes));
    await volume.syncSegments();
    this.doubtful.clear();
  }

  async whileWritable(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (!isRefusal(error)) throw error;
      this.fail(error);
    }
  }

  /** Told once, until the disk has healed. */
  fail(error: EntropyError): void {
    if (error === this.failure) return;
    this.counters.add('cache.storage.failures');
    if (this.failure !== undefined) return;
    this.failure = error;
    this.events.emit('cache.storage.failed', { code: error.code, reason: error.message });
  }

  refuse(waiting: readonly { readonly reject: (reason: unknown) => void }[], error: unknown): void {
    if (isRefusal(error)) this.fail(error);
    for (const { reject } of waiting) reject(error);
  }

  /** Tells of damage, if it is any, and counts what was lost with it. */
  damaged({ setAside, ...counts }: DamageReport, reason: string): void {
    this.destroyed(counts.destroyedBytes);
    if (setAside.length + counts.damagedSegments + counts.damagedPages + counts.cutSegments === 0) return;
    this.events.emit('cache.damaged', { ...counts, setAside: setAside.join(' '), reason });
  }

  destroyed(bytes: number): void {
    if (bytes > 0) this.counters.add('cache.bytes.destroyed', bytes);
  }
}

/** What a disk answers that does not let us, or that holds what is not ours to touch. */
export function isRefusal(error: unknown): error is EntropyError {
  return isEntropyError(error, 'state-unwritable', 'state-unreadable', 'state-version-newer');
}
