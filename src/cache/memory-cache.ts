import { secretBytes, secretCopyOf, wipe } from '../base/bytes.ts';
import { ChunkTable } from './chunk-table.ts';
import type { Origin, Portion } from './origin.ts';

export interface MemoryCacheOptions {
  /** Whole number of bytes from 1. */
  readonly sizeBytes: number;
  /** How many chunks of different origin or age fit at most; one for each 256 bytes when not given. */
  readonly chunkLimit?: number;
}

export interface MemoryCacheDependencies {
  /** Keeps memory out of swap (mlock); false when the host refuses. */
  readonly lock?: (memory: Uint8Array) => boolean;
}

/** What a take gave: that many bytes of one origin. */
export interface Taken {
  readonly bytes: number;
  readonly origin: Origin;
  /** When the first of these bytes came, in the time that `put` was told; never later than the truth. */
  readonly atMs: number;
}

const BYTES_PER_CHUNK = 256;
/** How much of the ring is moved at once. */
const TRANSFER_BYTES = 16_384;

/** How many chunks a cache of this size has, unless it is told otherwise. */
export function chunkLimitFor(sizeBytes: number): number {
  return Math.max(1, Math.ceil(sizeBytes / BYTES_PER_CHUNK));
}

/**
 * External entropy in memory: a ring, allocated once and locked where allowed, first in, first out. Bytes are zero from the moment they
 * were taken. The ring and its table of chunks are all there is, so neither size nor count outgrows what it was made for.
 */
export class MemoryCache {
  readonly #dependencies: MemoryCacheDependencies;
  readonly #memory: Uint8Array;
  readonly #chunks: ChunkTable;
  readonly #chunkLimit: number;
  /** True when the memory is kept out of swap. */
  readonly locked: boolean;
  #head = 0;
  #bytes = 0;
  #creditedUnits = 0;

  constructor(options: MemoryCacheOptions, dependencies: MemoryCacheDependencies = {}) {
    const { sizeBytes, chunkLimit = chunkLimitFor(sizeBytes) } = options;
    expectSize('sizeBytes', sizeBytes);
    expectSize('chunkLimit', chunkLimit);
    this.#dependencies = dependencies;
    this.#memory = new Uint8Array(sizeBytes);
    this.#chunkLimit = chunkLimit;
    // One more than may be put: moving part of the first chunk behind the last splits it for a moment.
    this.#chunks = new ChunkTable(chunkLimit + 1);
    this.locked = dependencies.lock?.(this.#memory) ?? false;
  }

  get sizeBytes(): number {
    return this.#memory.length;
  }

  get bytes(): number {
    return this.#bytes;
  }

  bytesOf(feeder: number): number {
    return this.#chunks.bytesOf(feeder);
  }

  /** Chunks of different origin or age. */
  get chunks(): number {
    return this.#chunks.count;
  }

  /** Credit of all bytes, in 1/1024 bit. */
  get creditedUnits(): number {
    return this.#creditedUnits;
  }

  /** Bytes that `put` takes, whatever their origin; 0 too when there are as many chunks as there can be. */
  get roomBytes(): number {
    return this.#chunks.count >= this.#chunkLimit ? 0 : this.sizeBytes - this.#bytes;
  }

  /** Credit per byte of what is taken next, in 1/1024 bit; 0 when empty. */
  get nextRateUnits(): number {
    return this.#chunks.count === 0 ? 0 : this.#chunks.first.origin.rateUnits;
  }

  /** When the first of the next chunk's bytes came; undefined when empty. */
  get nextAtMs(): number | undefined {
    return this.#chunks.count === 0 ? undefined : this.#chunks.first.atMs;
  }

  /** Copies in as many bytes as there is room for, from the first on, and tells how many. */
  put(bytes: Uint8Array, origin: Origin, atMs: number): number {
    return this.#append(bytes, origin, atMs, this.#chunkLimit);
  }

  /** Moves the oldest bytes out, at most target.length and of one chunk; undefined when there are none. */
  take(target: Uint8Array): Taken | undefined {
    if (this.#bytes === 0 || target.length === 0) return undefined;
    const { origin, atMs, bytes: available } = this.#chunks.first;
    const bytes = Math.min(available, target.length);
    const untilEnd = Math.min(bytes, this.sizeBytes - this.#head);
    this.#move(this.#head, target.subarray(0, untilEnd));
    this.#move(0, target.subarray(untilEnd, bytes));
    this.#head = (this.#head + bytes) % this.sizeBytes;
    this.#bytes -= bytes;
    this.#creditedUnits -= bytes * origin.rateUnits;
    this.#chunks.shorten(bytes);
    return { bytes, origin, atMs };
  }

  /** Takes everything out, oldest first. */
  drain(): Portion[] {
    const portions: Portion[] = [];
    while (this.#bytes > 0) {
      const bytes = secretBytes(this.#chunks.first.bytes);
      const taken = this.take(bytes);
      if (taken !== undefined) portions.push({ origin: taken.origin, bytes });
    }
    return portions;
  }

  /** Overwrites what a feeder gave, keeps the rest in its order, and tells how many bytes it overwrote. */
  voidFeeder(feeder: number): number {
    let destroyedBytes = 0;
    this.#moveAll((bytes, { origin, atMs }) => {
      if (origin.feeder === feeder) destroyedBytes += bytes.length;
      else this.#append(bytes, origin, atMs, this.#chunkLimit + 1);
    });
    return destroyedBytes;
  }

  /** Moves everything into a cache of another size, as far as it fits, oldest first; the rest comes back as portions. */
  resized(options: MemoryCacheOptions): { readonly cache: MemoryCache; readonly overflow: Portion[] } {
    const cache = new MemoryCache(options, this.#dependencies);
    const overflow: Portion[] = [];
    this.#moveAll((bytes, { origin, atMs }) => {
      // Once one did not fit no later one may: the cache keeps the oldest.
      const kept = overflow.length > 0 ? 0 : cache.put(bytes, origin, atMs);
      if (kept < bytes.length) overflow.push({ origin, bytes: secretCopyOf(bytes.subarray(kept)) });
    });
    return { cache, overflow };
  }

  /** Overwrites everything. */
  wipe(): void {
    wipe(this.#memory);
    this.#chunks.clear();
    this.#head = 0;
    this.#bytes = 0;
    this.#creditedUnits = 0;
  }

  #append(bytes: Uint8Array, origin: Origin, atMs: number, chunkLimit: number): number {
    const taken = Math.min(bytes.length, this.sizeBytes - this.#bytes);
    if (taken === 0 || !this.#chunks.lengthen(taken, origin, atMs, chunkLimit)) return 0;
    const tail = (this.#head + this.#bytes) % this.sizeBytes;
    const untilEnd = Math.min(taken, this.sizeBytes - tail);
    this.#memory.set(bytes.subarray(0, untilEnd), tail);
    this.#memory.set(bytes.subarray(untilEnd, taken), 0);
    this.#bytes += taken;
    this.#creditedUnits += taken * origin.rateUnits;
    return taken;
  }

  #move(from: number, target: Uint8Array): void {
    const source = this.#memory.subarray(from, from + target.length);
    target.set(source);
    wipe(source);
  }

  /** Takes out what is there now, piece by piece, through one buffer that is wiped; `visit` may put it back at the end. */
  #moveAll(visit: (bytes: Uint8Array, taken: Taken) => void): void {
    const buffer = secretBytes(Math.min(TRANSFER_BYTES, this.sizeBytes));
    for (let left = this.#bytes; left > 0;) {
      const taken = this.take(buffer.subarray(0, left));
      if (taken === undefined) break;
      left -= taken.bytes;
      visit(buffer.subarray(0, taken.bytes), taken);
    }
    wipe(buffer);
  }
}

function expectSize(name: string, value: number): void {
  if (!Number.isInteger(value) || value < 1) throw new RangeError(`${name} is a whole number from 1`);
}
