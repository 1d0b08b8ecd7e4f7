import { createHash, sign, verify, type KeyObject } from 'node:crypto';
import { EntropyError } from '../base/errors.ts';
import { FRAME_VERDICTS, type FrameVerdict } from '../base/names.ts';
import { DIGEST_BYTES, FEEDER_NAME_PATTERN, HOST_ID_BYTES, SESSION_ID_BYTES } from './limits.ts';

/**
 * A receipt: what became of one frame, or the end of a session, signed by the host. 264 bytes, integers big-endian, all u64 below 2^53:
 *
 *     0  "emreceip"            8
 *     8  version u8            1
 *     9  kind u8               1 frame, 2 end
 *    10  verdict u8            place in FRAME_VERDICTS; 0 in an end
 *    11  zero u8
 *    12  feeder id u32         from 1, given at enrolment
 *    16  host id              16
 *    32  session id           16
 *    48  feeder name          32   ASCII, filled with zeros
 *    80  sequence u64              of the frame; in an end of the last frame before it
 *    88  time u64                  milliseconds since 1970-01-01 UTC
 *    96  frame digest         32   SHA-256 of the whole frame as sent; zeros in an end
 *   128  position u64              in the chain of the session, from 1
 *   136  payload bytes u64    ┐
 *   144  memory bytes u64     │    of the frame; in an end the sums over the session
 *   152  stored bytes u64     │    stored = synced to disk when this was signed
 *   160  credit u64           ┘    1/1024 bit
 *   168  previous             32   SHA-256 of the whole record before it in the session; zeros in the first
 *   200  signature            64   Ed25519 (RFC 8032) over bytes 0 to 199
 */
export interface Receipt {
  readonly kind: 'frame' | 'end';
  readonly verdict: FrameVerdict;
  readonly feederId: number;
  readonly host: Uint8Array;
  readonly session: Uint8Array;
  readonly feeder: string;
  readonly sequence: number;
  readonly timeMs: number;
  readonly frameDigest: Uint8Array;
  readonly position: number;
  readonly payloadBytes: number;
  readonly memoryBytes: number;
  readonly storedBytes: number;
  readonly creditUnits: number;
  readonly previous: Uint8Array;
}

export const RECEIPT_BYTES = 264;
const SIGNED_BYTES = 200;
/** Each record begins with it. */
export const RECEIPT_MAGIC = Buffer.from('emreceip', 'latin1');
const VERSION = 1;
const KINDS = ['frame', 'end'] as const;
const NAME_BYTES = 32;
const OFFSETS = {
  version: 8,
  kind: 9,
  verdict: 10,
  zero: 11,
  feederId: 12,
  host: 16,
  session: 32,
  feeder: 48,
  sequence: 80,
  timeMs: 88,
  frameDigest: 96,
  position: 128,
  payloadBytes: 136,
  memoryBytes: 144,
  storedBytes: 152,
  creditUnits: 160,
  previous: 168,
} as const;

/** The record of 264 bytes. */
export function signReceipt(receipt: Receipt, privateKey: KeyObject): Buffer {
  const record = Buffer.alloc(RECEIPT_BYTES);
  encodeReceipt(receipt).copy(record);
  sign(null, record.subarray(0, SIGNED_BYTES), privateKey).copy(record, SIGNED_BYTES);
  return record;
}

/** The 200 bytes that are signed. RangeError for a field that does not fit the layout. */
export function encodeReceipt(receipt: Receipt): Buffer {
  const bytes = Buffer.alloc(SIGNED_BYTES);
  RECEIPT_MAGIC.copy(bytes);
  bytes.writeUInt8(VERSION, OFFSETS.version);
  bytes.writeUInt8(KINDS.indexOf(receipt.kind) + 1, OFFSETS.kind);
  bytes.writeUInt8(FRAME_VERDICTS.indexOf(receipt.verdict), OFFSETS.verdict);
  bytes.writeUInt32BE(receipt.feederId, OFFSETS.feederId);
  put(bytes, receipt.host, OFFSETS.host, HOST_ID_BYTES);
  put(bytes, receipt.session, OFFSETS.session, SESSION_ID_BYTES);
  bytes.write(receipt.feeder, OFFSETS.feeder, 'latin1');
  put(bytes, receipt.frameDigest, OFFSETS.frameDigest, DIGEST_BYTES);
  put(bytes, receipt.previous, OFFSETS.previous, DIGEST_BYTES);
  const numbers = [
    'sequence',
    'timeMs',
    'position',
    'payloadBytes',
    'memoryBytes',
    'storedBytes',
    'creditUnits',
  ] as const;
  for (const name of numbers) bytes.writeBigUInt64BE(BigInt(receipt[name]), OFFSETS[name]);
  const wrong = layoutFault(bytes);
  if (wrong !== undefined) throw new RangeError(`a receipt cannot have this ${wrong}`);
  return bytes;
}

/** Reads a record by its layout alone; whether it is genuine is for `isSigned` to tell. Throws `receipt-invalid`. */
export function parseReceipt(record: Uint8Array): Receipt {
  const bytes = Buffer.from(record);
  if (bytes.length !== RECEIPT_BYTES) throw invalid(`it has ${bytes.length} bytes, not ${RECEIPT_BYTES}`);
  const fault = layoutFault(bytes);
  if (fault !== undefined) throw invalid(`its ${fault} does not fit the layout`);
  const slice = (offset: number, length: number): Buffer => bytes.subarray(offset, offset + length);
  return {
    kind: KINDS[bytes.readUInt8(OFFSETS.kind) - 1] ?? 'end',
    verdict: FRAME_VERDICTS[bytes.readUInt8(OFFSETS.verdict)] ?? 'not-stored',
    feederId: bytes.readUInt32BE(OFFSETS.feederId),
    host: slice(OFFSETS.host, HOST_ID_BYTES),
    session: slice(OFFSETS.session, SESSION_ID_BYTES),
    feeder: nameOf(bytes),
    sequence: u64(bytes, OFFSETS.sequence),
    timeMs: u64(bytes, OFFSETS.timeMs),
    frameDigest: slice(OFFSETS.frameDigest, DIGEST_BYTES),
    position: u64(bytes, OFFSETS.position),
    payloadBytes: u64(bytes, OFFSETS.payloadBytes),
    memoryBytes: u64(bytes, OFFSETS.memoryBytes),
    storedBytes: u64(bytes, OFFSETS.storedBytes),
    creditUnits: u64(bytes, OFFSETS.creditUnits),
    previous: slice(OFFSETS.previous, DIGEST_BYTES),
  };
}

/** True when the holder of the key signed this record. */
export function isSigned(record: Uint8Array, publicKey: KeyObject): boolean {
  const signature = record.subarray(SIGNED_BYTES);
  return verify(null, record.subarray(0, SIGNED_BYTES), publicKey, signature);
}

/** The field `previous` of a record that need not be sound. */
export function previousOf(record: Uint8Array): Uint8Array {
  return record.subarray(OFFSETS.previous, SIGNED_BYTES);
}

/** What the next record of the session has as `previous`: SHA-256 of the whole record. */
export function receiptDigest(record: Uint8Array): Buffer {
  return createHash('sha256').update(record).digest();
}

/** The name of the first field that holds what no receipt can say. */
function layoutFault(bytes: Buffer): string | undefined {
  const at = (offset: number): number => bytes.readUInt8(offset);
  const kind = KINDS[at(OFFSETS.kind) - 1];
  const verdict = FRAME_VERDICTS[at(OFFSETS.verdict)];
  if (!bytes.subarray(0, RECEIPT_MAGIC.length).equals(RECEIPT_MAGIC)) return 'magic';
  if (at(OFFSETS.version) !== VERSION) return 'version';
  if (kind === undefined) return 'kind';
  if (verdict === undefined || (kind === 'end' && verdict !== 'accepted')) return 'verdict';
  if (at(OFFSETS.zero) !== 0) return 'zero';
  if (bytes.readUInt32BE(OFFSETS.feederId) === 0) return 'feeder id';
  if (!FEEDER_NAME_PATTERN.test(nameOf(bytes))) return 'feeder name';
  return numberFault(bytes);
}

function numberFault(bytes: Buffer): string | undefined {
  const fits = (offset: number, minimum: number): boolean =>
    bytes.readBigUInt64BE(offset) >= minimum &&
    bytes.readBigUInt64BE(offset) <= BigInt(Number.MAX_SAFE_INTEGER);
  if (!fits(OFFSETS.sequence, 1)) return 'sequence';
  if (!fits(OFFSETS.timeMs, 0)) return 'time';
  if (!fits(OFFSETS.position, 1)) return 'position';
  if (!fits(OFFSETS.payloadBytes, 0)) return 'payload bytes';
  if (!fits(OFFSETS.memoryBytes, 0)) return 'memory bytes';
  if (!fits(OFFSETS.storedBytes, 0)) return 'stored bytes';
  if (!fits(OFFSETS.creditUnits, 0)) return 'credit';
  return undefined;
}

/** Up to the first zero; a zero followed by anything else leaves it in the name, where no pattern allows it. */
function nameOf(bytes: Buffer): string {
  return bytes.toString('latin1', OFFSETS.feeder, OFFSETS.feeder + NAME_BYTES).replace(/\0+$/, '');
}

function u64(bytes: Buffer, offset: number): number {
  return Number(bytes.readBigUInt64BE(offset));
}

function put(bytes: Buffer, field: Uint8Array, offset: number, lengthBytes: number): void {
  if (field.length !== lengthBytes)
    throw new RangeError(`a field of ${lengthBytes} bytes has ${field.length}`);
  bytes.set(field, offset);
}

function invalid(why: string): EntropyError {
  return new EntropyError('receipt-invalid', why);
}
