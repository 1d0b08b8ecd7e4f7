import { wipe } from '../base/bytes.ts';
import type { SerialQueue } from '../durable/serial-queue.ts';
import type { Portion } from './origin.ts';
import { keyIdOf } from './segment-format.ts';
import { SegmentReader, type LoadedSegment } from './segment-reader.ts';
import type { SegmentWriter } from './segment-writer.ts';
import { bytesOf, sizeOf } from './storage-shares.ts';
import { NOTHING_FOUND, type StorageState } from './storage-state.ts';

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
  readonly #reader: SegmentReader;
  #takes: WaitingTake[] = [];

  constructor(dependencies: {
    readonly state: StorageState;
    readonly queue: SerialQueue;
    readonly writer: SegmentWriter;
  }) {
    this.#state = dependencies.state;
    this.#queue = dependencies.queue;
    this.#writer = dependencies.writer;
    this.#reader = new SegmentReader(dependencies);
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
    const { book, doubtful } = this.#state;
    await this.#rekey(book.doomed.filter((segment) => !doubtful.has(segment)));
    await this.#state.blankDoubtful();
    await this.#rekey(book.doomed);
  }

  /** Whether what is stored can be read now. `state-unreadable` when it cannot. */
  async tryReading(): Promise<void> {
    const [next] = this.#state.book.next(1);
    if (next !== undefined) wipeAll((await this.#reader.load(next)).portions);
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
    const loaded: LoadedSegment[] = [];
    try {
      for (const stored of this.#state.book.next(count)) loaded.push(await this.#reader.load(stored));
      const old = await this.#destroyKeys(loaded.map(({ stored }) => stored.segment));
      for (const key of old.values()) wipe(key);
    } catch (error) {
      for (const { portions } of loaded) wipeAll(portions);
      throw error;
    }
    this.#state.counters.add('cache.segments.opened', loaded.length);
    return loaded.map((segment) => this.#release(segment));
  }

  async #rekey(segments: readonly number[]): Promise<void> {
    for (const [segment, key] of await this.#destroyKeys(segments)) {
      wipe(key);
      this.#state.book.release(segment);
    }
  }

  /** Its key is gone: from here on the bytes exist nowhere but in what this gives. */
  #release({ stored, portions, reason }: LoadedSegment): Portion[] {
    const { book } = this.#state;
    const lostBytes = bytesOf(stored.shares) - sizeOf(portions);
    const countedBytes = book.remove(stored);
    book.release(stored.segment);
    const valid = portions.filter(({ origin }) => !book.isVoided(origin.feeder));
    wipeAll(portions.filter((portion) => !valid.includes(portion)));
    const destroyedBytes = countedBytes - sizeOf(valid);
    if (lostBytes > 0) this.#state.damaged({ ...NOTHING_FOUND, damagedSegments: 1, destroyedBytes }, reason);
    return valid;
  }

  /** The old keys of these segments, which are on no disk any more; headers sealed under them are noted as void. */
  async #destroyKeys(segments: readonly number[]): Promise<Map<number, Buffer>> {
    const { keys } = this.#state.openedVolume();
    if (segments.length === 0) return new Map();
    const old = await keys.replace(
      new Map(segments.map((segment) => [segment, keyIdOf(keys.keyOf(segment))])),
    );
    this.#state.spentSegments += segments.length;
    for (const segment of segments) this.#state.doubtful.delete(segment);
    return old;
  }
}

function wipeAll(portions: readonly Portion[]): void {
  for (const { bytes } of portions) wipe(bytes);
}
