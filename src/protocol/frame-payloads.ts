import { EntropyError, isErrorCode, type ErrorCode } from '../base/errors.ts';
import { CACHE_LEVELS, type CacheLevel } from '../base/names.ts';
import type { OpenedFrame } from './frame.ts';
import { ANSWER_MAXIMUM_RECORDS, PAYLOAD_MAXIMUM_BYTES, PAYLOAD_MINIMUM_BYTES } from './limits.ts';
import { RECEIPT_BYTES } from './receipt.ts';

/**
 * What the frames carry; integers big-endian, all u64 below 2^53.
 *
 *   feeder to host    1 data     entropy, 32 to 65,536 bytes
 *                     2 ping     nothing
 *                     3 close    nothing: no more data comes, the signed end is wanted
 *                     4 ask      fromSequence u64 ‖ records u16, 1 to 200
 *   host to feeder   17 grant    totalBytes u64 ‖ totalFrames u64 ‖ lapseMs u32
 *                    18 receipt  one record
 *                    19 level    level u8 ‖ cachedPercent u8 ‖ lostTimeoutSeconds u32
 *                    20 pong     sequence u64 of the ping
 *                    21 close    code: 1 to 64 characters of ASCII, "end" or an error code
 *                    22 answer   0 to 200 records
 */
export const FEEDER_FRAMES = { data: 1, ping: 2, close: 3, ask: 4 } as const;
export const HOST_FRAMES = { grant: 17, receipt: 18, level: 19, pong: 20, close: 21, answer: 22 } as const;

/** What may be sent in this session in sum, counted from its welcome; never less than a grant before it that has not lapsed. */
export interface Grant {
  /** Payload bytes of data frames. */
  readonly totalBytes: number;
  /** Data frames. */
  readonly totalFrames: number;
  /** From the arrival of the grant on; then nothing may be sent until the next one. */
  readonly lapseMs: number;
}

export interface LevelReport {
  readonly level: CacheLevel;
  /** Of memory and storage cache together, rounded down. */
  readonly cachedPercent: number;
  readonly lostTimeoutSeconds: number;
}

export type FeederFrame =
  | { readonly kind: 'data'; readonly sequence: number; readonly payload: Uint8Array<ArrayBuffer> }
  | { readonly kind: 'ping'; readonly sequence: number }
  | { readonly kind: 'close'; readonly sequence: number }
  | {
      readonly kind: 'ask';
      readonly sequence: number;
      /** Records of this sequence and later ones are wanted; the end of a session has the sequence of its last frame. */
      readonly fromSequence: number;
      readonly records: number;
    };

export type HostFrame =
  | { readonly kind: 'grant'; readonly grant: Grant }
  | { readonly kind: 'receipt'; readonly record: Buffer }
  | { readonly kind: 'level'; readonly report: LevelReport }
  | { readonly kind: 'pong'; readonly sequence: number }
  | { readonly kind: 'close'; readonly code: CloseReason }
  /** In the order they were signed. */
  | { readonly kind: 'answer'; readonly records: readonly Buffer[] };

/** `end` answers the feeder's own close; anything else is why the host ends it. */
export type CloseReason = ErrorCode | 'end';

/** Payload of ping, and of the feeder's close. */
export const EMPTY_PAYLOAD: Uint8Array = new Uint8Array(0);

const CODE_MAXIMUM_BYTES = 64;
const MAXIMUM_U32 = 0xffff_ffff;

/** Host side: what an opened frame says. Throws `feed-frame-invalid`; the payload of a refused frame is overwritten. */
export function readFeederFrame(frame: OpenedFrame): FeederFrame {
  const { type, sequence, payload } = frame;
  const reader = new PayloadReader(payload, 'feed-frame-invalid');
  switch (type) {
    case FEEDER_FRAMES.data:
      reader.assertLength(PAYLOAD_MINIMUM_BYTES, PAYLOAD_MAXIMUM_BYTES);
      return { kind: 'data', sequence, payload };
    case FEEDER_FRAMES.ping:
      reader.assertLength(0);
      return { kind: 'ping', sequence };
    case FEEDER_FRAMES.close:
      reader.assertLength(0);
      return { kind: 'close', sequence };
    case FEEDER_FRAMES.ask:
      reader.assertLength(10);
      return {
        kind: 'ask',
        sequence,
        fromSequence: reader.u64(0),
        records: reader.within(reader.view.getUint16(8), 1, ANSWER_MAXIMUM_RECORDS),
      };
    default:
      throw reader.refused(`type ${type}`);
  }
}

/** Feeder side: what an opened frame says. Throws `feed-message-invalid`. */
export function readHostFrame(frame: OpenedFrame): HostFrame {
  const { type, payload } = frame;
  const reader = new PayloadReader(payload, 'feed-message-invalid');
  switch (type) {
    case HOST_FRAMES.grant:
      reader.assertLength(20);
      return {
        kind: 'grant',
        grant: { totalBytes: reader.u64(0), totalFrames: reader.u64(8), lapseMs: reader.view.getUint32(16) },
      };
    case HOST_FRAMES.receipt:
      reader.assertLength(RECEIPT_BYTES);
      return { kind: 'receipt', record: Buffer.from(payload) };
    case HOST_FRAMES.level:
      reader.assertLength(6);
      return { kind: 'level', report: levelReportOf(reader) };
    case HOST_FRAMES.pong:
      reader.assertLength(8);
      return { kind: 'pong', sequence: reader.u64(0) };
    case HOST_FRAMES.close:
      reader.assertLength(1, CODE_MAXIMUM_BYTES);
      return { kind: 'close', code: closeReasonOf(reader) };
    case HOST_FRAMES.answer:
      reader.assertLength(0, ANSWER_MAXIMUM_RECORDS * RECEIPT_BYTES);
      return { kind: 'answer', records: recordsOf(reader) };
    default:
      throw reader.refused(`type ${type}`);
  }
}

/** Payload of `ask`. */
export function encodeAsk(fromSequence: number, records: number): Buffer {
  assertWithin(records, 1, ANSWER_MAXIMUM_RECORDS);
  const bytes = Buffer.alloc(10);
  writeU64(bytes, fromSequence, 0);
  bytes.writeUInt16BE(records, 8);
  return bytes;
}

export function encodeGrant(grant: Grant): Buffer {
  assertWithin(grant.lapseMs, 0, MAXIMUM_U32);
  const bytes = Buffer.alloc(20);
  writeU64(bytes, grant.totalBytes, 0);
  writeU64(bytes, grant.totalFrames, 8);
  bytes.writeUInt32BE(grant.lapseMs, 16);
  return bytes;
}

export function encodeLevel(report: LevelReport): Buffer {
  assertWithin(report.cachedPercent, 0, 100);
  assertWithin(report.lostTimeoutSeconds, 1, MAXIMUM_U32);
  const bytes = Buffer.alloc(6);
  bytes.writeUInt8(CACHE_LEVELS.indexOf(report.level), 0);
  bytes.writeUInt8(report.cachedPercent, 1);
  bytes.writeUInt32BE(report.lostTimeoutSeconds, 2);
  return bytes;
}

export function encodePong(sequence: number): Buffer {
  const bytes = Buffer.alloc(8);
  writeU64(bytes, sequence, 0);
  return bytes;
}

/** Payload of the host's `close`; the feeder's, like its `ping`, is empty. */
export function encodeClose(code: CloseReason): Buffer {
  return Buffer.from(code, 'latin1');
}

/** Payload of `answer`. */
export function encodeAnswer(records: readonly Uint8Array[]): Buffer {
  assertWithin(records.length, 0, ANSWER_MAXIMUM_RECORDS);
  if (records.some(({ length }) => length !== RECEIPT_BYTES))
    throw new RangeError(`a record has ${RECEIPT_BYTES} bytes`);
  return Buffer.concat(records);
}

function levelReportOf(reader: PayloadReader): LevelReport {
  const level = CACHE_LEVELS[reader.view.getUint8(0)];
  if (level === undefined) throw reader.refused('an unknown level');
  const cachedPercent = reader.within(reader.view.getUint8(1), 0, 100);
  const lostTimeoutSeconds = reader.within(reader.view.getUint32(2), 1, MAXIMUM_U32);
  return { level, cachedPercent, lostTimeoutSeconds };
}

function closeReasonOf(reader: PayloadReader): CloseReason {
  const code = Buffer.from(reader.payload).toString('latin1');
  // A newer host may have codes that this version does not know: what matters is that it ended, and not in order.
  if (!/^[a-z-]+$/.test(code)) throw reader.refused('a close without a code');
  return code === 'end' || isErrorCode(code) ? code : 'feed-connection-lost';
}

function recordsOf(reader: PayloadReader): Buffer[] {
  const bytes = Buffer.from(reader.payload);
  if (bytes.length % RECEIPT_BYTES !== 0) throw reader.refused('a part of a record');
  return Array.from({ length: bytes.length / RECEIPT_BYTES }, (_, index) =>
    bytes.subarray(index * RECEIPT_BYTES, (index + 1) * RECEIPT_BYTES),
  );
}

class PayloadReader {
  readonly payload: Uint8Array;
  readonly view: DataView;
  readonly #code: ErrorCode;

  constructor(payload: Uint8Array, code: ErrorCode) {
    this.payload = payload;
    this.view = new DataView(payload.buffer, payload.byteOffset, payload.length);
    this.#code = code;
  }

  assertLength(minimumBytes: number, maximumBytes = minimumBytes): void {
    const { length } = this.payload;
    if (length < minimumBytes || length > maximumBytes) throw this.refused(`a payload of ${length} bytes`);
  }

  u64(offset: number): number {
    return this.within(Number(this.view.getBigUint64(offset)), 0, Number.MAX_SAFE_INTEGER);
  }

  within(value: number, minimum: number, maximum: number): number {
    if (value < minimum || value > maximum) throw this.refused(`the number ${value}`);
    return value;
  }

  /** What was refused may be entropy all the same. */
  refused(what: string): EntropyError {
    this.payload.fill(0);
    return new EntropyError(this.#code, `a frame has ${what}, which does not fit its layout`);
  }
}

function writeU64(bytes: Buffer, value: number, offset: number): void {
  assertWithin(value, 0, Number.MAX_SAFE_INTEGER);
  bytes.writeBigUInt64BE(BigInt(value), offset);
}

function assertWithin(value: number, minimum: number, maximum: number): void {
  if (!Number.isSafeInteger(value) || value < minimum || value > maximum)
    throw new RangeError(`${value} is not within ${minimum} to ${maximum}`);
}
