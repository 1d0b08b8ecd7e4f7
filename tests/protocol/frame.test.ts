import * as fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { isEntropyError } from '../../src/base/errors.ts';
import { FrameOpener, FrameSealer } from '../../src/protocol/frame.ts';
import { MESSAGE_MAXIMUM_BYTES, SESSION_MAXIMUM_BYTES } from '../../src/protocol/limits.ts';
import { count } from '../counts.ts';
import { SeededStream } from '../fakes/seeded-stream.ts';
import { throwsWith } from '../rejects.ts';
import { altered, handshake } from './feed-fixture.ts';
import { isA } from '../rejects.ts';

const OVERHEAD_BYTES = 25;
const stream = new SeededStream('frames');

/** Both ends of one direction. */
function direction(firstSequence = 1, key = stream.bytes(32)) {
  return {
    sealer: new FrameSealer({ key: Buffer.from(key), firstSequence }),
    opener: new FrameOpener({ key: Buffer.from(key), firstSequence }),
  };
}

test('a frame is type, sequence, ciphertext and tag', () => {
  const { sealer } = direction(0x0102_0304_0506);
  const frame = sealer.seal(1, stream.bytes(32));
  assert.is(frame.length, 9 + 32 + 16);
  assert.is(frame.subarray(0, 9).toString('hex'), '01' + '0000010203040506');
});

test('what one end seals the other opens, in order, at every size', () => {
  fc.assert(
    fc.property(
      fc.array(fc.record({ type: fc.nat(255), payload: fc.uint8Array({ maxLength: 5000 }) })),
      (frames) => {
        const { sealer, opener } = direction();
        for (const [index, { type, payload }] of frames.entries()) {
          const opened = opener.open(sealer.seal(type, payload));
          assert.equal(opened, { type, sequence: index + 1, payload: new Uint8Array(payload) });
        }
      },
    ),
    { numRuns: count(50, 1000) },
  );
});

test('an opened payload is the whole of its ArrayBuffer, so that it can be moved to a thread', () => {
  for (const size of [0, 1, 32, 4096, 65_536]) {
    const { sealer, opener } = direction();
    const { payload } = opener.open(sealer.seal(1, new Uint8Array(size)));
    assert.equal([payload.byteOffset, payload.buffer.byteLength], [0, size]);
  }
});

test('a payload of 65,536 bytes is sealed, one of 65,537 is not', () => {
  const { sealer, opener } = direction();
  const largest = sealer.seal(1, Buffer.alloc(65_536));
  assert.is(largest.length, MESSAGE_MAXIMUM_BYTES);
  assert.is(opener.open(largest).payload.length, 65_536);
  assert.throws(() => sealer.seal(1, Buffer.alloc(65_537)), isA(RangeError));
});

test('a message shorter than a header and a tag, or longer than a frame, is no frame', () => {
  for (const length of [0, 1, OVERHEAD_BYTES - 1, MESSAGE_MAXIMUM_BYTES + 1])
    throwsWith(() => direction().opener.open(Buffer.alloc(length)), 'feed-frame-invalid');
  // At the bounds it is looked at, and does not authenticate.
  for (const length of [OVERHEAD_BYTES, MESSAGE_MAXIMUM_BYTES])
    throwsWith(() => direction().opener.open(Buffer.alloc(length)), 'feed-frame-unauthentic');
});

test('one altered bit in any byte of a frame is refused: header, ciphertext and tag', () => {
  const key = stream.bytes(32);
  const frame = direction(7, key).sealer.seal(1, stream.bytes(64));
  for (let at = 0; at < frame.length; at++) {
    for (let bit = 0; bit < 8; bit++) {
      const { opener } = direction(7, key);
      throwsWith(() => opener.open(altered(frame, at, bit)), 'feed-frame-unauthentic');
    }
  }
});

test('a truncated frame is refused at every length', () => {
  const key = stream.bytes(32);
  const frame = direction(1, key).sealer.seal(1, stream.bytes(64));
  for (let length = OVERHEAD_BYTES; length < frame.length; length++)
    throwsWith(() => direction(1, key).opener.open(frame.subarray(0, length)), 'feed-frame-unauthentic');
});

test('a replayed frame, a swapped pair and a gap are out of sequence', () => {
  const key = stream.bytes(32);
  const { sealer } = direction(1, key);
  const frames = [0, 1, 2].map(() => sealer.seal(1, stream.bytes(32)));
  for (const { opened, refused } of [
    { opened: [0], refused: 0 },
    { opened: [0], refused: 2 },
    { opened: [], refused: 1 },
    { opened: [0, 1], refused: 0 },
  ]) {
    const { opener } = direction(1, key);
    for (const index of opened) opener.open(frames[index]!);
    throwsWith(() => opener.open(frames[refused]!), 'feed-sequence-wrong');
  }
});

test('a reflected frame is refused: each direction has its own key', () => {
  const { feeder, host } = handshake('reflection', {
    nextSequence: 1,
    lastReceipt: undefined,
    feederClass: 'noise',
    rateUnits: 1024,
  });
  const frame = feeder.sealer.seal(1, stream.bytes(32));
  throwsWith(() => feeder.opener.open(frame), 'feed-frame-unauthentic');
  assert.is(host.opener.open(frame).type, 1);
});

test('a frame of another session of the same feeder is refused', () => {
  const yesterday = handshake('yesterday');
  const today = handshake('today');
  const recorded = yesterday.feeder.sealer.seal(1, stream.bytes(32));
  throwsWith(() => today.host.opener.open(recorded), 'feed-frame-unauthentic');
});

test('after one refusal nothing is opened, not even the right frame', () => {
  const key = stream.bytes(32);
  const { sealer, opener } = direction(1, key);
  const frame = sealer.seal(1, stream.bytes(32));
  throwsWith(() => opener.open(altered(frame, 20)), 'feed-frame-unauthentic');
  throwsWith(() => opener.open(frame), 'feed-connection-lost');
});

test('a wiped key is overwritten, and seals nothing', () => {
  const key = Buffer.from(stream.bytes(32));
  const sealer = new FrameSealer({ key, firstSequence: 1 });
  sealer.wipe();
  assert.ok(key.every((byte) => byte === 0));
  throwsWith(() => sealer.seal(1, Buffer.alloc(32)), 'feed-connection-lost');
});

test('the last sequence is 2^53 - 1; there is none after it', () => {
  const { sealer, opener } = direction(Number.MAX_SAFE_INTEGER);
  const frame = sealer.seal(2, Buffer.alloc(0));
  assert.is(frame.readBigUInt64BE(1), 2n ** 53n - 1n);
  assert.is(opener.open(frame).sequence, Number.MAX_SAFE_INTEGER);
  throwsWith(() => sealer.seal(2, Buffer.alloc(0)), 'feed-connection-lost');
});

test('keys and first sequences that are none are refused', () => {
  assert.throws(() => new FrameSealer({ key: Buffer.alloc(31), firstSequence: 1 }), isA(RangeError));
  for (const firstSequence of [0, -1, 1.5, 2 ** 53])
    assert.throws(() => new FrameOpener({ key: Buffer.alloc(32), firstSequence }), isA(RangeError));
});

test('a key carries so many bytes and no more, at both ends; by default 2^34 blocks', () => {
  assert.is(SESSION_MAXIMUM_BYTES / 16, 2 ** 34);
  const key = stream.bytes(32);
  const limited = { firstSequence: 1, maximumBytes: 100 };
  const sealer = new FrameSealer({ key: Buffer.from(key), ...limited });
  const opener = new FrameOpener({ key: Buffer.from(key), ...limited });
  opener.open(sealer.seal(1, Buffer.alloc(60)));
  throwsWith(() => sealer.seal(1, Buffer.alloc(41)), 'feed-connection-lost');
  opener.open(sealer.seal(1, Buffer.alloc(40)));
  throwsWith(() => sealer.seal(1, Buffer.alloc(1)), 'feed-connection-lost');
  const { sealer: unlimited } = direction(3, key);
  throwsWith(() => opener.open(unlimited.seal(1, Buffer.alloc(1))), 'feed-connection-lost');
});

test('no bytes at all make the opener throw anything but an EntropyError', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      try {
        direction().opener.open(bytes);
        return false;
      } catch (error) {
        return isEntropyError(error, 'feed-frame-invalid', 'feed-frame-unauthentic');
      }
    }),
    { numRuns: count(300, 10_000) },
  );
});

test.run();
