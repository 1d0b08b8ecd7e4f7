import * as fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ServedBudget } from '../../src/policy/budget.ts';
import { count } from '../counts.ts';
import { isA } from '../rejects.ts';

test('begins full: 32,768 bits at once and not one more, then the rate', () => {
  const budget = new ServedBudget({ bitsPerSecond: 512 }, 0);
  assert.not.ok(budget.take(32_769, 0));
  assert.ok(budget.take(32_768, 0));
  assert.not.ok(budget.take(1, 0));
  assert.not.ok(budget.take(320, 624), '320 bits take 625 ms');
  assert.ok(budget.take(320, 625));
  assert.not.ok(budget.take(1, 625));
});

test('a long pause earns the burst and no more', () => {
  const budget = new ServedBudget({ bitsPerSecond: 512 }, 0);
  assert.ok(budget.take(32_768, 0));
  assert.is(budget.availableBits(64_000), 32_768);
  assert.is(budget.availableBits(1e9), 32_768);
});

test('limit 0 serves nothing that costs anything, ever', () => {
  const budget = new ServedBudget({ bitsPerSecond: 0 }, 0);
  assert.ok(budget.take(0, 0));
  assert.not.ok(budget.take(1 / 1024, 1e12));
  assert.is(budget.waitMs(320, 0), Infinity);
});

test('a burst holds one block at least, or none could ever be served', () => {
  const budget = new ServedBudget({ bitsPerSecond: 1, burstBits: 10 }, 0);
  assert.is(budget.capacityBits, 320);
  assert.ok(budget.take(320, 0));
  assert.ok(budget.take(320, 320_000));
});

test('what was taken and not spent comes back; what was overspent is owed', () => {
  const budget = new ServedBudget({ bitsPerSecond: 512 }, 0);
  budget.take(320, 0);
  budget.settle(320, 100.5);
  assert.is(budget.availableBits(0), 32_768 - 100.5);
  budget.take(32_667.5, 0);
  budget.settle(0, 512);
  assert.is(budget.availableBits(0), -512);
  assert.not.ok(budget.take(1, 1000));
  assert.ok(budget.take(0, 1000), 'what costs nothing is never refused');
  assert.ok(budget.take(1, 1002));
});

test('tells how long to wait: to the millisecond, and Infinity for what never fits', () => {
  const budget = new ServedBudget({ bitsPerSecond: 1000 }, 0);
  budget.take(32_768, 0);
  assert.is(budget.waitMs(320, 0), 320);
  assert.is(budget.waitMs(320, 100), 220);
  assert.not.ok(budget.take(320, 319));
  assert.ok(budget.take(320, 320));
  assert.is(budget.waitMs(0, 320), 0);
  assert.is(budget.waitMs(32_769, 320), Infinity);
});

test('another limit counts from now on; what was earned stays as far as it fits', () => {
  const budget = new ServedBudget({ bitsPerSecond: 1000 }, 0);
  budget.take(32_768, 0);
  budget.reconfigure({ bitsPerSecond: 100 }, 1000);
  assert.is(budget.availableBits(1000), 1000);
  assert.is(budget.availableBits(2000), 1100);
  budget.reconfigure({ bitsPerSecond: 0 }, 2000);
  assert.is(budget.availableBits(2000), 0);
  budget.reconfigure({ bitsPerSecond: 512 }, 2000);
  assert.not.ok(budget.take(1, 2000), 'off and on again is no gift');
});

test('a clock that goes back earns nothing', () => {
  const budget = new ServedBudget({ bitsPerSecond: 1000 }, 10_000);
  budget.take(32_768, 10_000);
  assert.is(budget.availableBits(0), 0);
  assert.not.ok(budget.take(1, 0));
  assert.is(budget.availableBits(10_000), 0, 'and the same time is not paid twice');
});

test('refused: numbers of bits that cannot be', () => {
  const budget = new ServedBudget({ bitsPerSecond: 1 }, 0);
  for (const bits of [-1, NaN, Infinity]) {
    assert.throws(() => budget.take(bits, 0), isA(RangeError));
    assert.throws(() => budget.settle(0, bits), isA(RangeError));
    assert.throws(() => new ServedBudget({ bitsPerSecond: bits }, 0), isA(RangeError));
  }
});

test('over any time no more is spent than the burst and what the rate earned', () => {
  const draws = fc.array(fc.record({ afterMs: fc.nat(5000), bits: fc.nat(2000) }), {
    maxLength: 200,
    size: 'max',
  });
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 5000 }), draws, (bitsPerSecond, attempts) => {
      const budget = new ServedBudget({ bitsPerSecond, burstBits: 1000 }, 0);
      let [nowMs, spentBits] = [0, 0];
      for (const { afterMs, bits } of attempts) {
        nowMs += afterMs;
        if (budget.take(bits, nowMs)) spentBits += bits;
        assert.ok(spentBits <= 1000 + (nowMs * bitsPerSecond) / 1000 + 1e-6);
      }
    }),
    { numRuns: count(200, 5000) },
  );
});

test.run();
