import { wipe } from '../base/bytes.ts';
import type { SerialQueue } from '../durable/serial-queue.ts';
import type { Origin } from './origin.ts';
import { SegmentFill } from './segment-fill.ts';
import { roomIn, segmentsFor, spaceAfter, type Space } from './storage-layout.ts';
import type { Share } from './storage-shares.ts';
import type { StorageState } from './storage-state.ts';

interface WaitingAppend {
  readonly bytes: Uint8Array;
  readonly origin: Origin;
  readonly resolve: () => void;
  readonly reject: (reason: unknown) => void;
}

/** Appends that wait are written and synced together, up to about this much. */
const BATCH_BYTES = 256 * 1024;

/** The way in: appends that wait are sealed into segments and made durable together. */
export class SegmentWriter {
  readonly #state: StorageState;
  readonly #queue: SerialQueue;
  /** Segments with a place for more, or with bytes that are not durable yet; the last is the tail. */
  readonly #fills = new Set<SegmentFill>();
  #tail: SegmentFill | undefined;
  #appends: WaitingAppend[] = [];
  #inFlightBytes = 0;
  #nextOrder = 1;

  constructor(dependencies: { readonly state: StorageState; readonly queue: SerialQueue }) {
    this.#state = dependencies.state;
    this.#queue = dependencies.queue;
  }

  /** Fill orders from here on are free. */
  continueFrom(fillOrder: number): void {
    this.#nextOrder = fillOrder;
  }

  get hasTail(): boolean {
    return this.#tail !== undefined;
  }

  /** What is durable in segments that are being filled. */
  get openShares(): Share[] {
    return [...this.#fills].flatMap(({ stored }) => stored.shares);
  }

  /** The segment being filled takes no more: it can be opened. Called with nothing in flight. */
  sealTail(): void {
    if (this.#tail !== undefined) this.#seal(this.#tail);
    this.#tail = undefined;
  }

  /** As StorageCache.append, when this much payload may be stored in all. */
  append(bytes: Uint8Array, origin: Origin, mostBytes: number): Promise<void> {
    assertOrigin(origin);
    if (bytes.length === 0) throw new RangeError('an append has at least one byte');
    if (this.#state.failure !== undefined) return Promise.reject(this.#state.failure);
    const fits = spaceAfter(this.#space(mostBytes), bytes.length, this.#state.geometry) !== undefined;
    if (!fits || bytes.length > this.#logicalRoom(mostBytes))
      throw new RangeError('the storage cache has no room');
    return new Promise((resolve, reject) => {
      this.#appends.push({ bytes, origin, resolve, reject });
      void this.#queue.run(() => this.#writeBatch());
    });
  }

  roomFor(mostBytes: number): number {
    const physical = roomIn(this.#space(mostBytes), this.#state.geometry);
    return Math.max(0, Math.min(this.#logicalRoom(mostBytes), physical));
  }

  #logicalRoom(mostBytes: number): number {
    const waitingBytes = this.#appends.reduce((sum, { bytes }) => sum + bytes.length, 0);
    return mostBytes - this.#state.book.bytes - this.#inFlightBytes - waitingBytes;
  }

  /** Where records could go behind those that wait, when this much payload may be stored in all. */
  #space(mostBytes: number): Space {
    if (this.#state.volume === undefined || this.#state.failure !== undefined)
      return { tailBytes: 0, segments: 0 };
    const { geometry } = this.#state;
    let space: Space = { tailBytes: this.#tail?.spaceBytes ?? 0, segments: this.#state.book.freeCount };
    for (const { bytes } of this.#appends) {
      space = spaceAfter(space, bytes.length, geometry) ?? { tailBytes: 0, segments: 0 };
    }
    const used = this.#state.volume.segmentCount - this.#state.book.doomed.length - space.segments;
    const allowed = Math.max(0, segmentsFor(mostBytes, geometry) - used);
    return { tailBytes: space.tailBytes, segments: Math.min(space.segments, allowed) };
  }

  /** Writes what waits, up to a batch, under one sync; the calls queued behind it find the rest, or nothing. */
  async #writeBatch(): Promise<void> {
    const count = this.#batchCount();
    if (count === 0) return;
    try {
      if (this.#state.failure !== undefined) throw this.#state.failure;
      await this.#readyKeys(this.#appends.slice(0, count));
    } catch (error) {
      this.#state.refuse(this.#appends.splice(0, count), error);
      return;
    }
    const batch = this.#appends.splice(0, count);
    this.#inFlightBytes = batch.reduce((sum, { bytes }) => sum + bytes.length, 0);
    try {
      this.#place(batch);
      await this.#writeFills();
      this.#settleFills();
      for (const { resolve } of batch) resolve();
    } catch (error) {
      this.#abandonFills();
      this.#state.refuse(batch, error);
    } finally {
      this.#inFlightBytes = 0;
    }
  }

  #batchCount(): number {
    let total = 0;
    const end = this.#appends.findIndex(({ bytes }) => (total += bytes.length) > BATCH_BYTES);
    return end === -1 ? this.#appends.length : Math.max(1, end);
  }

  /**
   * The segments that a batch begins get keys that this process made: an earlier one may have sealed writes under the
   * old keys that were lost, and a nonce must not come twice. All that are free in a page are done with it.
   */
  async #readyKeys(batch: readonly WaitingAppend[]): Promise<void> {
    const volume = this.#state.openedVolume();
    let space: Space | undefined = {
      tailBytes: this.#tail?.spaceBytes ?? 0,
      segments: this.#state.book.freeCount,
    };
    for (const { bytes } of batch) space = space && spaceAfter(space, bytes.length, this.#state.geometry);
    if (space === undefined) throw new Error('broken invariant: what was let in fits');
    const { keysPerPage } = this.#state.geometry;
    const replaced = new Map<number, Buffer | undefined>();
    for (const segment of this.#state.book.nextFree(this.#state.book.freeCount - space.segments)) {
      if (volume.keys.isFresh(segment) || replaced.has(segment)) continue;
      const first = segment - (segment % keysPerPage);
      for (const [free, voidId] of this.#state.book.freeIn(first, first + keysPerPage)) {
        if (!volume.keys.isFresh(free)) replaced.set(free, voidId);
      }
    }
    if (replaced.size === 0) return;
    for (const old of (await volume.keys.replace(replaced)).values()) wipe(old);
    this.#state.book.noted(replaced.keys());
  }

  /** Seals the batch into segments; what is too long for one goes on in the next. */
  #place(batch: readonly WaitingAppend[]): void {
    for (const { bytes, origin } of batch) {
      for (let rest = bytes; rest.length > 0;) {
        const taken = this.#tail?.add(origin, rest) ?? 0;
        if (taken === 0) this.#beginSegment();
        rest = rest.subarray(taken);
      }
    }
  }

  #beginSegment(): void {
    const { keys, cacheId } = this.#state.openedVolume();
    const segment = this.#state.book.takeFree();
    if (segment === undefined || !keys.isFresh(segment)) throw new Error('broken invariant: a fresh segment');
    keys.used(segment);
    const options = { segmentBytes: this.#state.geometry.segmentBytes, fillOrder: this.#nextOrder++ };
    this.#tail = new SegmentFill(options, { key: keys.keyOf(segment), cacheId, segment });
    this.#fills.add(this.#tail);
  }

  async #writeFills(): Promise<void> {
    const volume = this.#state.openedVolume();
    const writes = [...this.#fills].map(async (fill) => {
      const { offset, bytes } = fill.unwritten();
      if (bytes.length > 0) await volume.writeSegment(fill.stored.segment, offset, bytes);
    });
    // All at once, for one sync follows; and all are waited for, so that none comes late behind a failure.
    for (const result of await Promise.allSettled(writes))
      if (result.status === 'rejected') throw result.reason;
    await volume.syncSegments();
  }

  #settleFills(): void {
    for (const fill of this.#fills) {
      this.#state.book.count(fill.settle());
      if (fill !== this.#tail) this.#seal(fill);
    }
  }

  /**
   * After a failed write nothing is ever appended to these segments. What was durable before counts; where nothing was, the key
   * goes, since the disk may hold what was refused.
   */
  #abandonFills(): void {
    this.#tail = undefined;
    for (const fill of this.#fills) {
      const { stored } = fill;
      this.#state.doubtful.set(stored.segment, stored);
      if (stored.endBytes > 0) this.#seal(fill);
      else {
        this.#fills.delete(fill);
        this.#state.book.condemn(stored.segment);
      }
    }
  }

  #seal(fill: SegmentFill): void {
    this.#fills.delete(fill);
    this.#state.book.seal(fill.stored);
  }
}

function assertOrigin({ feeder, rateUnits }: Origin): void {
  if (!Number.isInteger(feeder) || feeder < 1 || feeder > 0xffff_ffff)
    throw new RangeError('a feeder is a u32 from 1');
  if (!Number.isInteger(rateUnits) || rateUnits < 1 || rateUnits > 8192) {
    throw new RangeError('a rate has 1 to 8192 units');
  }
}
