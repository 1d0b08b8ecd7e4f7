import { wipe } from '../base/bytes.ts';
import type { Counters } from '../base/counters.ts';
import { EntropyError } from '../base/errors.ts';
import type { FrameVerdict } from '../base/names.ts';
import { BLOCK_BYTES, FULL_ENTROPY_INPUT_UNITS } from '../base/units.ts';
import type { PreparedSizes, Reservoir } from '../cache/reservoir.ts';
import type { ExternalCacheReport } from '../contract/external.ts';
import { DoorHealth, doorTests } from '../health/door.ts';
import { TESTED_BEFORE } from '../health/source-tests.ts';
import type { PoolFeederSettings } from '../kernel/pool-feeder.ts';
import { FIRST_DOOR_SLOT, type Mixer } from '../mixer/mixer.ts';
import type { Collector } from './collector.ts';
import type { CacheSizes, ReceivedFrame, TakenFrame } from './engine-messages.ts';

export interface ExternalEntropyDependencies {
  readonly mixer: Mixer;
  readonly collector: Collector;
  /** The caches; undefined where no external entropy is received. */
  readonly reservoir: Reservoir | undefined;
  readonly counters: Counters;
  /** Called when bytes were cached. */
  readonly onCached: () => void;
}

/** The mixer's slot of the external source: what is worth nothing goes straight into the pool, uncredited. */
const EXTERNAL_SLOT = 3;

/** What is told of the caches where there are none. */
const NO_CACHES: ExternalCacheReport = {
  level: 'exhausted',
  memoryBytes: 0,
  memorySizeBytes: 0,
  lowWatermarkBytes: 0,
  storedBytes: 0,
  storageSizeBytes: 0,
  installSeedBytes: 0,
  roomBytes: 0,
  creditedBits: 0,
  drawBitsPerSecond: 0,
  runwaySeconds: null,
  servableBits: 0,
  refilling: false,
  storageFailure: '',
};

/**
 * The way in for external entropy: each frame is tested at its feeder's door, and what passes is cached with its worth. What is
 * worth nothing is mixed at once and never cached.
 */
export class ExternalEntropy {
  readonly #mixer: Mixer;
  readonly #collector: Collector;
  readonly #reservoir: Reservoir | undefined;
  readonly #counters: Counters;
  readonly #onCached: () => void;
  readonly #doors = new Map<number, DoorHealth>();
  #prepared: PreparedSizes | undefined;
  /** Of preparing and settling: a preparation that ends after it was settled is undone. */
  #sizesGeneration = 0;

  constructor(dependencies: ExternalEntropyDependencies) {
    this.#mixer = dependencies.mixer;
    this.#collector = dependencies.collector;
    this.#reservoir = dependencies.reservoir;
    this.#counters = dependencies.counters;
    this.#onCached = dependencies.onCached;
  }

  /** Before anything is absorbed: its bytes come tested, so the slot's own limits are out of reach, whatever the mask. */
  open(): void {
    this.#mixer.configureSlot(EXTERNAL_SLOT, TESTED_BEFORE);
  }

  /** Takes a frame and wipes its payload; a stored part is durable when it resolves. @throws EntropyError external-disabled */
  async receive(frame: ReceivedFrame): Promise<TakenFrame> {
    try {
      if (this.#reservoir === undefined)
        throw new EntropyError('external-disabled', 'bit 8 is not in the mask');
      const taken = await this.#receive(frame, this.#reservoir);
      this.#collector.noticeExternal();
      if (taken.verdict === 'accepted') this.#onCached();
      return { ...taken, roomBytes: this.#reservoir.roomBytes };
    } finally {
      wipe(frame.payload);
    }
  }

  /** Mixes in bytes that nobody vouches for, worth nothing (1 to 65,536 of them), and wipes them. */
  absorb(bytes: Uint8Array): void {
    try {
      this.#mixer.ingest(EXTERNAL_SLOT, bytes, { creditableBytes: 0, rateUnits: 0 });
    } finally {
      wipe(bytes);
    }
  }

  /** A new session: runs and windows begin anew. Failures are remembered, or a feeder would evade its suspension by connecting again. */
  resetDoor(door: number): void {
    if (this.#doors.has(door)) this.#mixer.resetSlot(FIRST_DOOR_SLOT + door);
  }

  /** Another feeder, or an operator's word: failures are forgotten too. */
  renewDoor(door: number): void {
    this.resetDoor(door);
    this.#doors.delete(door);
  }

  /** Bytes of a revoked feeder are never used any more. */
  voidFeeder(feeder: number): void {
    this.#reservoir?.voidFeeder(feeder);
  }

  /** Reserves what other sizes of the caches need; settleSizes must follow. @throws EntropyError state-unwritable */
  async prepareSizes(sizes: CacheSizes): Promise<void> {
    this.settleSizes(false);
    const generation = this.#sizesGeneration;
    const prepared = await this.#reservoir?.prepareSizes(sizes);
    if (generation === this.#sizesGeneration) this.#prepared = prepared;
    else prepared?.abort();
  }

  settleSizes(commit: boolean): void {
    this.#sizesGeneration += 1;
    if (commit) this.#prepared?.commit();
    else this.#prepared?.abort();
    this.#prepared = undefined;
  }

  /** Stored segments that were opened or voided since the key-encryption key came into force. */
  get spentSegments(): number {
    return this.#reservoir?.spentSegments ?? 0;
  }

  /** Puts what is stored under another key-encryption key, and wipes what it was given. @throws EntropyError state-unwritable */
  async rekey(key: Uint8Array): Promise<void> {
    try {
      await this.#reservoir?.rekey(key);
    } finally {
      wipe(key);
    }
  }

  /** Cached credit, in 1/1024 bit. */
  get creditedUnits(): number {
    return this.#reservoir?.creditedUnits ?? 0;
  }

  /** Cached credit above the reserve that is kept for the kernel, in 1/1024 bit. */
  get servableUnits(): number {
    return this.#reservoir?.servableUnits ?? 0;
  }

  /** What the kernel feed will draw, in 1/1024 bit a second: each of its blocks takes what it needs from here too. */
  planDraw({ intervalSeconds, bytesPerFeed }: PoolFeederSettings): void {
    const blocksPerSecond = bytesPerFeed / BLOCK_BYTES / intervalSeconds;
    this.#reservoir?.planDraw(blocksPerSecond * FULL_ENTROPY_INPUT_UNITS);
  }

  /** The orderly end: what is in memory goes to storage. */
  async stop(): Promise<void> {
    await this.#reservoir?.stop();
  }

  report(): ExternalCacheReport {
    return this.#reservoir?.report() ?? NO_CACHES;
  }

  async #receive(
    { feeder, door, rateUnits, payload }: ReceivedFrame,
    reservoir: Reservoir,
  ): Promise<Omit<TakenFrame, 'roomBytes'>> {
    const health = this.#doorOf(door);
    const verdict = this.#mixer.test(FIRST_DOOR_SLOT + door, payload);
    const suspend = health.tested(verdict);
    if (verdict !== 'healthy') {
      this.#counters.add('feeder.frames.failed');
      return { ...notTaken('test-failed'), suspend };
    }
    if (rateUnits === 0) {
      this.absorb(payload);
      return notTaken('uncredited');
    }
    const { memoryBytes, storedBytes, failure } = await reservoir.receive(payload, { feeder, rateUnits });
    if (memoryBytes + storedBytes > 0) {
      return { verdict: 'accepted', memoryBytes, storedBytes, suspend: false };
    }
    return notTaken(failure === undefined ? 'no-room' : 'not-stored');
  }

  #doorOf(door: number): DoorHealth {
    const known = this.#doors.get(door);
    if (known !== undefined) return known;
    this.#mixer.configureSlot(FIRST_DOOR_SLOT + door, doorTests());
    const health = new DoorHealth();
    this.#doors.set(door, health);
    return health;
  }
}

function notTaken(verdict: FrameVerdict): Omit<TakenFrame, 'roomBytes'> {
  return { verdict, memoryBytes: 0, storedBytes: 0, suspend: false };
}
