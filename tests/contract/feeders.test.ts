import fc from 'fast-check';
import { Check } from 'typebox/schema';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { FEEDER_KEY_BYTES, FEEDER_NAME, FeederEnrolmentSchema } from '../../src/contract/feeders.ts';
import { EXTERNAL_ROUTES } from '../../src/contract/external-routes.ts';
import { FEEDER_NAME_PATTERN, KEY_BYTES } from '../../src/protocol/limits.ts';

test('the operator and the wire mean the same names and keys', () => {
  assert.is(FEEDER_NAME.pattern, FEEDER_NAME_PATTERN.source);
  assert.is(FEEDER_KEY_BYTES, KEY_BYTES);
});

test('a name is safe as a path, in a URL and on a terminal', () => {
  const { params } = EXTERNAL_ROUTES.enrollFeeder.schema;
  fc.assert(
    fc.property(fc.oneof(fc.string({ maxLength: 40 }), fc.stringMatching(/^[a-z0-9._-]{1,40}$/)), (name) => {
      if (!Check(params, { name })) return;
      assert.is(encodeURIComponent(name), name);
      assert.not.match(name, /[/\\]|^\.|[^\x21-\x7e]/);
    }),
  );
  for (const name of ['a', '0', 'hsm-1', 'a.b_c-d', 'x'.repeat(32)]) assert.ok(Check(params, { name }), name);
  for (const name of ['', '.', '..', '-a', '_a', 'A', 'a b', 'a/b', 'é', 'a\n', 'x'.repeat(33)])
    assert.not.ok(Check(params, { name }), JSON.stringify(name));
});

test('class and rate are required, and the rate is 0 to 8 bits per byte', () => {
  const takes = (change: object): boolean =>
    Check(FeederEnrolmentSchema, { class: 'noise', bitsPerByte: 1, ...change });
  for (const bitsPerByte of [0, 1 / 1024, 8]) assert.ok(takes({ bitsPerByte }));
  for (const bitsPerByte of [-1 / 1024, 8 + 1 / 1024, NaN, Infinity, '1', undefined])
    assert.not.ok(takes({ bitsPerByte }));
  assert.not.ok(takes({ class: undefined }));
  assert.not.ok(takes({ class: 'hsm' }));
  assert.ok(takes({ certificate: 'x'.repeat(200), maximumBytesPerSecond: 32 }));
  assert.not.ok(takes({ certificate: 'a\u001bb' }));
});

test.run();
