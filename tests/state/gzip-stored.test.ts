import { gunzipSync, gzipSync } from 'node:zlib';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { isEntropyError } from '../../src/base/errors.ts';
import { gunzipStored, gzipStored, gzipStoredBytes } from '../../src/state/gzip-stored.ts';

const SIZES = [0, 1, 100, 65_534, 65_535, 65_536, 131_070, 131_071];

function isRefused(bytes: Buffer, maximumBytes = 1 << 20): boolean {
  try {
    gunzipStored(bytes, maximumBytes, 'file');
    return false;
  } catch (error) {
    assert.ok(isEntropyError(error, 'state-damaged'), String(error));
    return true;
  }
}

test('zlib reads it, and so do we, at each edge of a block', () => {
  for (const size of SIZES) {
    const content = Buffer.alloc(size, 'abc');
    const file = gzipStored(content);
    assert.is(file.length, gzipStoredBytes(size));
    assert.equal(gunzipSync(file), content);
    assert.equal(gunzipStored(file, size, 'file'), content);
  }
});

test('every flipped bit, every cut and every byte more is refused', () => {
  const file = gzipStored(Buffer.from('content'));
  for (let bit = 0; bit < file.length * 8; bit++) {
    const flipped = Buffer.from(file);
    flipped.writeUInt8(flipped.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
    assert.ok(isRefused(flipped), `bit ${bit}`);
  }
  for (let length = 0; length < file.length; length++) assert.ok(isRefused(file.subarray(0, length)));
  assert.ok(isRefused(Buffer.concat([file, Buffer.alloc(1)])));
  assert.ok(isRefused(Buffer.concat([file, file])), 'a second member');
});

test('compressed content is refused unread: there are no bombs', () => {
  assert.ok(isRefused(gzipSync(Buffer.alloc(10 << 20)), 1 << 30));
  assert.ok(isRefused(gzipSync('abc', { level: 0 }).fill(3, 9, 10)), 'another header, though stored');
});

test('content beyond the bound is refused', () => {
  assert.not(isRefused(gzipStored(Buffer.alloc(100)), 100));
  assert.ok(isRefused(gzipStored(Buffer.alloc(101)), 100));
  const lying = gzipStored(Buffer.alloc(100));
  lying.writeUInt32LE(0xffff_ffff, lying.length - 4);
  assert.ok(isRefused(lying, 0xffff_ffff), 'a size that the file cannot hold');
});

test.run();
