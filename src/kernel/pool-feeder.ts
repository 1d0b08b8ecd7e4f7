import { secretBytes, wipe } from '../base/bytes.ts';
import type { Clock, Timer } from '../base/clock.ts';
import type { Counters } from '../base/counters.ts';
import { messageOf } from '../base/errors.ts';
import type { EventSink } from '../base/events.ts';
import { type PerSource, perSource } from '../base/names.ts';
import { BLOCK_BYTES, CREDIT_UNITS_PER_BIT, MS_PER_SECOND } from '../base/units.ts';
import type { FeedRecord, KernelReport } from '../contract/outputs.ts';
import { kernelCreditBits } from '../policy/credit.ts';
import type { KernelSink } from './kernel-sink.ts';

export interface DrawnBlocks {
  /** The credit each block was made from, in 1/1024 bit; as many entries as blocks were written. */
  readonly credits: readonly PerSource<number>[];
}

/** Where blocks come from. */
export interface BlockSupply {
  /** Writes as many full-entropy blocks of 32 bytes as can be had now to the front of the target. */
  draw(target: Uint8Array): DrawnBlocks;
}

/** A feed as it happened; the ledger numbers it. */
export type Feed = Omit<FeedRecord, 'sequence'>;

export interface PoolFeederSettings {
  /** 1 to 3,600. */
  readonly intervalSeconds: number;
  /** 32 to 4,096, a multiple of 32. */
  readonly bytesPerFeed: number;
  /** Ask credit for interrupts, RDRAND and RDSEED too, which the kernel counts by itself. */
  readonly creditCpu: boolean;
}

export interface PoolFeederDependencies {
  readonly supply: BlockSupply;
  readonly sink: KernelSink;
  readonly clock: Clock;
  readonly events: EventSink;
  readonly counters: Counters;
  /** Called after each feed that succeeded. */
  readonly onFed: (feed: Feed) => void;
}

/** How soon a due feed looks for blocks again. */
const RETRY_MS = 100;

/** After this long without a block it looks only once a second: the wait is long anyway. */
const PATIENT_AFTER_MS = 10_000;
const PATIENT_RETRY_MS = 1000;

/**
 * Feeds the kernel at an interval, from the first moment a block can be had. Since Linux 5.18 there is no level to watch: the
 * kernel's own count stays at 256. Only full-entropy blocks are fed; when none is ready the feed waits, and says so.
 */
export class PoolFeeder {
  readonly #supply: BlockSupply;
  readonly #sink: KernelSink;
  readonly #clock: Clock;
  readonly #events: EventSink;
  readonly #counters: Counters;
  readonly #onFed: (feed: Feed) => void;
  #settings: PoolFeederSettings;
  #timer: Timer | undefined;
  #running: Promise<void> = Promise.resolve();
  #stopped = true;
  /** A feed is under way: the next is scheduled when it ends, by the settings of that moment. */
  #feeding = false;
  #dueMs = 0;
  #waitingSince: { readonly wallMs: number; readonly monotonicMs: number } | undefined;
  #feeds = 0;
  #lastFeed: FeedRecord | null = null;
  #lastFailure = '';

  constructor(settings: PoolFeederSettings, dependencies: PoolFeederDependencies) {
    this.#settings = settings;
    this.#supply = dependencies.supply;
    this.#sink = dependencies.sink;
    this.#clock = dependencies.clock;
    this.#events = dependencies.events;
    this.#counters = dependencies.counters;
    this.#onFed = dependencies.onFed;
  }

  /** True while a due feed waits for blocks. */
  get waiting(): boolean {
    return this.#waitingSince !== undefined;
  }

  /** The first feed is due at once. */
  start(): void {
    this.#stopped = false;
    this.#dueMs = this.#clock.monotonicMs();
    this.#wakeAfter(0);
  }

  /** New settings count from the next feed; a shorter interval takes effect at once. */
  configure(settings: PoolFeederSettings): void {
    const earlierMs = (this.#settings.intervalSeconds - settings.intervalSeconds) * MS_PER_SECOND;
    this.#settings = settings;
    if (this.#stopped || this.waiting || this.#feeding) return;
    this.#dueMs -= earlierMs;
    this.#wakeAfter(Math.max(0, this.#dueMs - this.#clock.monotonicMs()));
  }

  /** There may be blocks now: a feed that waits looks at once. */
  lookNow(): void {
    if (this.waiting && !this.#stopped && !this.#feeding) this.#wakeAfter(0);
  }

  /** No feed begins after this; one under way is waited for, then the sink is closed. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#timer?.cancel();
    await this.#running;
    await this.#sink.close();
  }

  report(): KernelReport {
    return {
      path: this.#lastFeed?.path ?? null,
      intervalSeconds: this.#settings.intervalSeconds,
      bytesPerFeed: this.#settings.bytesPerFeed,
      feedsSinceStart: this.#feeds,
      lastFeed: this.#lastFeed,
      waitingSinceMs: this.#waitingSince?.wallMs ?? null,
      lastFailure: this.#lastFailure,
    };
  }

  #wakeAfter(delayMs: number): void {
    this.#timer?.cancel();
    this.#timer = this.#clock.after(delayMs, () => {
      this.#running = this.#wake();
    });
  }

  async #wake(): Promise<void> {
    const bytes = secretBytes(this.#settings.bytesPerFeed);
    try {
      const { credits } = this.#supply.draw(bytes);
      if (credits.length === 0) {
        this.#wait();
        return;
      }
      this.#waitingSince = undefined;
      this.#feeding = true;
      await this.#feed(bytes.subarray(0, credits.length * BLOCK_BYTES), credits);
    } finally {
      this.#feeding = false;
      wipe(bytes);
    }
    this.#scheduleNext();
  }

  async #feed(bytes: Uint8Array, credits: readonly PerSource<number>[]): Promise<void> {
    const { creditCpu } = this.#settings;
    const creditAskedBits = credits.reduce((sum, block) => sum + kernelCreditBits(block, creditCpu), 0);
    try {
      const result = await this.#sink.feed(bytes, creditAskedBits);
      const feed: Feed = {
        atMs: this.#clock.wallMs(),
        bytes: bytes.length,
        path: result.path,
        creditedBits: sumInBits(credits),
        // write(2) cannot ask: what was not asked is not told as asked.
        creditAskedBits: result.path === 'ioctl' ? creditAskedBits : 0,
        creditEffectiveBits: result.creditEffectiveBits,
        reseed: result.reseed,
      };
      this.#fed(feed);
    } catch (error) {
      this.#lastFailure = messageOf(error);
      this.#counters.add('feed.failures');
      this.#events.emit('kernel.feed.failed', { because: this.#lastFailure });
    }
  }

  #fed(feed: Feed): void {
    this.#feeds += 1;
    this.#lastFeed = { sequence: this.#feeds, ...feed };
    this.#lastFailure = '';
    this.#counters.add('feed.bytes', feed.bytes);
    this.#counters.add('feed.blocks', feed.bytes / BLOCK_BYTES);
    this.#events.emit('kernel.fed', {
      bytes: feed.bytes,
      path: feed.path,
      creditAskedBits: feed.creditAskedBits,
      reseed: feed.reseed,
    });
    this.#onFed(feed);
  }

  #wait(): void {
    if (this.#stopped) return;
    const nowMs = this.#clock.monotonicMs();
    if (this.#waitingSince === undefined) {
      this.#waitingSince = { wallMs: this.#clock.wallMs(), monotonicMs: nowMs };
      this.#events.emit('kernel.feed.waiting');
    }
    const waitedMs = nowMs - this.#waitingSince.monotonicMs;
    this.#wakeAfter(waitedMs < PATIENT_AFTER_MS ? RETRY_MS : PATIENT_RETRY_MS);
  }

  /** The interval counts from when this feed was due, unless it waited so long that the next would be due already. */
  #scheduleNext(): void {
    if (this.#stopped) return;
    const nowMs = this.#clock.monotonicMs();
    const intervalMs = this.#settings.intervalSeconds * MS_PER_SECOND;
    this.#dueMs = Math.max(this.#dueMs + intervalMs, nowMs);
    if (this.#dueMs === nowMs) this.#dueMs += intervalMs;
    this.#wakeAfter(this.#dueMs - nowMs);
  }
}

function sumInBits(credits: readonly PerSource<number>[]): PerSource<number> {
  return perSource((name) => credits.reduce((sum, block) => sum + block[name], 0) / CREDIT_UNITS_PER_BIT);
}
