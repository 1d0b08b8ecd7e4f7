import * as fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { isEntropyError } from '../../src/base/errors.ts';
import { CACHE_LEVELS } from '../../src/base/names.ts';
import type { OpenedFrame } from '../../src/protocol/frame.ts';
import {
  encodeAnswer,
  encodeAsk,
  encodeClose,
  encodeGrant,
  encodeLevel,
  encodePong,
  FEEDER_FRAMES,
  HOST_FRAMES,
  readFeederFrame,
  readHostFrame,
} from '../../src/protocol/frame-payloads.ts';
import { count } from '../counts.ts';
import { throwsWith } from '../rejects.ts';
import { isA } from '../rejects.ts';

const MOST = Number.MAX_SAFE_INTEGER;
const RECEIPT_BYTES = 264;

function frame(type: number, payload: Uint8Array, sequence = 5): OpenedFrame {
  return { type, sequence, payload: new Uint8Array(payload) };
}

function u64(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(value);
  return bytes;
}

test('entropy comes 32 to 65,536 bytes at a time', () => {
  for (const length of [32, 33, 65_536]) {
    const read = readFeederFrame(frame(FEEDER_FRAMES.data, Buffer.alloc(length, 7)));
    assert.ok(read.kind === 'data' && read.payload.length === length);
  }
  for (const length of [0, 31, 65_537])
    throwsWith(() => readFeederFrame(frame(FEEDER_FRAMES.data, Buffer.alloc(length))), 'feed-frame-invalid');
});

test('the bytes of a refused frame are overwritten', () => {
  const refused = frame(FEEDER_FRAMES.data, Buffer.alloc(31, 7));
  throwsWith(() => readFeederFrame(refused), 'feed-frame-invalid');
  assert.ok(refused.payload.every((byte) => byte === 0));
});

test('ping and close carry nothing', () => {
  assert.equal(readFeederFrame(frame(2, Buffer.alloc(0))), { kind: 'ping', sequence: 5 });
  assert.equal(readFeederFrame(frame(3, Buffer.alloc(0))), { kind: 'close', sequence: 5 });
  for (const type of [2, 3])
    throwsWith(() => readFeederFrame(frame(type, Buffer.alloc(1))), 'feed-frame-invalid');
});

test('1 to 200 records can be asked for, from any sequence', () => {
  for (const records of [1, 200])
    for (const fromSequence of [0, 1, MOST]) {
      const read = readFeederFrame(frame(FEEDER_FRAMES.ask, encodeAsk(fromSequence, records)));
      assert.equal(read, { kind: 'ask', sequence: 5, fromSequence, records });
    }
  for (const records of [0, 201, 1.5]) assert.throws(() => encodeAsk(1, records), isA(RangeError));
  const ask = (sequence: bigint, records: number) =>
    Buffer.concat([u64(sequence), Buffer.from([0, records])]);
  for (const payload of [ask(1n, 0), ask(1n, 201), ask(2n ** 53n, 1), ask(1n, 1).subarray(1)])
    throwsWith(() => readFeederFrame(frame(FEEDER_FRAMES.ask, payload)), 'feed-frame-invalid');
});

test('a grant has its offsets: bytes 0, frames 8, lapse 16', () => {
  const grant = { totalBytes: 0x0102_0304_0506, totalFrames: 7, lapseMs: 0xffff_ffff };
  const payload = encodeGrant(grant);
  assert.is(payload.toString('hex'), '0000010203040506' + '0000000000000007' + 'ffffffff');
  assert.equal(readHostFrame(frame(HOST_FRAMES.grant, payload)), { kind: 'grant', grant });
  const tooMany = Buffer.concat([u64(2n ** 53n), payload.subarray(8)]);
  throwsWith(() => readHostFrame(frame(HOST_FRAMES.grant, tooMany)), 'feed-message-invalid');
  assert.throws(() => encodeGrant({ ...grant, lapseMs: 2 ** 32 }), isA(RangeError));
  assert.throws(() => encodeGrant({ ...grant, totalBytes: -1 }), isA(RangeError));
});

test('each level has its place as its number; percent ends at 100, and a timeout is never 0', () => {
  for (const [index, level] of CACHE_LEVELS.entries()) {
    const report = { level, cachedPercent: 100, lostTimeoutSeconds: 60 };
    const payload = encodeLevel(report);
    assert.is(payload.toString('hex'), `0${index}` + '64' + '0000003c');
    assert.equal(readHostFrame(frame(HOST_FRAMES.level, payload)), { kind: 'level', report });
  }
  for (const hex of [
    '04' + '64' + '0000003c',
    '00' + '65' + '0000003c',
    '00' + '64' + '00000000',
    '0064000000',
  ])
    throwsWith(
      () => readHostFrame(frame(HOST_FRAMES.level, Buffer.from(hex, 'hex'))),
      'feed-message-invalid',
    );
  for (const cachedPercent of [-1, 101, 0.5])
    assert.throws(
      () => encodeLevel({ level: 'normal', cachedPercent, lostTimeoutSeconds: 1 }),
      isA(RangeError),
    );
});

test('a pong names its ping', () => {
  assert.equal(readHostFrame(frame(HOST_FRAMES.pong, encodePong(MOST))), { kind: 'pong', sequence: MOST });
});

test('a close carries a code; one that is not known yet is still an end', () => {
  for (const code of ['end', 'engine-stopped', 'feed-grant-exceeded'] as const)
    assert.equal(readHostFrame(frame(HOST_FRAMES.close, encodeClose(code))), { kind: 'close', code });
  const unknown = Buffer.from('from-the-future');
  assert.equal(readHostFrame(frame(HOST_FRAMES.close, unknown)), {
    kind: 'close',
    code: 'feed-connection-lost',
  });
  for (const text of ['', 'a'.repeat(65), 'End', 'a b', 'a\0'])
    throwsWith(() => readHostFrame(frame(HOST_FRAMES.close, Buffer.from(text))), 'feed-message-invalid');
});

test('receipts come alone, answers 0 to 200 at a time', () => {
  const record = Buffer.alloc(RECEIPT_BYTES, 3);
  assert.equal(readHostFrame(frame(HOST_FRAMES.receipt, record)), { kind: 'receipt', record });
  for (const records of [0, 1, 200]) {
    const read = readHostFrame(frame(HOST_FRAMES.answer, encodeAnswer(Array<Buffer>(records).fill(record))));
    assert.ok(read.kind === 'answer' && read.records.length === records);
    assert.ok(read.records.every((one) => one.equals(record)));
  }
  assert.throws(() => encodeAnswer(Array<Buffer>(201).fill(record)), isA(RangeError));
  assert.throws(() => encodeAnswer([record.subarray(1)]), isA(RangeError));
  for (const [type, length] of [
    [HOST_FRAMES.receipt, 263],
    [HOST_FRAMES.receipt, 265],
    [HOST_FRAMES.answer, 263],
    [HOST_FRAMES.answer, 201 * RECEIPT_BYTES],
  ] as const)
    throwsWith(() => readHostFrame(frame(type, Buffer.alloc(length))), 'feed-message-invalid');
});

test('neither end takes a frame that only the other may send', () => {
  for (const type of [0, 5, ...Object.values(HOST_FRAMES), 255])
    throwsWith(() => readFeederFrame(frame(type, Buffer.alloc(32))), 'feed-frame-invalid');
  for (const type of [0, ...Object.values(FEEDER_FRAMES), 16, 23, 255])
    throwsWith(() => readHostFrame(frame(type, Buffer.alloc(32))), 'feed-message-invalid');
});

test('no payload makes a reader throw anything but its code', () => {
  fc.assert(
    fc.property(fc.nat(255), fc.uint8Array({ maxLength: 600 }), (type, payload) => {
      for (const [read, code] of [
        [readFeederFrame, 'feed-frame-invalid'],
        [readHostFrame, 'feed-message-invalid'],
      ] as const) {
        try {
          read(frame(type, payload));
        } catch (error) {
          if (!isEntropyError(error, code)) return false;
        }
      }
      return true;
    }),
    { numRuns: count(1000, 50_000) },
  );
});

test.run();
