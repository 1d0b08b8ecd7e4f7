import type { EventSink } from '../base/events.ts';
import { CACHE_LEVELS, type CacheLevel } from '../base/names.ts';
import { FULL_ENTROPY_INPUT_UNITS } from '../base/units.ts';

export interface LevelOptions {
  readonly memorySizeBytes: number;
  /** 1 to 99, of the memory size. */
  readonly lowWatermarkPercent: number;
}

/** What is cached, as it stands after a refill. */
export interface CacheFill {
  readonly memoryBytes: number;
  /** Credit of the bytes in memory, in 1/1024 bit. */
  readonly memoryUnits: number;
  readonly storageBytes: number;
  /** Empty, or why the storage cache cannot give its bytes out. */
  readonly storageFailure: string;
}

/** To be normal again takes this share of the memory size above the watermark. */
const HYSTERESIS_SHARE = 1 / 16;

/** The memory fill, in bytes, below which a refill begins and an alarm is due when there is nothing to refill from. */
export function watermarkBytes({ memorySizeBytes, lowWatermarkPercent }: LevelOptions): number {
  return Math.ceil((memorySizeBytes * lowWatermarkPercent) / 100);
}

/**
 * The level of the external caches, and an event at each crossing.
 *
 *   falls to   below-watermark    memory holds less than the watermark
 *              memory-exhausted   memory is empty
 *              exhausted          memory and storage are empty
 *   rises to   below-watermark    memory holds one block's worth of credit, 320 bits
 *              normal             memory has reached the watermark, and memory with storage a sixteenth of the memory size more,
 *                                 or as much as memory can hold
 *
 * A fall through several levels tells each; a rise tells where it ended. It begins as `exhausted`, which is no event: nothing was there to lose.
 */
export class CacheLevels {
  readonly #events: EventSink;
  #options: LevelOptions;
  #rank = CACHE_LEVELS.length - 1;

  constructor(options: LevelOptions, dependencies: { readonly events: EventSink }) {
    this.#options = expectLevelOptions(options);
    this.#events = dependencies.events;
  }

  get level(): CacheLevel {
    return CACHE_LEVELS[this.#rank] ?? 'exhausted';
  }

  get watermarkBytes(): number {
    return watermarkBytes(this.#options);
  }

  /** Another size or watermark; the next judgement goes by it. */
  reconfigure(options: LevelOptions): void {
    this.#options = expectLevelOptions(options);
  }

  /** Takes the level as it is found at start, without hysteresis and without an event. */
  begin(fill: CacheFill): void {
    this.#rank = this.#fallenRank(fill);
  }

  /** Judges the fill after a refill, and tells what was crossed. */
  judge(fill: CacheFill): void {
    const fallen = this.#fallenRank(fill);
    if (fallen > this.#rank) this.#fall(fallen, fill);
    else this.#rise(Math.min(this.#rank, this.#risenRank(fill)));
  }

  #fallenRank({ memoryBytes, storageBytes }: CacheFill): number {
    if (memoryBytes >= this.watermarkBytes) return rankOf('normal');
    if (memoryBytes > 0) return rankOf('below-watermark');
    return storageBytes > 0 ? rankOf('memory-exhausted') : rankOf('exhausted');
  }

  #risenRank(fill: CacheFill): number {
    const { memoryBytes, memoryUnits, storageBytes, storageFailure } = fill;
    const { memorySizeBytes } = this.#options;
    const reachableBytes = memoryBytes + (storageFailure === '' ? storageBytes : 0);
    const neededBytes = Math.min(
      memorySizeBytes,
      this.watermarkBytes + Math.floor(memorySizeBytes * HYSTERESIS_SHARE),
    );
    if (memoryBytes >= this.watermarkBytes && reachableBytes >= neededBytes) return rankOf('normal');
    if (memoryUnits >= FULL_ENTROPY_INPUT_UNITS) return rankOf('below-watermark');
    return storageBytes > 0 ? rankOf('memory-exhausted') : rankOf('exhausted');
  }

  #fall(rank: number, { memoryBytes, storageBytes, storageFailure }: CacheFill): void {
    const crossed = CACHE_LEVELS.slice(this.#rank + 1, rank + 1);
    this.#rank = rank;
    const storage = storageFailure === '' ? {} : { storageBytes, storageFailure };
    for (const level of crossed) {
      if (level === 'below-watermark') {
        this.#events.emit('entropy.watermark.below', {
          memoryBytes,
          watermarkBytes: this.watermarkBytes,
          ...storage,
        });
      }
      if (level === 'memory-exhausted') this.#events.emit('entropy.memory.exhausted', storage);
      if (level === 'exhausted') this.#events.emit('entropy.data.exhausted');
    }
  }

  #rise(rank: number): void {
    if (rank === this.#rank) return;
    const from = this.level;
    this.#rank = rank;
    if (this.level === 'normal') this.#events.emit('entropy.watermark.above', { from });
    else this.#events.emit('entropy.level.risen', { from, to: this.level });
  }
}

function rankOf(level: CacheLevel): number {
  return CACHE_LEVELS.indexOf(level);
}

function expectLevelOptions(options: LevelOptions): LevelOptions {
  const { memorySizeBytes, lowWatermarkPercent } = options;
  if (!Number.isInteger(memorySizeBytes) || memorySizeBytes < 1)
    throw new RangeError('memorySizeBytes is a whole number from 1');
  if (!(lowWatermarkPercent >= 1 && lowWatermarkPercent <= 99))
    throw new RangeError('lowWatermarkPercent is 1 to 99');
  return options;
}
