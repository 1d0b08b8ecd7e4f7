import { randomFillSync } from 'node:crypto';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { mask, unmask } from '../../src/base/web-socket-masking.ts';

const KEY = Buffer.from('37fa213d', 'hex');

/** RFC 6455, 5.3, as it stands there. */
function asDefined(source: Uint8Array, key: Uint8Array): Uint8Array {
  return source.map((octet, at) => octet ^ key[at % 4]!);
}

test('the example of RFC 6455, 5.7', () => {
  const hello = Buffer.from('Hello');
  unmask(hello, KEY);
  assert.is(hello.toString('hex'), '7f9f4d5158');
});

test('every length at every alignment is masked as defined, and nothing beside it is touched', () => {
  const around = 8;
  for (let start = around; start < around + 8; start++) {
    for (let length = 0; length <= 80; length++) {
      const image = randomFillSync(new Uint8Array(start + length + around));
      const source = image.slice(start, start + length);
      const expected = image.slice();
      expected.set(asDefined(source, KEY), start);

      const inPlace = image.slice();
      unmask(inPlace.subarray(start, start + length), KEY);
      assert.equal(inPlace, expected);

      const output = image.slice();
      output.fill(0, start, start + length);
      for (const from of [0, 1, 2, 3]) {
        const longer = Buffer.concat([Buffer.alloc(from), source, Buffer.alloc(3, 1)]).subarray(from);
        mask(longer, KEY, output, start, length);
        assert.equal(output, expected);
      }
    }
  }
});

test('a frame of full size, at an odd place', () => {
  const buffer = randomFillSync(new Uint8Array(65_536 + 13)).subarray(13);
  const expected = asDefined(buffer, KEY);
  unmask(buffer, KEY);
  assert.is(Buffer.compare(buffer, expected), 0);
});

test.run();
