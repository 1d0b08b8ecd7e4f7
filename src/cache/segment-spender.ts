import { wipe } from '../base/bytes.ts';
import type { SerialQueue } from '../durable/serial-queue.ts';
import type { Portion } from './origin.ts';
import { keyIdOf, openRecords } from './segment-format.ts';
import type { SegmentWriter } from './segment-writer.ts';
import type { StoredSegment } from './storage-scan.ts';
import type { StorageState } from './storage-state.ts';

interface WaitingTake {
  readonly resolve: (portions: Portion[] | undefined) => void;
  readonly reject: (reason: unknown) => void;
}

/** Segments opened together: they share the rewrites of their key pages. */
const BATCH_SEGMENTS = 16;

/** The way out: the keys of the oldest segments are durably destroyed, and only then their bytes are handed out. */
export class SegmentSpender {
  readonly #state: StorageState;
  readonly #queue: SerialQueue;
  readonly #writer: SegmentWriter;
  #takes: WaitingTake[] = [];

  constructor(dependencies: {
    readonly state: StorageState;
    readonly queue: SerialQueue;
    readonly writer: SegmentWriter;
  }) {
    this.#state = dependencies.state;
    this.#queue = dependencies.queue;
    this.#writer = dependencies.writer;
  }

  /** The next segment, as StorageCache.takeSegment; an empty list when nothing in it may be given out. */
  take(): Promise<Portion[] | undefined> {
    return new Promise((resolve, reject) => {
      this.#takes.push({ resolve, reject });
      void this.#queue.run(() => this.#spendBatch());
    });
  }

  /** Frees the doomed segments: with their keys their bytes are gone. */
  async rekeyDoomed(): Promise<void> {
    if (this.#state.volume === undefined) return;
    for (const [segment, key] of await this.#destroyKeys(this.#state.book.doomed)) {
      wipe(key);
      this.#state.book.release(segment);
    }
  }

  /** Opens as many segments as are asked for, with one rewrite for each key page that they share. */
  async #spendBatch(): Promise<void> {
    const takes = this.#takes.splice(0, BATCH_SEGMENTS);
    if (takes.length === 0) return;
    try {
      const opened = await this.#spend(takes.length);
      for (const [index, { resolve }] of takes.entries()) resolve(opened[index]);
    } catch (error) {
      this.#state.refuse(takes, error);
    }
  }

  async #spend(count: number): Promise<Portion[][]> {
    if (this.#state.volume === undefined) return [];
    if (this.#state.book.filledCount === 0) this.#writer.sealTail();
    const spent = this.#state.book.oldest(count);
    const images: Buffer[] = [];
    for (const { segment, endBytes } of spent) {
      images.push(await this.#state.volume.readSegments(segment, endBytes).catch(() => Buffer.alloc(0)));
    }
    const keys = await this.#destroyKeys(spent.map(({ segment }) => segment));
    this.#state.counters.add('cache.segments.opened', spent.length);
    return spent.map((stored, index) => {
      const key = keys.get(stored.segment);
      const image = images[index];
      if (key === undefined || image === undefined)
        throw new Error('broken invariant: a key for each segment');
      const portions = this.#opened(stored, key, image);
      wipe(key);
      this.#state.book.release(stored.segment);
      return portions;
    });
  }

  /** From here on the bytes exist nowhere but in what this gives. */
  #opened(stored: StoredSegment, key: Buffer, image: Buffer): Portion[] {
    const countedBytes = this.#state.book.remove(stored);
    const { cacheId } = this.#state.openedVolume();
    const { portions } =
      image.length === 0 ? { portions: [] } : openRecords({ key, cacheId, segment: stored.segment }, image);
    const valid = portions.filter(({ origin }) => !this.#state.book.isVoided(origin.feeder));
    for (const portion of portions) if (!valid.includes(portion)) wipe(portion.bytes);
    this.#state.destroyed(countedBytes - valid.reduce((sum, { bytes }) => sum + bytes.length, 0));
    return valid;
  }

  /** The old keys of these segments, which are on no disk any more; headers sealed under them are noted as void. */
  async #destroyKeys(segments: readonly number[]): Promise<Map<number, Buffer>> {
    const { keys } = this.#state.openedVolume();
    if (segments.length === 0) return new Map();
    const old = await keys.replace(
      new Map(segments.map((segment) => [segment, keyIdOf(keys.keyOf(segment))])),
    );
    for (const segment of segments) this.#state.doubtful.delete(segment);
    return old;
  }
}
