import { randomFillSync } from 'node:crypto';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { isAllZero } from '../../src/base/bytes.ts';
import { Base64Decoder, base64Length, encodeBase64 } from '../../src/base/base64.ts';

/** The bytes that the decoder makes of a text, or what it says is wrong. */
function decoded(text: string, maximumBytes = 10_000): Buffer | string {
  const decoder = new Base64Decoder({ maximumBytes });
  for (const character of Buffer.from(text, 'latin1')) {
    const fault = decoder.push(character);
    if (fault !== undefined) return fault;
  }
  return decoder.end() ?? Buffer.from(decoder.take());
}

test('encodes and decodes as node does, for each length up to several groups and some long ones', () => {
  for (const length of [...Array(200).keys(), 4095, 4096, 4097]) {
    const bytes = randomFillSync(Buffer.alloc(length));
    const target = new Uint8Array(base64Length(length));
    assert.is(encodeBase64(bytes, target), target.length);
    assert.is(Buffer.from(target).toString('latin1'), bytes.toString('base64'));
    assert.equal(decoded(bytes.toString('base64')), bytes);
  }
});

test('takes canonical base64 only: of all texts of one group that node takes, those that node writes', () => {
  const characters = ['A', 'B', 'Q', '/', '=', '-', '_', ' ', '\n', 'é'];
  for (const a of characters)
    for (const b of characters)
      for (const c of characters)
        for (const d of characters) {
          const text = a + b + c + d;
          const bytes = Buffer.from(text, 'base64');
          const isCanonical = bytes.length > 0 && bytes.toString('base64') === text;
          assert.is(typeof decoded(text) !== 'string', isCanonical, text);
        }
});

test('says what is wrong', () => {
  assert.is(decoded('AAA'), 'ends in the midst of a group of four characters');
  assert.is(decoded('AA='), 'ends in the midst of a group of four characters');
  assert.is(decoded('AB=='), 'has bits set that no byte uses');
  assert.is(decoded('AAAA='), 'has padding where none belongs');
  assert.is(decoded('AA==AAAA'), 'goes on behind its padding');
  assert.is(decoded('AA_A'), 'holds a character that is not base64');
  assert.is(decoded('AAAAAAAA', 5), 'is too long');
  assert.equal(decoded('AAAAAAAA', 6), Buffer.alloc(6));
});

test('what was decoded is nowhere but in what was taken', () => {
  const decoder = new Base64Decoder({ maximumBytes: 100 });
  for (const character of Buffer.from('AQID')) decoder.push(character);
  const taken = decoder.take();
  assert.equal([...taken], [1, 2, 3]);
  assert.is(taken.buffer.byteLength, 3);
  assert.is(decoder.length, 0);
  assert.ok(isAllZero(decoder.take()));
});

test.run();
