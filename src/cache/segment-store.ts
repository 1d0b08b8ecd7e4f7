import type { EntropyError } from '../base/errors.ts';
import { KIB } from '../base/units.ts';
import type { Origin, Portion } from './origin.ts';

/** No segment of the storage cache gives more than this, in bytes. */
export const SEGMENT_BYTES = 16 * KIB;

/** What storage keeps free for the orderly stop: all that memory holds, and a segment for what rounding to segments costs. */
export function storageReserveBytes(memoryBytes: number): number {
  return memoryBytes + SEGMENT_BYTES;
}

/** What the reservoir needs of the storage cache, which has it all (storage-cache.ts). */
export interface SegmentStore {
  /** Bytes stored, and their credit in 1/1024 bit. */
  readonly bytes: number;
  readonly creditedUnits: number;
  /** Bytes that an append may bring now; 0 while the disk refuses writes. */
  readonly roomBytes: number;
  readonly capacityBytes: number;
  /** Why the disk refuses writes; undefined while it takes them. */
  readonly failure: EntropyError | undefined;
  /** Durable when it resolves; `state-unwritable`: nothing of it counts. */
  append(bytes: Uint8Array, origin: Origin): Promise<void>;
  /** The oldest segment, its key destroyed durably; undefined when there is none. `state-unwritable`: it stays stored. */
  takeSegment(): Promise<Portion[] | undefined>;
  /** As `append`, and may use what is kept free for it. */
  store(portions: readonly Portion[]): Promise<void>;
  voidFeeder(feeder: number): void;
  prepareSize(sizes: StorageSizes): Promise<PreparedSize>;
  /** True when the disk takes writes again. */
  probe(): Promise<boolean>;
}

export interface StorageSizes {
  readonly capacityBytes: number;
  /** Kept free beside it for the memory cache's bytes at the orderly stop. */
  readonly reserveBytes: number;
}

export interface PreparedSize {
  commit(): void;
  abort(): void;
}
