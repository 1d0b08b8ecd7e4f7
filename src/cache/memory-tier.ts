import { wipe } from '../base/bytes.ts';
import type { MemoryCache, MemoryCacheOptions, Taken } from './memory-cache.ts';
import type { Origin, Portion } from './origin.ts';
import { PORTION_COST_BYTES, SEGMENT_BYTES } from './segment-store.ts';

/** Nobody knows any more when stored bytes were received. */
const LONG_AGO_MS = -Infinity;

/**
 * The memory cache as the reservoir uses it: filled by frames and by opened segments. The bytes of an opened segment exist nowhere else,
 * so they never give way to a frame: room is kept while one is being opened, and what does not fit at once (the cache's table
 * of chunks may be full) is held until it does.
 *
 * It counts the opened segments of which bytes may still be here: those are what a crash loses of the bytes that were stored.
 */
export class MemoryTier {
  #memory: MemoryCache;
  #held: Portion[] = [];
  #opening = false;
  readonly #voidedWhileOpening = new Set<number>();
  /** All bytes that ever went in and out; where each opened segment ends among those that went in, oldest first. */
  #inBytes = 0;
  #outBytes = 0;
  #segmentEnds: number[] = [];

  constructor(memory: MemoryCache) {
    this.#memory = memory;
  }

  get sizeBytes(): number {
    return this.#memory.sizeBytes;
  }

  get bytes(): number {
    return this.#memory.bytes + sum(this.#held, ({ bytes }) => bytes.length);
  }

  /** What of it a feeder gave; what is being opened is not among it. */
  bytesOf(feeder: number): number {
    const held = this.#held.filter(({ origin }) => origin.feeder === feeder);
    return this.#memory.bytesOf(feeder) + sum(held, ({ bytes }) => bytes.length);
  }

  /** What storage must have room for at an orderly stop, with what is being opened. */
  get stopBytes(): number {
    const portions = this.#memory.chunks + this.#held.length;
    return this.bytes + portions * PORTION_COST_BYTES + (this.#opening ? SEGMENT_BYTES : 0);
  }

  get creditedUnits(): number {
    return (
      this.#memory.creditedUnits + sum(this.#held, ({ bytes, origin }) => bytes.length * origin.rateUnits)
    );
  }

  /** Room for frames. */
  get roomBytes(): number {
    if (this.#held.length > 0) return 0;
    return Math.max(0, this.#memory.roomBytes - (this.#opening ? SEGMENT_BYTES : 0));
  }

  get nextRateUnits(): number {
    return this.#memory.nextRateUnits;
  }

  /** When the next bytes came, or earlier; undefined when there are none, or they were stored meanwhile. */
  get nextReceivedMs(): number | undefined {
    const atMs = this.#memory.nextAtMs;
    return atMs === LONG_AGO_MS ? undefined : atMs;
  }

  get locked(): boolean {
    return this.#memory.locked;
  }

  /** True from `beginOpening` to `opened`. */
  get opening(): boolean {
    return this.#opening;
  }

  /** Opened segments of which bytes are still here. */
  get openedSegments(): number {
    return this.#segmentEnds.length;
  }

  /** True when a segment may be opened: it would fit, no other is on its way, and fewer than `bound` are here. */
  mayOpen(bound: number): boolean {
    if (this.#opening || this.#held.length > 0 || this.#segmentEnds.length >= bound) return false;
    return this.#memory.sizeBytes - this.#memory.bytes >= SEGMENT_BYTES;
  }

  /** Keeps room for a segment until `opened`. */
  beginOpening(): void {
    this.#opening = true;
  }

  /** Takes over an opened segment; nothing came of the opening when there are no portions. */
  opened(portions: readonly Portion[]): void {
    this.#opening = false;
    for (const portion of portions) {
      if (this.#voidedWhileOpening.has(portion.origin.feeder)) wipe(portion.bytes);
      else if (portion.bytes.length > 0) this.#held.push(portion);
    }
    this.#voidedWhileOpening.clear();
    const bytes = sum(this.#held, (portion) => portion.bytes.length);
    if (bytes > 0) this.#segmentEnds.push(this.#inBytes + bytes);
    this.#placeHeld();
  }

  /** Takes as much of a frame as there is room for, from its beginning. */
  put(bytes: Uint8Array, origin: Origin, atMs: number): number {
    const taken = this.#memory.put(bytes.subarray(0, this.roomBytes), origin, atMs);
    this.#inBytes += taken;
    return taken;
  }

  take(target: Uint8Array): Taken | undefined {
    const taken = this.#memory.take(target);
    this.#outBytes += taken?.bytes ?? 0;
    this.#placeHeld();
    this.#forgetSegments();
    return taken;
  }

  /** Overwrites what a feeder gave, on its way too; tells how many bytes it overwrote here. */
  voidFeeder(feeder: number): number {
    if (this.#opening) this.#voidedWhileOpening.add(feeder);
    const heldBytes = sum(this.#held, ({ bytes }) => bytes.length);
    for (const { bytes, origin } of this.#held) if (origin.feeder === feeder) wipe(bytes);
    this.#held = this.#held.filter(({ origin }) => origin.feeder !== feeder);
    const leftBytes = sum(this.#held, ({ bytes }) => bytes.length);
    const destroyedBytes = this.#memory.voidFeeder(feeder) + heldBytes - leftBytes;
    this.#recount();
    this.#placeHeld();
    return destroyedBytes;
  }

  /** Another size: keeps the oldest bytes that fit and gives back the others. Not while a segment is being opened. */
  resize(options: MemoryCacheOptions): Portion[] {
    const { cache, overflow } = this.#memory.resized(options);
    this.#memory = cache;
    const displaced = [...overflow, ...this.#held];
    this.#held = [];
    this.#recount();
    return displaced;
  }

  /** Takes everything out, oldest first. */
  drain(): Portion[] {
    const portions = [...this.#memory.drain(), ...this.#held];
    this.#held = [];
    this.#recount();
    return portions;
  }

  /** Overwrites everything. */
  wipe(): void {
    this.#memory.wipe();
    for (const { bytes } of this.#held) wipe(bytes);
    this.#held = [];
    this.#recount();
  }

  #placeHeld(): void {
    for (let next = this.#held[0]; next !== undefined; next = this.#held[0]) {
      const { bytes, origin } = next;
      const placed = this.#memory.put(bytes, origin, LONG_AGO_MS);
      wipe(bytes.subarray(0, placed));
      this.#inBytes += placed;
      if (placed < bytes.length) {
        this.#held[0] = { origin, bytes: bytes.subarray(placed) };
        return;
      }
      this.#held.shift();
    }
  }

  /** Bytes went from the midst or the end: no segment ends behind the last byte. One may seem to end later than it does, never earlier. */
  #recount(): void {
    this.#inBytes = this.#outBytes + this.#memory.bytes;
    const endBytes = this.#outBytes + this.bytes;
    this.#segmentEnds = this.#segmentEnds.map((end) => Math.min(end, endBytes));
    this.#forgetSegments();
  }

  #forgetSegments(): void {
    while ((this.#segmentEnds[0] ?? Infinity) <= this.#outBytes) this.#segmentEnds.shift();
  }
}

function sum(portions: readonly Portion[], figure: (portion: Portion) => number): number {
  return portions.reduce((total, portion) => total + figure(portion), 0);
}
