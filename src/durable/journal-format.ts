import { EntropyError } from '../base/errors.ts';
import { checksum, CHECKSUM_BYTES } from './checksum.ts';

/**
 * The bytes of a journal, integers big-endian:
 *
 *   header   "emjournl" ‖ version u32 ‖ identity 16 bytes ‖ checksum of these and the kind
 *   record   length u32 (from 1) ‖ payload ‖ checksum of the last checksum, length and payload
 *
 * The checksums are a chain from a random identity, so bytes of another file, or of a record that was cut off, are
 * never taken for a record. The header is whole from the start because a journal is only ever made by replacement.
 */
const MAGIC = Buffer.from('emjournl', 'latin1');
const VERSION = 1;
export const IDENTITY_BYTES = 16;
const HEADER_BYTES = MAGIC.length + 4 + IDENTITY_BYTES + CHECKSUM_BYTES;
const LENGTH_BYTES = 4;

/** What a record costs beyond its payload, in bytes. */
export const RECORD_OVERHEAD_BYTES = LENGTH_BYTES + CHECKSUM_BYTES;
export const MAXIMUM_RECORD_BYTES = 16_384;
/** Records that wait for the disk are written and synced together, up to this size: a crash can tear no more. */
export const MAXIMUM_BATCH_BYTES = 65_536;

/** Bytes to write, and the checksum that the next record goes on from. */
export interface Encoded {
  readonly bytes: Buffer;
  readonly chain: Buffer;
}

export interface Decoded {
  readonly records: readonly Buffer[];
  /** Where the last sound record ends. */
  readonly endBytes: number;
  readonly chain: Buffer;
}

/** A whole new journal. */
export function encodeJournal(kind: string, identity: Uint8Array, records: readonly Uint8Array[]): Encoded {
  const header = encodeHeader(kind, identity);
  const body = encodeRecords(records, header.subarray(-CHECKSUM_BYTES));
  return { bytes: Buffer.concat([header, body.bytes]), chain: body.chain };
}

/** Records that go on from the checksum before them. RangeError for one that is empty or too long. */
export function encodeRecords(records: readonly Uint8Array[], before: Buffer): Encoded {
  const parts: Uint8Array[] = [];
  let chain = before;
  for (const payload of records) {
    assertRecord(payload);
    const length = Buffer.alloc(LENGTH_BYTES);
    length.writeUInt32BE(payload.length);
    chain = checksum(chain, length, payload);
    parts.push(length, payload, chain);
  }
  return { bytes: Buffer.concat(parts), chain };
}

/** Reads up to the first record that is not sound. Throws `state-damaged`, `state-version-newer`, naming the path. */
export function decodeJournal(path: string, kind: string, bytes: Buffer): Decoded {
  let chain = decodeHeader(path, kind, bytes);
  let endBytes = HEADER_BYTES;
  const records: Buffer[] = [];
  for (;;) {
    const next = decodeRecord(bytes.subarray(endBytes), chain);
    if (next === undefined) break;
    records.push(next.payload);
    chain = next.chain;
    endBytes += next.payload.length + RECORD_OVERHEAD_BYTES;
  }
  // Only a batch can be torn; more than that behind the last sound record was durable once, and is damage.
  if (bytes.length - endBytes > MAXIMUM_BATCH_BYTES) {
    throw new EntropyError('state-damaged', `${path} is damaged at byte ${endBytes} of ${bytes.length}`);
  }
  return { records, endBytes, chain };
}

export function assertRecord(payload: Uint8Array): void {
  if (payload.length < 1 || payload.length > MAXIMUM_RECORD_BYTES) {
    throw new RangeError(`a journal record has 1 to ${MAXIMUM_RECORD_BYTES} bytes`);
  }
}

function encodeHeader(kind: string, identity: Uint8Array): Buffer {
  const version = Buffer.alloc(4);
  version.writeUInt32BE(VERSION);
  const fields = Buffer.concat([MAGIC, version, identity]);
  return Buffer.concat([fields, checksum(fields, Buffer.from(kind))]);
}

function decodeHeader(path: string, kind: string, bytes: Buffer): Buffer {
  const header = bytes.subarray(0, HEADER_BYTES);
  if (header.length < HEADER_BYTES || !header.subarray(0, MAGIC.length).equals(MAGIC)) {
    throw new EntropyError('state-damaged', `${path} is not a journal`);
  }
  const version = header.readUInt32BE(MAGIC.length);
  if (version > VERSION)
    throw new EntropyError('state-version-newer', `${path} has format version ${version}`);
  const expected = encodeHeader(kind, header.subarray(MAGIC.length + 4, -CHECKSUM_BYTES));
  if (!expected.equals(header)) {
    throw new EntropyError('state-damaged', `${path} is not a sound journal of ${kind}`);
  }
  return header.subarray(-CHECKSUM_BYTES);
}

function decodeRecord(bytes: Buffer, before: Buffer): { payload: Buffer; chain: Buffer } | undefined {
  if (bytes.length < RECORD_OVERHEAD_BYTES) return undefined;
  const length = bytes.readUInt32BE(0);
  if (length < 1 || length > MAXIMUM_RECORD_BYTES || length + RECORD_OVERHEAD_BYTES > bytes.length)
    return undefined;
  const payload = bytes.subarray(LENGTH_BYTES, LENGTH_BYTES + length);
  const chain = bytes.subarray(LENGTH_BYTES + length, length + RECORD_OVERHEAD_BYTES);
  return checksum(before, bytes.subarray(0, LENGTH_BYTES), payload).equals(chain)
    ? { payload, chain }
    : undefined;
}
