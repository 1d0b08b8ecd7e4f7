import type { EntropyError } from '../base/errors.ts';
import { KIB } from '../base/units.ts';
import { chunkLimitFor } from './memory-cache.ts';
import type { Origin, Portion } from './origin.ts';
import { RECORD_OVERHEAD_BYTES } from './segment-format.ts';

/** No segment of the storage cache gives more than this, in bytes. */
export const SEGMENT_BYTES = 16 * KIB;

/** What each portion costs beyond its bytes when it is stored (segment-format.ts). */
export const PORTION_COST_BYTES = RECORD_OVERHEAD_BYTES;

/**
 * What storage keeps free for the orderly stop: all that memory holds, in as many portions as it can hold, and a segment for what
 * rounding to segments costs.
 */
export function storageReserveBytes(memoryBytes: number): number {
  return memoryBytes + (chunkLimitFor(memoryBytes) + 1) * PORTION_COST_BYTES + SEGMENT_BYTES;
}

/** What the reservoir needs of the storage cache, which has it all (storage-cache.ts). */
export interface SegmentStore {
  /** Bytes stored, and their credit in 1/1024 bit. */
  readonly bytes: number;
  readonly creditedUnits: number;
  /** What of these bytes is the install seed's: they come before all others. Undefined where there is no seed. */
  readonly seedBytes?: number | undefined;
  /** Bytes that an append may bring now; 0 while the disk refuses writes. */
  readonly roomBytes: number;
  /** What `store` may bring now, each portion reckoned with PORTION_COST_BYTES more; 0 while the disk refuses writes. */
  readonly stopRoomBytes: number;
  readonly capacityBytes: number;
  /** Why the disk refuses writes; undefined while it takes them. */
  readonly failure: EntropyError | undefined;
  /** Durable when it resolves; `state-unwritable`: nothing of it counts. */
  append(bytes: Uint8Array, origin: Origin): Promise<void>;
  /** A segment, its key destroyed durably; undefined when there is none. `state-unwritable`, `state-unreadable`: it stays stored. */
  takeSegment(): Promise<Portion[] | undefined>;
  /** The orderly stop: may use what is kept free for it. Gives how many bytes are durable, the others are not stored. */
  store(portions: readonly Portion[]): Promise<number>;
  voidFeeder(feeder: number): void;
  prepareSize(sizes: StorageSizes): Promise<PreparedSize>;
  /** Segments whose keys were destroyed since the key-encryption key came into force. */
  readonly spentSegments: number;
  /** Another key-encryption key; when it resolves an earlier one opens nothing on the disk. `state-unwritable`: either may. */
  rekey(key: Uint8Array): Promise<void>;
  /** True when the disk takes writes again. */
  probe(): Promise<boolean>;
  /** Lets go of the files and wipes the keys. */
  close(): Promise<void>;
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
