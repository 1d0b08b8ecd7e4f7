import { KIB } from '../base/units.ts';
import { RECORD_OVERHEAD_BYTES, SEGMENT_HEADER_BYTES } from './segment-format.ts';

/** How the storage cache is cut up. Tests use small ones. */
export interface Geometry {
  readonly segmentBytes: number;
  /** Segments whose keys stand in one page: they share one rewrite. */
  readonly keysPerPage: number;
}

export const DEFAULT_GEOMETRY: Geometry = { segmentBytes: 16 * KIB, keysPerPage: 64 };

/** Each file begins with this much for its header, so that what follows is aligned to sectors of 4 KiB. */
export const FILE_HEADER_BYTES = 4 * KIB;

/** Frames from this size on find the room that was told; smaller ones cost more than their payload. */
const FRAME_BYTES = 2 * KIB;

/** Where records can go: the rest of the segment being filled, and whole segments behind it. */
export interface Space {
  readonly tailBytes: number;
  readonly segments: number;
}

export function recordSpaceBytes({ segmentBytes }: Geometry): number {
  return segmentBytes - SEGMENT_HEADER_BYTES;
}

/** Segments that hold this much payload, brought in frames of 2 KiB or more. */
export function segmentsFor(payloadBytes: number, geometry: Geometry): number {
  return Math.ceil(payloadBytes / payloadIn(recordSpaceBytes(geometry)));
}

export function pagesFor(segments: number, { keysPerPage }: Geometry): number {
  return Math.ceil(segments / keysPerPage);
}

/** Payload that is sure to fit when it comes in frames of 2 KiB or more. */
export function roomIn({ tailBytes, segments }: Space, geometry: Geometry): number {
  return payloadIn(tailBytes) + segments * payloadIn(recordSpaceBytes(geometry));
}

/** What is left behind an append of this length, split where a segment ends; undefined when it does not fit. */
export function spaceAfter(space: Space, lengthBytes: number, geometry: Geometry): Space | undefined {
  let { tailBytes, segments } = space;
  for (let left = lengthBytes; left > 0;) {
    if (tailBytes <= RECORD_OVERHEAD_BYTES) {
      if (segments === 0) return undefined;
      segments--;
      tailBytes = recordSpaceBytes(geometry);
    }
    const pieceBytes = Math.min(left, tailBytes - RECORD_OVERHEAD_BYTES);
    tailBytes -= pieceBytes + RECORD_OVERHEAD_BYTES;
    left -= pieceBytes;
  }
  return { tailBytes, segments };
}

/** Besides whole frames a stretch holds two parts of frames, and an end too short for a record. */
function payloadIn(rawBytes: number): number {
  const records = Math.floor(rawBytes / FRAME_BYTES) + 3;
  return Math.max(0, rawBytes - records * RECORD_OVERHEAD_BYTES);
}
