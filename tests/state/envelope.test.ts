import { createDecipheriv, hkdfSync } from 'node:crypto';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import * as fc from 'fast-check';
import { isEntropyError } from '../../src/base/errors.ts';
import {
  ENVELOPE_OVERHEAD_BYTES,
  MAXIMUM_PLAINTEXT_BYTES,
  openEnvelope,
  sealEnvelope,
} from '../../src/state/envelope.ts';
import { count } from '../counts.ts';
import { seededSource } from '../fakes/seeded-stream.ts';
import { isA } from '../rejects.ts';

const random = seededSource();
const key = { id: Buffer.alloc(16, 'i'), secret: Buffer.alloc(32, 's') };
const TEXT = Buffer.from('what must stay secret');

function codeOf(open: () => unknown): string {
  try {
    open();
  } catch (error) {
    return isEntropyError(error) ? error.code : String(error);
  }
  return 'opened';
}

test('opens what was sealed, of any size from 0', () => {
  for (const size of [0, 1, 15, 16, 17, 4096, 70_000]) {
    const plaintext = Buffer.alloc(size, 'x');
    const sealed = sealEnvelope(key, 'test', plaintext, random);
    assert.is(sealed.length, size + ENVELOPE_OVERHEAD_BYTES);
    assert.equal(openEnvelope(key, 'test', sealed), plaintext);
  }
});

test('is what its header says: an independent reading of the layout opens it', () => {
  const sealed = sealEnvelope(key, 'test', TEXT, random);
  assert.is(sealed.toString('latin1', 0, 8), 'emenvlop');
  assert.is(sealed.readUInt32BE(8), 1);
  assert.equal(sealed.subarray(12, 28), key.id);
  assert.is(sealed.readUInt32BE(60), TEXT.length);
  const derived = Buffer.from(
    hkdfSync('sha256', key.secret, sealed.subarray(28, 60), 'entropy-mixer envelope 1: test', 44),
  );
  const decipher = createDecipheriv('aes-256-gcm', derived.subarray(0, 32), derived.subarray(32));
  decipher.setAAD(sealed.subarray(0, 64)).setAuthTag(sealed.subarray(-16));
  assert.equal(Buffer.concat([decipher.update(sealed.subarray(64, -16)), decipher.final()]), TEXT);
});

test('two envelopes of the same bytes share neither salt nor ciphertext', () => {
  const [a, b] = [sealEnvelope(key, 'test', TEXT, random), sealEnvelope(key, 'test', TEXT, random)];
  assert.not.equal(a.subarray(28, 60), b.subarray(28, 60));
  assert.not.equal(a.subarray(64), b.subarray(64));
});

test('neither another key, nor another purpose, nor another key id opens it', () => {
  const sealed = sealEnvelope(key, 'test', TEXT, random);
  assert.is(
    codeOf(() => openEnvelope({ ...key, secret: Buffer.alloc(32, 't') }, 'test', sealed)),
    'state-damaged',
  );
  assert.is(
    codeOf(() => openEnvelope({ ...key, id: Buffer.alloc(16, 'j') }, 'test', sealed)),
    'state-damaged',
  );
  assert.is(
    codeOf(() => openEnvelope(key, 'other', sealed)),
    'state-damaged',
  );
});

test('every flipped bit is refused, in header, ciphertext and tag; a later version by its own code', () => {
  const sealed = sealEnvelope(key, 'test', TEXT, random);
  for (let bit = 0; bit < sealed.length * 8; bit++) {
    const flipped = Buffer.from(sealed);
    flipped.writeUInt8(flipped.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
    const inVersion = bit >= 64 && bit < 96;
    const expected = inVersion && flipped.readUInt32BE(8) > 1 ? 'state-version-newer' : 'state-damaged';
    assert.is(
      codeOf(() => openEnvelope(key, 'test', flipped)),
      expected,
      `bit ${bit}`,
    );
  }
});

test('every cut and every extension is refused', () => {
  const sealed = sealEnvelope(key, 'test', TEXT, random);
  for (let length = 0; length < sealed.length; length++) {
    assert.is(
      codeOf(() => openEnvelope(key, 'test', sealed.subarray(0, length))),
      'state-damaged',
    );
  }
  assert.is(
    codeOf(() => openEnvelope(key, 'test', Buffer.concat([sealed, Buffer.alloc(1)]))),
    'state-damaged',
  );
});

test('random bytes with a header in front are refused, never half read', () => {
  const header = sealEnvelope(key, 'test', TEXT, random).subarray(0, 64);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      const candidate = Buffer.concat([header, bytes]);
      candidate.writeUInt32BE(Math.max(0, bytes.length - 16), 60);
      return codeOf(() => openEnvelope(key, 'test', candidate)) === 'state-damaged';
    }),
    { numRuns: count(500, 10_000) },
  );
});

test('holds 16 MiB and not one byte more', () => {
  assert.throws(
    () => sealEnvelope(key, 'test', Buffer.alloc(MAXIMUM_PLAINTEXT_BYTES + 1), random),
    isA(RangeError),
  );
});

test.run();
