import { test } from 'uvu';
import * as assert from 'uvu/assert';
import * as contract from '../../src/contract/gate.ts';
import { GateOverride, OVERRIDE_SECONDS, permittedMask } from '../../src/policy/override.ts';
import { MASK_MAXIMUM } from '../../src/policy/source-mask.ts';
import { isA } from '../rejects.ts';

const order = { mask: 4, seconds: 10, reason: 'HSM moved', by: 'uid 0' };
const begun = { monotonicMs: 1_000, bootMs: 5_000, wallMs: 1_000_000 };

test('it tells mask, end, reason and who ordered it', () => {
  const { report } = new GateOverride(4, order, begun);
  assert.equal(report, { mask: 4, untilMs: 1_010_000, reason: 'HSM moved', by: 'uid 0' });
});

test('it is over exactly when its time has passed on the monotonic clock', () => {
  const override = new GateOverride(4, order, begun);
  assert.is(override.leftMs({ monotonicMs: 10_999, bootMs: 14_999 }), 1);
  assert.is(override.leftMs({ monotonicMs: 11_000, bootMs: 15_000 }), 0);
  assert.is(override.leftMs({ monotonicMs: 99_000, bootMs: 103_000 }), 0);
});

test('a boot clock that steps in whole seconds does not end it early', () => {
  const override = new GateOverride(4, order, begun);
  assert.is(override.leftMs({ monotonicMs: 10_001, bootMs: 15_000 }), 999);
});

test('time that the host slept counts', () => {
  const override = new GateOverride(4, order, begun);
  assert.is(override.leftMs({ monotonicMs: 1_001, bootMs: 15_999 }), 1);
  assert.is(override.leftMs({ monotonicMs: 1_001, bootMs: 16_000 }), 0);
});

test('the interfaces state the bounds that hold here', () => {
  assert.equal(contract.OVERRIDE_SECONDS, OVERRIDE_SECONDS);
  assert.equal(contract.OVERRIDE_MASK, { minimum: 1, maximum: MASK_MAXIMUM });
});

test('orders out of bounds are refused', () => {
  for (const [mask, seconds] of [
    [0, 10],
    [16, 10],
    [1.5, 10],
    [4, 9],
    [4, 86_401],
    [4, Number.NaN],
  ] as const) {
    const bad = () => new GateOverride(mask, { ...order, mask, seconds }, begun);
    assert.throws(bad, isA(RangeError), `mask ${mask}, ${seconds} s`);
  }
  for (const [mask, seconds] of [
    [1, 10],
    [15, 86_400],
  ] as const)
    assert.is(new GateOverride(mask, { ...order, mask, seconds }, begun).leftMs(begun), seconds * 1000);
});

test('disableHwrng takes RDRAND and RDSEED out of every mask', () => {
  for (let mask = 1; mask <= 15; mask++) {
    assert.is(permittedMask(mask, false), mask);
    assert.is(permittedMask(mask, true), mask & 0b1001);
  }
});

test.run();
