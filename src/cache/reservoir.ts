import type { Clock } from '../base/clock.ts';
import type { Counters } from '../base/counters.ts';
import type { EventSink } from '../base/events.ts';
import type { CacheLevel } from '../base/names.ts';
import { CREDIT_UNITS_PER_BIT } from '../base/units.ts';
import type { ExternalCacheReport } from '../contract/external.ts';
import type { CacheFill } from '../policy/levels.ts';
import { CacheResize } from './cache-resize.ts';
import { CacheWatch } from './cache-watch.ts';
import { MemoryCache } from './memory-cache.ts';
import { MemoryRefill } from './memory-refill.ts';
import { MemoryTier } from './memory-tier.ts';
import { INSTALL_SEED_FEEDER, type Origin } from './origin.ts';
import type { CacheSizes, Drawn, PreparedSizes, Received, ReservoirOptions } from './reservoir-types.ts';
import { RoomNotice, type RoomListener } from './room-notice.ts';
import { PORTION_COST_BYTES, type SegmentStore } from './segment-store.ts';
import { StorageTier } from './storage-tier.ts';

export type * from './reservoir-types.ts';
export { storageReserveBytes, type SegmentStore } from './segment-store.ts';

export interface ReservoirDependencies {
  /** Keeps the memory cache out of swap (mlock); false when the host refuses. */
  readonly lock?: (memory: Uint8Array) => boolean;
  readonly storage: SegmentStore;
  readonly clock: Clock;
  readonly events: EventSink;
  readonly counters: Counters;
}

const NOTHING_DRAWN: Drawn = { bytes: 0, rateUnits: 0, receivedMs: 0 };

/**
 * External entropy in two tiers. What arrives goes to memory while there is room, then to storage. Draws come from memory, and whenever
 * it falls below the low watermark a refill lifts it just above, segment by segment. The level is judged after a refill.
 *
 * The install seed's segments are opened before all others, and while there are any, frames go to storage: so the seed is used first.
 */
export class Reservoir {
  readonly #clock: Clock;
  readonly #events: EventSink;
  readonly #counters: Counters;
  readonly #memory: MemoryTier;
  readonly #storage: StorageTier;
  readonly #watch: CacheWatch;
  readonly #refill: MemoryRefill;
  readonly #resize: CacheResize;
  readonly #roomNotice: RoomNotice;
  #phase: 'new' | 'running' | 'stopped' = 'new';
  /** The caches changed while a segment was on its way. */
  #rebaseLater = false;
  #toldSeedUsed = false;
  #stopping: Promise<void> | undefined;

  constructor(options: ReservoirOptions, dependencies: ReservoirDependencies) {
    const { memoryBytes, lowWatermarkPercent } = options;
    const { lock, storage, clock, events, counters } = dependencies;
    this.#clock = clock;
    this.#events = events;
    this.#counters = counters;
    this.#watch = new CacheWatch({ memorySizeBytes: memoryBytes, lowWatermarkPercent }, { clock, events });
    const cache = new MemoryCache({ sizeBytes: memoryBytes }, lock === undefined ? {} : { lock });
    this.#memory = new MemoryTier(cache);
    this.#storage = new StorageTier({ store: storage, clock, changed: () => this.#changed() });
    this.#refill = new MemoryRefill({
      memory: this.#memory,
      storage: this.#storage,
      watermarkBytes: () => this.#watch.watermarkBytes,
      onOpened: () => {
        if (this.#phase !== 'stopped') this.#resize.settle();
      },
      onEnd: () => {
        if (this.#rebaseLater) this.#rebase();
        else this.#changed();
      },
    });
    this.#resize = new CacheResize({
      memory: this.#memory,
      storage: this.#storage,
      watch: this.#watch,
      events,
      counters,
      onResized: () => this.#rebase(),
    });
    this.#roomNotice = new RoomNotice({ clock });
  }

  /** The first refill, from what earlier processes stored; the level it leads to is where it begins, and no event. */
  async start(): Promise<void> {
    this.#changed();
    await this.#refill.underWay;
    if (this.#phase !== 'new') return;
    this.#phase = 'running';
    this.#watch.begin(this.#fill());
    this.#lookForEndOfSeed();
    this.#changed();
  }

  /** What can be given out: what is stored counts unless the disk refuses to spend it. */
  get bytes(): number {
    return this.#memory.bytes + this.#storage.givableBytes;
  }

  /** Its credit, in 1/1024 bit. */
  get creditedUnits(): number {
    return this.#memory.creditedUnits + this.#storage.creditedUnits;
  }

  /** What `receive` would take now, in bytes. */
  get roomBytes(): number {
    return this.#phase === 'stopped' ? 0 : this.#memoryRoomBytes + this.#storage.roomBytes;
  }

  /** Credit per byte of what is drawn next, in 1/1024 bit; 0 when memory is empty. */
  get nextRateUnits(): number {
    return this.#phase === 'stopped' ? 0 : this.#memory.nextRateUnits;
  }

  /** Monotonic time at which what is drawn next was received, or earlier; undefined for none, or when it was stored meanwhile. */
  get nextReceivedMs(): number | undefined {
    return this.#phase === 'stopped' ? undefined : this.#memory.nextReceivedMs;
  }

  /** Credit that serving may take without touching the kernel's reserve, in 1/1024 bit. */
  get servableUnits(): number {
    return this.#watch.servableUnits(this.creditedUnits);
  }

  get level(): CacheLevel {
    return this.#watch.level;
  }

  get refilling(): boolean {
    return this.#refill.underWay !== undefined;
  }

  /** Calls back when there is more room than before: at once when there was none, and at most every 50 ms. */
  onRoom(listener: RoomListener): void {
    this.#roomNotice.listen(listener);
  }

  /**
   * Takes a frame's bytes as far as there is room. What goes to memory is there, and may be drawn, before this returns; it resolves when
   * the rest is durable or refused. The bytes must stay unchanged until then; the caller wipes them.
   */
  async receive(bytes: Uint8Array, origin: Origin): Promise<Received> {
    if (this.#phase === 'stopped') return { memoryBytes: 0, storedBytes: 0 };
    const head = bytes.subarray(0, this.#memoryRoomBytes);
    const memoryBytes = this.#memory.put(head, origin, this.#clock.monotonicMs());
    const storing = this.#storage.append(bytes.subarray(memoryBytes), origin);
    this.#changed();
    const { storedBytes, failure } = await storing;
    return failure === undefined ? { memoryBytes, storedBytes } : { memoryBytes, storedBytes, failure };
  }

  /** Moves the oldest bytes out, at most target.length and of one origin; 0 bytes when memory is empty. */
  take(target: Uint8Array): Drawn {
    const taken = this.#phase === 'stopped' ? undefined : this.#memory.take(target);
    if (taken === undefined) return NOTHING_DRAWN;
    const { bytes, origin, atMs } = taken;
    this.#watch.drew(bytes * origin.rateUnits);
    this.#counters.add('cache.bytes.drawn', bytes);
    if (origin.feeder === INSTALL_SEED_FEEDER) this.#lookForEndOfSeed();
    this.#changed();
    return { bytes, rateUnits: origin.rateUnits, receivedMs: atMs };
  }

  /** What is configured to be drawn, in 1/1024 bit a second. */
  planDraw(unitsPerSecond: number): void {
    this.#watch.planDraw(unitsPerSecond);
  }

  /** A draw wanted more than memory had: begins a refill, or judges the level, if that was not done yet. */
  missed(): void {
    this.#changed();
  }

  /** The bytes of a revoked feeder are overwritten, and never given out from storage. */
  voidFeeder(feeder: number): void {
    this.#counters.add('cache.bytes.destroyed', this.#memory.voidFeeder(feeder));
    this.#storage.voidFeeder(feeder);
    this.#rebase();
  }

  /** Reserves what other sizes need on disk. @throws EntropyError state-unwritable: everything stays as it was */
  prepareSizes(sizes: CacheSizes): Promise<PreparedSizes> {
    return this.#resize.prepare(sizes);
  }

  /** Segments whose keys were destroyed since the key-encryption key came into force. */
  get spentSegments(): number {
    return this.#storage.spentSegments;
  }

  /** Puts what is stored under another key-encryption key. @throws EntropyError state-unwritable: some may be under the one before */
  rekey(key: Uint8Array): Promise<void> {
    return this.#storage.rekey(key);
  }

  report(): ExternalCacheReport {
    return {
      level: this.level,
      memoryBytes: this.#memory.bytes,
      memorySizeBytes: this.#memory.sizeBytes,
      lowWatermarkBytes: this.#watch.watermarkBytes,
      storedBytes: Math.max(0, this.#storage.bytes - (this.#storage.seedBytes ?? 0)),
      installSeedBytes: this.#seedBytes,
      storageSizeBytes: this.#storage.sizeBytes,
      roomBytes: this.roomBytes,
      creditedBits: this.creditedUnits / CREDIT_UNITS_PER_BIT,
      drawBitsPerSecond: this.#watch.drawUnitsPerSecond / CREDIT_UNITS_PER_BIT,
      runwaySeconds: this.#watch.runwaySeconds(this.creditedUnits),
      servableBits: this.servableUnits / CREDIT_UNITS_PER_BIT,
      refilling: this.refilling,
      storageFailure: this.#storage.failure,
    };
  }

  /** The orderly stop: draws and feeds end, what memory holds becomes durable in storage, and memory is overwritten. */
  stop(): Promise<void> {
    return (this.#stopping ??= this.#stop());
  }

  async #stop(): Promise<void> {
    this.#phase = 'stopped';
    this.#refill.stop();
    this.#roomNotice.stop();
    try {
      await this.#refill.underWay;
      await this.#storage.stop();
      const heldBytes = this.#memory.bytes;
      const keptBytes = await this.#storage.keep(this.#memory.drain());
      this.#counters.add('cache.bytes.destroyed', heldBytes - keptBytes);
    } finally {
      this.#memory.wipe();
      await this.#storage.close();
    }
  }

  /** After every change: refills what fell low, judges what a refill cannot lift, and tells who waits for room. */
  #changed(): void {
    if (this.#phase === 'stopped') return;
    this.#refill.beginIfLow();
    if (this.#phase === 'new') return;
    // Not while segments are on their way: they are counted nowhere then.
    if (!this.refilling) this.#watch.judge(this.#fill(), this.creditedUnits);
    this.#roomNotice.update(this.roomBytes);
  }

  /** What is left of the install seed, in both tiers. */
  get #seedBytes(): number {
    return (this.#storage.seedBytes ?? 0) + this.#memory.bytesOf(INSTALL_SEED_FEEDER);
  }

  /** Told once: from then on the seed is never looked for again. */
  #lookForEndOfSeed(): void {
    if (this.#toldSeedUsed || this.#storage.seedBytes !== 0) return;
    if (this.#refill.openingSeed || this.#seedBytes > 0) return;
    this.#toldSeedUsed = true;
    this.#events.emit('install.seed.used');
  }

  /** Room for frames: memory takes no more than the next orderly stop could store, and none before the install seed. */
  get #memoryRoomBytes(): number {
    if (this.#refill.openingSeed || this.#storage.seedComesFirst) return 0;
    const stoppableBytes = this.#storage.stopRoomBytes - this.#memory.stopBytes - PORTION_COST_BYTES;
    return Math.max(0, Math.min(this.#memory.roomBytes, stoppableBytes));
  }

  #fill(): CacheFill {
    const { watermarkBytes } = this.#watch;
    return {
      // While segments can be opened memory is not low: the next ones are, once draws have used up those before.
      memoryBytes: this.#storage.openable ? Math.max(this.#memory.bytes, watermarkBytes) : this.#memory.bytes,
      memoryUnits: this.#memory.creditedUnits,
      storageBytes: this.#storage.bytes,
      storageFailure: this.#storage.spendFailure,
    };
  }

  /** Only when no segment is on its way, or the reserve would leave out what is in it. */
  #rebase(): void {
    this.#rebaseLater = this.refilling;
    if (!this.#rebaseLater) this.#watch.rebase(this.creditedUnits);
    this.#changed();
  }
}
