import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { someHalvesDiffer } from '../../src/health/startup-check.ts';

const word = (low: number, high: number) => {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt32LE(low, 0);
  bytes.writeUInt32LE(high, 4);
  return bytes;
};

test('words whose halves are all equal are no start-up, however different the words', () => {
  const words = Buffer.concat(Array.from({ length: 1024 }, (_, n) => word(n * 7919, n * 7919)));
  assert.not.ok(someHalvesDiffer(words));
});

test('one word with different halves is enough', () => {
  const words = Buffer.concat([word(5, 5), word(6, 6), word(7, 8)]);
  assert.ok(someHalvesDiffer(words));
});

test('a trailing part of a word says nothing', () => {
  assert.not.ok(someHalvesDiffer(Buffer.from([1, 2, 3, 4])));
  assert.not.ok(someHalvesDiffer(Buffer.alloc(0)));
});

test.run();
