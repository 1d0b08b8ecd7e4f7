import { hkdfSync } from 'node:crypto';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import * as fc from 'fast-check';
import { hkdfSha256 } from '../../src/base/hkdf.ts';
import { isA } from '../rejects.ts';

test('is what OpenSSL says HKDF is', () => {
  const secret = Buffer.alloc(22, 0x0b);
  const salt = Buffer.from('000102030405060708090a0b0c', 'hex');
  const info = Buffer.from('f0f1f2f3f4f5f6f7f8f9', 'hex').toString('latin1');
  assert.equal(hkdfSha256(secret, salt, info, 42), Buffer.from(hkdfSync('sha256', secret, salt, info, 42)));
  const bytes = (maximum: number): fc.Arbitrary<Uint8Array> => fc.uint8Array({ maxLength: maximum });
  fc.assert(
    fc.property(
      bytes(100),
      bytes(100),
      fc.string(),
      fc.integer({ min: 1, max: 300 }),
      (key, value, text, length) => {
        const expected = Buffer.from(hkdfSync('sha256', key, value, text, length));
        return hkdfSha256(key, value, text, length).equals(expected);
      },
    ),
  );
  assert.equal(hkdfSha256(secret, salt, 'x', 8160), Buffer.from(hkdfSync('sha256', secret, salt, 'x', 8160)));
});

test('gives 1 to 255 blocks', () => {
  for (const length of [0, 8161])
    assert.throws(() => hkdfSha256(Buffer.alloc(1), Buffer.alloc(1), '', length), isA(RangeError));
});

test.run();
