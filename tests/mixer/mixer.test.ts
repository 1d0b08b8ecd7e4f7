import { randomBytes } from 'node:crypto';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { isEntropyError } from '../../src/base/errors.ts';
import { SELF_TESTS } from '../../src/mixer/abi.ts';
import { type Mixer, type SlotTests, type SourceSlot } from '../../src/mixer/mixer.ts';
import { BUILDS, freshMixer } from './built.ts';
import { sha512 } from './pool-model.ts';

const NONE = new Uint8Array();
const TESTS: SlotTests = {
  symbolBits: 8,
  rctIntermittent: 16,
  rctPermanent: 31,
  aptWindowSamples: 512,
  aptIntermittent: 71,
  aptPermanent: 91,
  maximumRateUnits: 8192,
};

/** Started, with the external source configured. */
function ready(build: (typeof BUILDS)[number]): Mixer {
  const mixer = freshMixer(build);
  mixer.start(randomBytes(64));
  mixer.configureSlot(3, TESTS);
  return mixer;
}

function assertRefused(call: () => unknown, status: string): void {
  assert.throws(call, (error: unknown) => isEntropyError(error, 'mixer-refused') && error.message === status);
}

function assertThrows(call: () => unknown, type: typeof TypeError | typeof RangeError): void {
  assert.throws(call, (error: unknown) => error instanceof type);
}

for (const build of BUILDS) {
  test(`${build}: goes from idle to ready by start, and from wiped too`, () => {
    const mixer = freshMixer(build);
    assert.is(mixer.state(), 'idle');
    assertRefused(() => mixer.extract(new Uint8Array(32)), 'refusedState');
    mixer.start(randomBytes(64));
    assert.is(mixer.state(), 'ready');
    assertRefused(() => mixer.start(randomBytes(64)), 'refusedState');
    mixer.wipe();
    assert.is(mixer.state(), 'wiped');
    assertRefused(() => mixer.selfTest(), 'refusedState');
    assertRefused(() => mixer.hash(NONE), 'refusedState');
    mixer.start(randomBytes(64));
    assert.is(mixer.state(), 'ready');
  });

  test(`${build}: nothing secret stays after wipe, whatever was done before`, () => {
    const mixer = ready(build);
    const target = new Uint8Array(65_536);
    mixer.condition(3, randomBytes(65_536), 40, 8192, target);
    for (let seed = 0; seed < 3; seed++) {
      mixer.ingest(3, randomBytes(40), { creditableBytes: 40, rateUnits: 8192 });
      assert.ok(mixer.reserveSeed());
    }
    mixer.instantiate(randomBytes(16));
    assert.ok(mixer.generate(target.subarray(0, 1000), randomBytes(32)));
    assert.not(mixer.secretSegmentsAreZero(), 'so the look can fail');
    mixer.wipe();
    assert.ok(mixer.secretSegmentsAreZero());
  });

  test(`${build}: hashes parts of any length as one string`, () => {
    const mixer = freshMixer(build);
    const long = randomBytes(200_000);
    assert.equal(mixer.hash(), sha512());
    assert.equal(mixer.hash(NONE, long.subarray(0, 3), NONE, long), sha512(long.subarray(0, 3), long));
    assert.ok(mixer.secretSegmentsAreZero(), 'neither input nor digest stays');
  });

  test(`${build}: the caller's buffers are read, never changed, and targets are written only as far as said`, () => {
    const mixer = ready(build);
    const input = randomBytes(65_536);
    const copy = Buffer.from(input);
    const target = new Uint8Array(65_536).fill(0xaa);
    const { blocks } = mixer.condition(3, input, 4096, 8192, target);
    assert.is(blocks, 16);
    assert.ok(input.equals(copy));
    assert.ok(target.subarray(16 * 32).every((byte) => byte === 0xaa));
    assert.ok(new Set(target.subarray(0, 16 * 32)).size > 100);
  });

  test(`${build}: self-tests by number and name`, () => {
    const mixer = ready(build);
    assert.is(mixer.selfTest(), 0);
    for (let fault = 1; fault <= SELF_TESTS.length; fault++) {
      assert.is(mixer.selfTest(fault), fault);
      assert.is(mixer.selfTestName(fault), SELF_TESTS[fault - 1]);
    }
    assert.is(mixer.state(), 'ready');
  });

  test(`${build}: the state of the DRBG`, () => {
    const mixer = ready(build);
    assert.is(mixer.drbgState(), 'uninstantiated');
    for (let seed = 0; seed < 2; seed++) {
      mixer.ingest(3, randomBytes(40), { creditableBytes: 40, rateUnits: 8192 });
      mixer.reserveSeed();
    }
    mixer.instantiate(NONE);
    assert.is(mixer.drbgState(), 'ready');
    mixer.uninstantiate();
    assert.is(mixer.drbgState(), 'uninstantiated');
  });
}

test('wrong arguments are told before the module sees them', () => {
  const mixer = ready('debug');
  const target = new Uint8Array(32);
  const credit = { creditableBytes: 1, rateUnits: 1 };
  for (const length of [0, 63, 65]) assertThrows(() => mixer.start(new Uint8Array(length)), RangeError);
  for (const length of [0, 65_537]) {
    assertThrows(() => mixer.test(3, new Uint8Array(length)), RangeError);
    assertThrows(() => mixer.ingest(3, new Uint8Array(length), credit), RangeError);
    assertThrows(() => mixer.condition(3, new Uint8Array(length), 40, 1, new Uint8Array(65_536)), RangeError);
    assertThrows(() => mixer.condition(3, target, length, 1, target), RangeError);
    assertThrows(() => mixer.generate(new Uint8Array(length), NONE), RangeError);
  }
  assertThrows(() => mixer.instantiate(new Uint8Array(65_537)), RangeError);
  assertThrows(() => mixer.reseed(new Uint8Array(65_537)), RangeError);
  assertThrows(() => mixer.generate(target, new Uint8Array(65_537)), RangeError);
  for (const length of [31, 33]) assertThrows(() => mixer.extract(new Uint8Array(length)), RangeError);
  assertThrows(() => mixer.condition(3, new Uint8Array(80), 40, 1, new Uint8Array(63)), RangeError);
  for (const slot of [-1, 1028]) {
    assertThrows(() => mixer.configureSlot(slot, TESTS), RangeError);
    assertThrows(() => mixer.resetSlot(slot), RangeError);
    assertThrows(() => mixer.test(slot, target), RangeError);
  }
  for (const source of [-1, 4]) {
    assertThrows(() => mixer.ingest(source as SourceSlot, target, credit), RangeError);
    assertThrows(() => mixer.voidCredit(source as SourceSlot), RangeError);
    assertThrows(
      () => mixer.condition(source as SourceSlot, target, 1, 1, new Uint8Array(65_536)),
      RangeError,
    );
  }
  for (const value of [1.5, NaN]) {
    assertThrows(() => mixer.test(value, target), TypeError);
    assertThrows(() => mixer.ingest(3, target, { ...credit, rateUnits: value }), TypeError);
    assertThrows(() => mixer.ingest(3, target, { ...credit, creditableBytes: value }), TypeError);
    assertThrows(() => mixer.configureSlot(3, { ...TESTS, rctPermanent: value }), TypeError);
  }
  assertThrows(() => mixer.ingest(3, target, { ...credit, rateUnits: -1 }), RangeError);
  assertThrows(() => mixer.selfTest(SELF_TESTS.length + 1), RangeError);
  const notBytes: unknown = 'text';
  assertThrows(() => mixer.test(3, notBytes as Uint8Array), TypeError);
  assert.is(mixer.state(), 'ready');
  assert.equal(mixer.creditUnits(), [0, 0, 0, 0]);
});

test('a refused argument leaves nothing of the caller in the module', () => {
  const mixer = freshMixer('simd');
  assertRefused(() => mixer.test(7, randomBytes(100)), 'slotUnconfigured');
  assert.ok(mixer.secretSegmentsAreZero());
});

test('tests that could never fail are refused', () => {
  const mixer = ready('simd');
  for (const wrong of [
    { aptPermanent: 513 },
    { aptIntermittent: 92 },
    { rctIntermittent: 1 },
    { rctPermanent: 15 },
    { maximumRateUnits: 8193 },
    { aptWindowSamples: 65_537 },
  ]) {
    assert.throws(
      () => mixer.configureSlot(3, { ...TESTS, ...wrong }),
      (error: unknown) => isEntropyError(error, 'source-rate-refused'),
    );
  }
});

test.run();
