import type { EntropyError } from '../base/errors.ts';

/** What the reservoir takes and gives. */

export interface ReservoirOptions {
  readonly memoryBytes: number;
  /** 1 to 99, of memoryBytes. */
  readonly lowWatermarkPercent: number;
}

/** What became of a frame's bytes: the first in memory, the next on disk, the rest (no room) was not taken. */
export interface Received {
  readonly memoryBytes: number;
  /** Durable. */
  readonly storedBytes: number;
  /** Why the disk refused what should have been stored. */
  readonly failure?: EntropyError;
}

/** What a take gave: bytes of one origin. */
export interface Drawn {
  readonly bytes: number;
  /** Credit per byte, in 1/1024 bit. */
  readonly rateUnits: number;
  /** Monotonic time at which they were received, or earlier; -Infinity for what was stored meanwhile. */
  readonly receivedMs: number;
}

export interface CacheSizes extends ReservoirOptions {
  readonly storageBytes: number;
}

export interface PreparedSizes {
  /** Puts the sizes in force. What memory can no longer hold goes to storage, or is destroyed for want of room. */
  commit(): void;
  abort(): void;
}
