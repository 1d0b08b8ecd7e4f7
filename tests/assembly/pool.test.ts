import * as fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Mixer, SlotTests, SourceSlot } from '../../src/mixer/mixer.ts';
import { count } from '../counts.ts';
import { BUILDS, freshMixer } from '../mixer/built.ts';
import { FULL_ENTROPY_UNITS, PoolModel } from '../mixer/pool-model.ts';

const SEED = Uint8Array.from({ length: 64 }, (_, i) => i * 3);
const SOURCES: readonly SourceSlot[] = [0, 1, 2, 3];

/** Fails on three equal bytes in a row and on nothing else. */
function testsWith(maximumRateUnits: number): SlotTests {
  const apt = { aptWindowSamples: 65_536, aptIntermittent: 65_536, aptPermanent: 65_536 };
  return { symbolBits: 8, rctIntermittent: 3, rctPermanent: 65_536, ...apt, maximumRateUnits };
}

const MAXIMUM_RATES = [16, 4, 4096, 8192];

/** Starts a fresh module, or a used one anew. */
function started(mixer: Mixer): Mixer {
  if (mixer.state() === 'ready') mixer.wipe();
  mixer.start(SEED);
  for (const source of SOURCES) mixer.configureSlot(source, testsWith(MAXIMUM_RATES[source]!));
  return mixer;
}

/** Healthy bytes: no two neighbours alike. */
function healthy(length: number, first = 0): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => first + i * 7);
}

const STUCK = new Uint8Array(50).fill(9);

for (const build of BUILDS) {
  test(`${build}: 320 bits less 1/1024 give no block and change nothing; 320 bits give one`, () => {
    const mixer = started(freshMixer(build));
    const target = new Uint8Array(32);
    mixer.ingest(3, healthy(40), { creditableBytes: 39, rateUnits: 8192 });
    mixer.ingest(0, healthy(8191), { creditableBytes: 8191, rateUnits: 1 });
    assert.equal(mixer.creditUnits(), [8191, 0, 0, FULL_ENTROPY_UNITS - 8192]);
    assert.not(mixer.readyForBlock());
    assert.is(mixer.extract(target), undefined);
    assert.equal(target, new Uint8Array(32));
    assert.equal(mixer.creditUnits(), [8191, 0, 0, FULL_ENTROPY_UNITS - 8192]);

    mixer.ingest(1, healthy(1), { creditableBytes: 1, rateUnits: 1 });
    assert.ok(mixer.readyForBlock());
    assert.equal(mixer.extract(target), [8191, 1, 0, FULL_ENTROPY_UNITS - 8192]);
    assert.not.equal(target, new Uint8Array(32));
    assert.equal(mixer.creditUnits(), [0, 0, 0, 0], 'credit is spent');
    assert.is(mixer.extract(target), undefined);
  });

  test(`${build}: credit is the least of what is creditable, policy, the slot's maximum and 8 bits a byte`, () => {
    const mixer = started(freshMixer(build));
    fc.assert(
      fc.property(
        fc.constantFrom(...SOURCES),
        fc.integer({ min: 1, max: 300 }),
        fc.integer({ min: 0, max: 600 }),
        fc.integer({ min: 0, max: 20_000 }),
        (source, length, creditableBytes, rateUnits) => {
          SOURCES.forEach((each) => mixer.voidCredit(each));
          mixer.resetSlot(source);
          assert.is(mixer.ingest(source, healthy(length), { creditableBytes, rateUnits }), 'healthy');
          const units = mixer.creditUnits();
          const rate = Math.min(rateUnits, MAXIMUM_RATES[source]!, 8192);
          assert.is(units[source], Math.min(creditableBytes, length) * rate);
          assert.is(
            units.reduce((sum, each) => sum + each, 0),
            units[source],
            'no other source gains',
          );
        },
      ),
      { numRuns: count(300, 20_000) },
    );
  });

  test(`${build}: a failure mixes nothing, and takes back this source's credit alone`, () => {
    const mixer = started(freshMixer(build));
    const model = new PoolModel(SEED);
    for (const source of [2, 3] as const) {
      mixer.ingest(source, healthy(40), { creditableBytes: 40, rateUnits: 4096 });
      model.absorb(source, healthy(40));
      model.addCredit(source, 40 * 4096);
    }
    assert.is(mixer.ingest(3, STUCK, { creditableBytes: 50, rateUnits: 8192 }), 'intermittent');
    model.voidCredit(3);
    assert.equal(mixer.creditUnits(), [0, 0, 40 * 4096, 0]);

    mixer.ingest(2, healthy(40, 1), { creditableBytes: 40, rateUnits: 4096 });
    model.absorb(2, healthy(40, 1));
    model.addCredit(2, 40 * 4096);
    const target = new Uint8Array(32);
    mixer.extract(target);
    assert.equal(target, model.extract()?.block, 'the discarded bytes are not in the block');
  });

  test(`${build}: credit stays at its ceiling and never wraps`, () => {
    const mixer = started(freshMixer(build));
    for (let call = 0; call < 10; call++) {
      mixer.ingest(3, healthy(65_536, call), { creditableBytes: 65_536, rateUnits: 8192 });
      assert.is(mixer.creditUnits()[3], Math.min((call + 1) * 65_536 * 8192, 2 ** 32 - 1));
    }
    assert.equal(mixer.extract(new Uint8Array(32)), [0, 0, 0, 2 ** 32 - 1]);
  });

  test(`${build}: blocks equal those of the model on node:crypto, whatever the order of calls`, () => {
    const mixer = freshMixer(build);
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        started(mixer);
        const model = new PoolModel(SEED);
        for (const { source, bytes, rateUnits } of steps) {
          const verdict = mixer.ingest(source, bytes, { creditableBytes: bytes.length, rateUnits });
          if (verdict === 'healthy') {
            model.absorb(source, bytes);
            model.addCredit(source, bytes.length * Math.min(rateUnits, MAXIMUM_RATES[source]!));
          } else model.voidCredit(source);
          assert.equal(mixer.creditUnits(), model.credit);
          const target = new Uint8Array(32);
          const credit = mixer.extract(target);
          const expected = model.extract();
          assert.equal(credit, expected?.credit);
          if (expected !== undefined) assert.equal(target, expected.block);
        }
      }),
      { numRuns: count(100, 3000) },
    );
  });

  test(`${build}: condition is ingest and extract, piece by piece`, () => {
    const mixer = started(freshMixer(build));
    const model = new PoolModel(SEED);
    for (const [length, pieceBytes, rateUnits] of [
      [65_536, 40, 8192],
      [65_536, 80, 4096],
      [1000, 7, 8192],
      [333, 333, 8192],
      [100, 1, 8192],
      [65_536, 65_536, 8192],
      [39, 40, 8192],
    ] as const) {
      const bytes = healthy(length, pieceBytes);
      const target = new Uint8Array(65_536);
      const { verdict, blocks } = mixer.condition(3, bytes, pieceBytes, rateUnits, target);
      const expected: Uint8Array[] = [];
      for (let at = 0; at < length; at += pieceBytes) {
        const piece = bytes.subarray(at, at + pieceBytes);
        model.absorb(3, piece);
        model.addCredit(3, piece.length * rateUnits);
        const extracted = model.extract();
        if (extracted !== undefined) expected.push(extracted.block);
      }
      assert.is(verdict, 'healthy');
      assert.is(blocks, expected.length);
      assert.equal(Buffer.from(target.subarray(0, blocks * 32)), Buffer.concat(expected));
      assert.equal(mixer.creditUnits(), model.credit, 'what fills no block keeps its credit');
    }
  });

  test(`${build}: condition gives no block from bytes of which any sample fails`, () => {
    const mixer = started(freshMixer(build));
    const bytes = healthy(65_536);
    bytes.fill(1, 65_533);
    const target = new Uint8Array(65_536);
    assert.equal(mixer.condition(3, bytes, 40, 8192, target), { verdict: 'intermittent', blocks: 0 });
    assert.ok(target.every((byte) => byte === 0));
    assert.equal(mixer.creditUnits(), [0, 0, 0, 0]);
  });

  test(`${build}: condition says what its blocks were made from`, () => {
    const mixer = started(freshMixer(build));
    mixer.ingest(2, healthy(10), { creditableBytes: 10, rateUnits: 4096 });
    mixer.condition(3, healthy(90), 45, 8192, new Uint8Array(64));
    assert.equal(mixer.lastSpentUnits(), [0, 0, 10 * 4096, 90 * 8192]);
  });

  test(`${build}: the start value depends on the seed and is worth nothing`, () => {
    const blocks = [SEED, SEED.map((byte) => byte ^ 1)].map((seed) => {
      const mixer = freshMixer(build);
      mixer.configureSlot(3, testsWith(8192));
      mixer.start(seed);
      assert.equal(mixer.creditUnits(), [0, 0, 0, 0]);
      const target = new Uint8Array(32);
      mixer.condition(3, healthy(40), 40, 8192, target);
      assert.equal(mixer.creditUnits(), [0, 0, 0, 0]);
      return target;
    });
    assert.not.equal(blocks[0], blocks[1]);
  });
}

const step = fc.record({
  source: fc.constantFrom(...SOURCES),
  bytes: fc.oneof(
    { arbitrary: fc.uint8Array({ minLength: 1, maxLength: 300 }), weight: 5 },
    { arbitrary: fc.constant(STUCK), weight: 1 },
  ),
  rateUnits: fc.integer({ min: 0, max: 9000 }),
});

test.run();
