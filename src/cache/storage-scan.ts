import { wipe } from '../base/bytes.ts';
import { addShare, type Share } from './storage-shares.ts';
import {
  claimedBytes,
  fillOrderOf,
  isZero,
  KEY_ID_BYTES,
  keyIdOf,
  openRecords,
  SEGMENT_HEADER_BYTES,
} from './segment-format.ts';
import type { Geometry } from './storage-layout.ts';
import type { PageState } from './key-pages.ts';
import type { StorageVolume } from './storage-volume.ts';

/** A segment with bytes to give. */
export interface StoredSegment {
  readonly segment: number;
  /** Lower is older. */
  readonly fillOrder: number;
  /** Where the last durable record ends, in bytes from the segment's start. */
  endBytes: number;
  /** What its records hold, by origin. */
  readonly shares: Share[];
}

export interface ScanResult {
  /** Oldest first. */
  readonly filled: StoredSegment[];
  /** Segments to be filled, and the header to note as void where one stands that the key page does not know yet. */
  readonly free: Map<number, Buffer | undefined>;
  readonly damagedSegments: number;
  readonly damagedPages: number;
  readonly cutSegments: number;
  /** Payload that the clear lengths of what does not open speak of. */
  readonly destroyedBytes: number;
}

/** Segments that are read together: 256 KiB by default, so that the event loop is never held for long. */
const PIECE_SEGMENTS = 16;

/**
 * Looks at every segment of a volume, in pieces, and finds what each is. It changes nothing. `state-unreadable` when none of
 * several segments can be read: that is the disk, and no damage.
 */
export async function scanVolume(volume: StorageVolume, geometry: Geometry): Promise<ScanResult> {
  const scan = new Scan(volume, geometry);
  const failures: unknown[] = [];
  const told = (error: unknown): undefined => void failures.push(error);
  for (let first = 0; first < volume.segmentCount; first += PIECE_SEGMENTS) {
    const count = Math.min(PIECE_SEGMENTS, volume.segmentCount - first);
    const images = await readPiece(volume, first, count, geometry.segmentBytes, told);
    for (const [index, image] of images.entries()) scan.look(first + index, image);
  }
  if (failures.length > 1 && failures.length === volume.segmentCount) throw failures[0];
  return scan.result();
}

/** The images of a stretch; where it cannot be read, segment by segment, so that one bad sector costs one. */
async function readPiece(
  volume: StorageVolume,
  first: number,
  count: number,
  segmentBytes: number,
  told: (error: unknown) => undefined,
): Promise<(Buffer | undefined)[]> {
  const whole = await volume.readSegments(first, count * segmentBytes).catch(() => undefined);
  const images: (Buffer | undefined)[] = [];
  for (let index = 0; index < count; index++) {
    images.push(
      whole === undefined
        ? await volume.readSegments(first + index, segmentBytes).catch(told)
        : whole.subarray(index * segmentBytes, (index + 1) * segmentBytes),
    );
  }
  return images;
}

class Scan {
  readonly #volume: StorageVolume;
  readonly #geometry: Geometry;
  readonly #filled: StoredSegment[] = [];
  readonly #free = new Map<number, Buffer | undefined>();
  readonly #damagedPages = new Set<number>();
  #damagedSegments = 0;
  #cutSegments = 0;
  #destroyedBytes = 0;

  constructor(volume: StorageVolume, geometry: Geometry) {
    this.#volume = volume;
    this.#geometry = geometry;
    for (let page = 0; page < volume.keys.count; page++) {
      if (volume.keys.stateOf(page) === 'damaged') this.#damagedPages.add(page);
    }
  }

  look(segment: number, image: Buffer | undefined): void {
    const { keys } = this.#volume;
    if (image === undefined) {
      this.#damagedSegments++;
      this.#free.set(segment, undefined);
      return;
    }
    const id = image.subarray(0, KEY_ID_BYTES);
    if (isZero(image.subarray(0, SEGMENT_HEADER_BYTES))) this.#headless(segment, image);
    else if (id.equals(keys.voidIdOf(segment))) this.#free.set(segment, undefined);
    else if (id.equals(keyIdOf(keys.keyOf(segment)))) this.#lookInside(segment, image);
    else this.#foreign(segment, image);
  }

  result(): ScanResult {
    return {
      filled: this.#filled.sort((a, b) => a.fillOrder - b.fillOrder),
      free: this.#free,
      damagedSegments: this.#damagedSegments,
      damagedPages: this.#damagedPages.size,
      cutSegments: this.#cutSegments,
      destroyedBytes: this.#destroyedBytes,
    };
  }

  /** Its key is here: records up to the first that does not open are kept. */
  #lookInside(segment: number, image: Buffer): void {
    const seal = { key: this.#volume.keys.keyOf(segment), cacheId: this.#volume.cacheId, segment };
    const { portions, endBytes, clean } = openRecords(seal, image);
    if (!clean || portions.length === 0) {
      this.#cutSegments++;
      this.#destroyedBytes += claimedBytes(image, endBytes);
    }
    if (portions.length === 0) {
      this.#free.set(segment, Buffer.from(image.subarray(0, KEY_ID_BYTES)));
      return;
    }
    const shares: Share[] = [];
    for (const { origin, bytes } of portions) {
      addShare(shares, origin, bytes.length);
      wipe(bytes);
    }
    this.#filled.push({ segment, fillOrder: fillOrderOf(image), endBytes, shares });
  }

  /** Never filled; records without a header are what a crash left of a first write, or were robbed of it. */
  #headless(segment: number, image: Buffer): void {
    if (!isZero(image) && this.#stateOf(segment) === 'sound') {
      this.#cutSegments++;
      this.#destroyedBytes += claimedBytes(image);
    }
    this.#free.set(segment, undefined);
  }

  /** Its key is nowhere: of another cache, of another time, or altered; or the page that had it is lost. */
  #foreign(segment: number, image: Buffer): void {
    if (this.#stateOf(segment) !== 'sound') this.#damagedPages.add(this.#pageOf(segment));
    this.#damagedSegments++;
    this.#destroyedBytes += claimedBytes(image);
    this.#free.set(segment, Buffer.from(image.subarray(0, KEY_ID_BYTES)));
  }

  #stateOf(segment: number): PageState {
    return this.#volume.keys.stateOf(this.#pageOf(segment));
  }

  #pageOf(segment: number): number {
    return Math.floor(segment / this.#geometry.keysPerPage);
  }
}
