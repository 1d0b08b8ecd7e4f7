import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { cutTo } from '../../src/api/feed-socket.ts';

test('a close reason is cut by bytes, never within a character', () => {
  assert.is(cutTo('a'.repeat(123), 123).length, 123);
  assert.is(cutTo('a'.repeat(124), 123).length, 123);
  assert.is(Buffer.byteLength(cutTo('\u00e9'.repeat(100), 123)), 122);
  assert.is(cutTo(`${'a'.repeat(120)}\u{1f511}`, 123), 'a'.repeat(120));
});

test.run();
