import type { Origin } from './origin.ts';

/** Bytes in a row that have one origin and came at about the same time. */
export interface Chunk {
  readonly bytes: number;
  readonly origin: Origin;
  /** When the first of them came. */
  readonly atMs: number;
}

/** Bytes of one origin that come within this time of the chunk's first byte join it. */
const JOIN_WITHIN_MS = 1000;

/**
 * Which bytes of the memory cache are whose: a ring of chunks in typed arrays, so that its size is fixed and no traffic makes garbage of
 * it. A chunk tells the time of its first byte for all of them: older than the truth, never younger.
 */
export class ChunkTable {
  readonly #bytes: Uint32Array;
  readonly #feeders: Uint32Array;
  readonly #rateUnits: Uint16Array;
  readonly #atMs: Float64Array;
  #first = 0;
  #count = 0;

  constructor(capacity: number) {
    this.#bytes = new Uint32Array(capacity);
    this.#feeders = new Uint32Array(capacity);
    this.#rateUnits = new Uint16Array(capacity);
    this.#atMs = new Float64Array(capacity);
  }

  get count(): number {
    return this.#count;
  }

  /** The oldest chunk; its bytes are 0 when there is none. */
  get first(): Chunk {
    const at = this.#first;
    return {
      bytes: this.#bytes[at] ?? 0,
      origin: { feeder: this.#feeders[at] ?? 0, rateUnits: this.#rateUnits[at] ?? 0 },
      atMs: this.#atMs[at] ?? 0,
    };
  }

  /** How many bytes are this feeder's. */
  bytesOf(feeder: number): number {
    let bytes = 0;
    for (let index = 0; index < this.#count; index++) {
      const at = (this.#first + index) % this.#bytes.length;
      if (this.#feeders[at] === feeder) bytes += this.#bytes[at] ?? 0;
    }
    return bytes;
  }

  /** Adds bytes at the end. False, and nothing done, when they need a chunk of their own and there are `limit` already. */
  lengthen(bytes: number, origin: Origin, atMs: number, limit: number): boolean {
    const last = (this.#first + this.#count - 1 + this.#bytes.length) % this.#bytes.length;
    if (this.#count > 0 && this.#joins(last, origin, atMs, this.#count >= limit)) {
      this.#bytes[last] = (this.#bytes[last] ?? 0) + bytes;
      this.#atMs[last] = Math.min(this.#atMs[last] ?? atMs, atMs);
      return true;
    }
    if (this.#count >= limit) return false;
    const next = (this.#first + this.#count) % this.#bytes.length;
    this.#bytes[next] = bytes;
    this.#feeders[next] = origin.feeder;
    this.#rateUnits[next] = origin.rateUnits;
    this.#atMs[next] = atMs;
    this.#count++;
    return true;
  }

  /** Takes bytes off the oldest chunk, at most all it has; then the next is the oldest. */
  shorten(bytes: number): void {
    const left = (this.#bytes[this.#first] ?? 0) - bytes;
    this.#bytes[this.#first] = left;
    if (left > 0) return;
    this.#first = (this.#first + 1) % this.#bytes.length;
    this.#count--;
  }

  clear(): void {
    for (const column of [this.#bytes, this.#feeders, this.#rateUnits, this.#atMs]) column.fill(0);
    this.#first = 0;
    this.#count = 0;
  }

  /** In a full table bytes of one origin join whatever their age. */
  #joins(last: number, origin: Origin, atMs: number, full: boolean): boolean {
    if (this.#feeders[last] !== origin.feeder || this.#rateUnits[last] !== origin.rateUnits) return false;
    const before = this.#atMs[last] ?? 0;
    // Equal first: bytes of unknown age are as old as can be, and from one infinity to itself there is no distance.
    return full || before === atMs || (atMs >= before && atMs - before <= JOIN_WITHIN_MS);
  }
}
