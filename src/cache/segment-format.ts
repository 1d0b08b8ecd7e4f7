import { createCipheriv, createDecipheriv, createHmac } from 'node:crypto';
import { wipe } from '../base/bytes.ts';
import type { Origin, Portion } from './origin.ts';

/**
 * The bytes of a segment, integers big-endian:
 *
 *   header    key id 8 ‖ fill order u64
 *   record    length u16 (from 1) ‖ feeder u32 ‖ rate u16 ‖ verdict u8 ‖ ciphertext ‖ tag 16
 *   …         more records, then zeros to the end
 *
 * Each record is AES-256-GCM (SP 800-38D) under the segment's own key, with its index as nonce. The associated data
 * is cache id, segment number, index, and both clear headers, so a record opens in its place only and what it says
 * of feeder and rate is as authentic as its bytes. A key never meets two segments, nor two fills of one.
 */
export const KEY_BYTES = 32;
export const KEY_ID_BYTES = 8;
export const SEGMENT_HEADER_BYTES = KEY_ID_BYTES + 8;
const RECORD_HEADER_BYTES = 9;
const TAG_BYTES = 16;
/** What a record costs beyond its payload, in bytes. */
export const RECORD_OVERHEAD_BYTES = RECORD_HEADER_BYTES + TAG_BYTES;

const NONCE_BYTES = 12;
/** The door accepted these bytes; no others are stored. */
const ACCEPTED = 1;
const MAXIMUM_RATE_UNITS = 8192;

/** What a segment's records are sealed under and bound to. */
export interface SegmentSeal {
  readonly key: Uint8Array;
  readonly cacheId: Uint8Array;
  readonly segment: number;
}

export interface OpenedSegment {
  /** In the order they came; the bytes are the caller's to wipe. */
  readonly portions: readonly Portion[];
  /** Where the last sound record ends. */
  readonly endBytes: number;
  /** False when anything but zeros stands behind it: a torn write, or an alteration. */
  readonly clean: boolean;
}

/** Names a key without telling it. */
export function keyIdOf(key: Uint8Array): Buffer {
  const digest = createHmac('sha256', key).update('entropy-mixer segment key id').digest();
  return Buffer.from(digest.subarray(0, KEY_ID_BYTES));
}

/** Begins a segment in an image of zeros. */
export function writeSegmentHeader(image: Buffer, key: Uint8Array, fillOrder: number): void {
  keyIdOf(key).copy(image);
  image.writeBigUInt64BE(BigInt(fillOrder), KEY_ID_BYTES);
}

export function fillOrderOf(image: Buffer): number {
  return Number(image.readBigUInt64BE(KEY_ID_BYTES));
}

/** Seals one record into the image at an offset where it must fit; gives the offset behind it. */
export function sealRecord(
  seal: SegmentSeal,
  image: Buffer,
  position: { readonly offset: number; readonly index: number },
  { origin, bytes }: Portion,
): number {
  const end = position.offset + bytes.length + RECORD_OVERHEAD_BYTES;
  if (bytes.length < 1 || end > image.length) throw new RangeError('the record does not fit its segment');
  const header = image.subarray(position.offset, position.offset + RECORD_HEADER_BYTES);
  header.writeUInt16BE(bytes.length, 0);
  header.writeUInt32BE(origin.feeder, 2);
  header.writeUInt16BE(origin.rateUnits, 6);
  header.writeUInt8(ACCEPTED, 8);
  const cipher = createCipheriv('aes-256-gcm', seal.key, nonceOf(position.index), {
    authTagLength: TAG_BYTES,
  });
  cipher.setAAD(associatedData(seal, image, position.index, header));
  cipher.update(bytes).copy(image, position.offset + RECORD_HEADER_BYTES);
  cipher.final();
  cipher.getAuthTag().copy(image, end - TAG_BYTES);
  return end;
}

/** Opens record after record up to the first that is not sound. The image may be cut short. */
export function openRecords(seal: SegmentSeal, image: Buffer): OpenedSegment {
  const portions: Portion[] = [];
  let endBytes = SEGMENT_HEADER_BYTES;
  for (;;) {
    const portion = openRecord(seal, image, { offset: endBytes, index: portions.length });
    if (portion === undefined) break;
    portions.push(portion);
    endBytes += portion.bytes.length + RECORD_OVERHEAD_BYTES;
  }
  return { portions, endBytes, clean: isZero(image.subarray(endBytes)) };
}

/** Payload that the clear lengths from an offset on speak of. Nothing vouches for them: this is for a report only. */
export function claimedBytes(image: Buffer, offset = SEGMENT_HEADER_BYTES): number {
  let claimed = 0;
  for (let at = offset; at + RECORD_OVERHEAD_BYTES < image.length;) {
    const length = image.readUInt16BE(at);
    const end = at + length + RECORD_OVERHEAD_BYTES;
    if (length === 0 || end > image.length) break;
    claimed += length;
    at = end;
  }
  return claimed;
}

/** Whether all bytes are zero, at memory speed; for what is public. */
export function isZero(bytes: Buffer): boolean {
  return bytes.length === 0 || (bytes[0] === 0 && bytes.subarray(1).equals(bytes.subarray(0, -1)));
}

function openRecord(
  seal: SegmentSeal,
  image: Buffer,
  { offset, index }: { readonly offset: number; readonly index: number },
): Portion | undefined {
  if (image.length - offset <= RECORD_OVERHEAD_BYTES) return undefined;
  const header = image.subarray(offset, offset + RECORD_HEADER_BYTES);
  const lengthBytes = header.readUInt16BE(0);
  const origin = originOf(header);
  const end = offset + lengthBytes + RECORD_OVERHEAD_BYTES;
  if (lengthBytes === 0 || end > image.length || origin === undefined) return undefined;
  const decipher = createDecipheriv('aes-256-gcm', seal.key, nonceOf(index), { authTagLength: TAG_BYTES });
  decipher.setAAD(associatedData(seal, image, index, header));
  decipher.setAuthTag(image.subarray(end - TAG_BYTES, end));
  const bytes = decipher.update(image.subarray(offset + RECORD_HEADER_BYTES, end - TAG_BYTES));
  try {
    decipher.final();
    return { origin, bytes };
  } catch {
    wipe(bytes);
    return undefined;
  }
}

function originOf(header: Buffer): Origin | undefined {
  const origin = { feeder: header.readUInt32BE(2), rateUnits: header.readUInt16BE(6) };
  const sound =
    origin.feeder >= 1 &&
    origin.rateUnits >= 1 &&
    origin.rateUnits <= MAXIMUM_RATE_UNITS &&
    header.readUInt8(8) === ACCEPTED;
  return sound ? origin : undefined;
}

function nonceOf(index: number): Buffer {
  const nonce = Buffer.alloc(NONCE_BYTES);
  nonce.writeUInt32BE(index, NONCE_BYTES - 4);
  return nonce;
}

function associatedData(seal: SegmentSeal, image: Buffer, index: number, recordHeader: Buffer): Buffer {
  const numbers = Buffer.alloc(8);
  numbers.writeUInt32BE(seal.segment, 0);
  numbers.writeUInt32BE(index, 4);
  return Buffer.concat([seal.cacheId, numbers, image.subarray(0, SEGMENT_HEADER_BYTES), recordHeader]);
}
