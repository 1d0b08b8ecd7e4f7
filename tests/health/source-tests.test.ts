import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { isEntropyError } from '../../src/base/errors.ts';
import { sourceTests } from '../../src/health/source-tests.ts';

const BIT = 1024;
const refused = (error: unknown) => isEntropyError(error, 'source-rate-refused');

test('64-bit words at 4 bits per byte: the same word twice is a failure, three times a permanent one', () => {
  const tests = sourceTests({ symbolBits: 64, testBitsPerByte: 4, creditRateUnits: 4 * BIT });
  assert.is(tests.rctIntermittent, 2);
  assert.is(tests.rctPermanent, 3);
  assert.is(tests.aptIntermittent, 71, 'published: H = 4, W = 512, 2^-30');
});

test('interrupt symbols at half a bit', () => {
  const tests = sourceTests({ symbolBits: 8, testBitsPerByte: 0.5, creditRateUnits: BIT / 64 });
  assert.is(tests.rctIntermittent, 61);
  assert.is(tests.rctPermanent, 121);
  assert.is(tests.aptIntermittent, 422);
  assert.ok(tests.aptPermanent > 422 && tests.aptPermanent <= 512);
});

test('credit up to the test rate is taken, one unit more is refused', () => {
  const at = (creditRateUnits: number) => () =>
    sourceTests({ symbolBits: 8, testBitsPerByte: 0.5, creditRateUnits });
  at(512)();
  assert.throws(at(513), refused);
});

test('a claim so low that no window could reach the cutoff is refused: H W < 60 bits', () => {
  const at = (testBitsPerByte: number) => () =>
    sourceTests({ symbolBits: 8, testBitsPerByte, creditRateUnits: 0 });
  at(60 / 512)();
  assert.throws(at(59.9 / 512), refused);
  assert.throws(at(1 / 64), refused);
});

test.run();
