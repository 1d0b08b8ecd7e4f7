import { createHmac } from 'node:crypto';
import { wipe } from '../base/bytes.ts';
import { isEntropyError, type EntropyError } from '../base/errors.ts';
import type { EventSink } from '../base/events.ts';
import { removeLeftover } from '../durable/atomic-file.ts';
import type { DurableFile, DurableFiles } from '../durable/durable-files.ts';
import { SerialQueue } from '../durable/serial-queue.ts';
import {
  createSeenFile,
  readSeenFile,
  RECORDS_OFFSET_BYTES,
  SEEN_PATH,
  SEEN_SET_ASIDE,
} from './seen-file.ts';
import { DIGEST_BYTES, SeenRing } from './seen-ring.ts';

export interface SeenPayloadsOptions {
  /** How many payloads are remembered: a power of two from 2 to 65,536, which it is when not given. */
  readonly capacity?: number;
}

export interface SeenPayloadsDependencies {
  readonly files: DurableFiles;
  /** 32 secret bytes; copied, and the copy wiped by `close`. Under another key than before nothing earlier is recognised. */
  readonly key: Uint8Array;
  readonly events: EventSink;
}

const MAXIMUM_CAPACITY = 65_536;
const KEY_BYTES = 32;
/** So many records that wait are written. */
const BATCH_RECORDS = 64;

/**
 * Recognises a payload that came before: the last 65,536 different ones, across feeders and restarts, by 12 bytes of HMAC-SHA-256, so
 * that neither memory nor disk tells what came. A stuck feeder repeats itself, and so do two that share a source.
 *
 * A false alarm has a chance of 2^-80 for each frame. Records are written and synced 64 at a time, and whenever `flush` asks: a crash
 * forgets what came since. While the disk refuses writes it goes on in memory.
 */
export class SeenPayloads {
  readonly #files: DurableFiles;
  readonly #events: EventSink;
  readonly #key: Uint8Array;
  readonly #capacity: number;
  readonly #ring: SeenRing;
  readonly #queue = new SerialQueue();
  #file: DurableFile | undefined;
  #failure: EntropyError | undefined;
  /** The flush that has not begun yet: it takes all that waits when it does. */
  #next: Promise<void> | undefined;
  /** Records since the last flush began, whether that succeeded or not: a failing disk is tried once in 64. */
  #waiting = 0;

  private constructor(capacity: number, { files, events, key }: SeenPayloadsDependencies) {
    this.#files = files;
    this.#events = events;
    this.#key = Uint8Array.from(key);
    this.#capacity = capacity;
    this.#ring = new SeenRing(capacity);
  }

  /**
   * Opens what earlier processes have seen, or begins. A damaged file is set aside, and a disk that refuses leaves memory alone:
   * `failure` tells. Throws `state-version-newer`; RangeError for a capacity or key that cannot be.
   */
  static async open(
    options: SeenPayloadsOptions,
    dependencies: SeenPayloadsDependencies,
  ): Promise<SeenPayloads> {
    const { capacity = MAXIMUM_CAPACITY } = options;
    if (!Number.isInteger(Math.log2(capacity)) || capacity < 2 || capacity > MAXIMUM_CAPACITY)
      throw new RangeError(`the capacity is a power of two from 2 to ${MAXIMUM_CAPACITY}`);
    if (dependencies.key.length !== KEY_BYTES) throw new RangeError(`the key has ${KEY_BYTES} bytes`);
    const seen = new SeenPayloads(capacity, dependencies);
    await seen.#whilePossible(() => seen.#load());
    return seen;
  }

  /** Why payloads are remembered in memory alone; undefined while they can be written. */
  get failure(): EntropyError | undefined {
    return this.#failure;
  }

  /** True when this payload came before; else it is remembered, and the oldest forgotten for it. */
  sawBefore(payload: Uint8Array): boolean {
    const digest = createHmac('sha256', this.#key).update(payload).digest().subarray(0, DIGEST_BYTES);
    // One that repeats itself takes no place, so a flood of it makes nothing forgotten.
    if (this.#ring.has(digest)) return true;
    this.#ring.add(digest);
    this.#waiting += 1;
    if (this.#waiting >= BATCH_RECORDS) void this.flush();
    return false;
  }

  /** Writes what waits, and makes it durable, if the disk takes it; `failure` tells. Calls that wait share one write. */
  flush(): Promise<void> {
    this.#waiting = 0;
    this.#next ??= this.#queue.run(() => {
      this.#next = undefined;
      return this.#whilePossible(() => this.#write());
    });
    return this.#next;
  }

  /** Flushes, lets go of the file and wipes the key; nothing can be asked any more. */
  async close(): Promise<void> {
    await this.flush();
    await this.#file?.close();
    this.#file = undefined;
    wipe(this.#key);
  }

  async #load(): Promise<void> {
    await removeLeftover(this.#files, SEEN_PATH);
    const found = await this.#readOrSetAside();
    if (found !== undefined) this.#ring.load(found.image);
    // Made now if there is none: later writes need no free space.
    this.#file = found?.file ?? (await this.#create());
  }

  async #readOrSetAside(): ReturnType<typeof readSeenFile> {
    try {
      return await readSeenFile(this.#files, this.#capacity);
    } catch (error) {
      if (!isEntropyError(error, 'state-damaged')) throw error;
      this.#events.emit('cache.damaged', { file: SEEN_PATH, setAside: SEEN_SET_ASIDE, code: error.code });
      await this.#files.rename(SEEN_PATH, SEEN_SET_ASIDE);
      return undefined;
    }
  }

  async #write(): Promise<void> {
    this.#file ??= await this.#create();
    if (this.#ring.unwritten === 0) return;
    try {
      while (this.#ring.unwritten > 0) {
        const { offsetBytes, bytes, records } = this.#ring.nextStretch();
        await this.#file?.write(RECORDS_OFFSET_BYTES + offsetBytes, bytes);
        this.#ring.wrote(records);
      }
      await this.#file?.sync();
    } catch (error) {
      // What a failed sync left is unknown: all of it is written again when the disk heals.
      this.#ring.forgetWritten();
      throw error;
    }
  }

  async #create(): Promise<DurableFile | undefined> {
    await this.#files.makeDirectory('cache');
    await this.#files.syncDirectory('');
    const file = await createSeenFile(this.#files, this.#capacity);
    this.#ring.forgetWritten();
    return file;
  }

  /** The disk's refusals are a state, not an exception: whatever is asked next tries it again. */
  async #whilePossible(work: () => Promise<void>): Promise<void> {
    try {
      await work();
      this.#failure = undefined;
    } catch (error) {
      if (!isEntropyError(error, 'state-unwritable', 'state-unreadable')) throw error;
      if (this.#failure === undefined) {
        this.#events.emit('cache.record.failed', { file: SEEN_PATH, because: error.message });
      }
      this.#failure = error;
    }
  }
}
