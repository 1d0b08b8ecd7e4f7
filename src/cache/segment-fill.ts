import type { Origin } from './origin.ts';
import {
  RECORD_OVERHEAD_BYTES,
  sealRecord,
  SEGMENT_HEADER_BYTES,
  writeSegmentHeader,
  type SegmentSeal,
} from './segment-format.ts';
import type { StoredSegment } from './storage-scan.ts';
import { addShare, type Share } from './storage-shares.ts';

/** The one segment that is being filled: its sealed image, and how much of that is durable. */
export class SegmentFill {
  /** What is durable. */
  readonly stored: StoredSegment;
  readonly #seal: SegmentSeal;
  readonly #image: Buffer;
  #endBytes = SEGMENT_HEADER_BYTES;
  #records = 0;
  /** Sealed into the image since the last sync. */
  #pending: Share[] = [];

  constructor(options: { readonly segmentBytes: number; readonly fillOrder: number }, seal: SegmentSeal) {
    this.#seal = seal;
    this.#image = Buffer.alloc(options.segmentBytes);
    writeSegmentHeader(this.#image, seal.key, options.fillOrder);
    this.stored = { segment: seal.segment, fillOrder: options.fillOrder, endBytes: 0, shares: [] };
  }

  /** Left for records and what they cost, in bytes. */
  get spaceBytes(): number {
    return this.#image.length - this.#endBytes;
  }

  /** Seals as much as fits into one record; gives how much that was: 0 when the segment is full. */
  add(origin: Origin, bytes: Uint8Array): number {
    const taken = Math.min(bytes.length, this.spaceBytes - RECORD_OVERHEAD_BYTES);
    if (taken <= 0) return 0;
    const position = { offset: this.#endBytes, index: this.#records };
    this.#endBytes = sealRecord(this.#seal, this.#image, position, {
      origin,
      bytes: bytes.subarray(0, taken),
    });
    this.#records++;
    addShare(this.#pending, origin, taken);
    return taken;
  }

  /** What is to be written: the first time all of it, so that zeros follow the last record whatever stood there. */
  unwritten(): { readonly offset: number; readonly bytes: Buffer } {
    const { endBytes } = this.stored;
    if (endBytes === 0) return { offset: 0, bytes: this.#image };
    return { offset: endBytes, bytes: this.#image.subarray(endBytes, this.#endBytes) };
  }

  /** What was unwritten is durable now; gives what that adds. */
  settle(): Share[] {
    const added = this.#pending;
    this.#pending = [];
    this.stored.endBytes = this.#endBytes;
    for (const { origin, bytes } of added) addShare(this.stored.shares, origin, bytes);
    return added;
  }
}
