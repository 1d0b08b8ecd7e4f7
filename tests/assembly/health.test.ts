import * as fc from 'fast-check';
import { readFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { aptCutoff, rctCutoff } from '../../src/health/cutoffs.ts';
import type { Mixer, SlotTests, Verdict } from '../../src/mixer/mixer.ts';
import { count } from '../counts.ts';
import { BUILDS, freshMixer, freshModule } from '../mixer/built.ts';
import { HealthModel } from '../mixer/health-model.ts';

const SLOT = 4;
const VERDICTS: readonly Verdict[] = ['healthy', 'intermittent', 'permanent'];
/** Limits that no test of the other kind runs into. */
const NEVER = 0x4000_0000;

interface Published {
  readonly alphaExponents: readonly number[];
  readonly alphabets: readonly {
    readonly windowSamples: number;
    readonly rows: readonly { readonly bitsPerSample: number }[];
  }[];
}
const published = JSON.parse(
  readFileSync(new URL('../health/published-cutoffs.json', import.meta.url), 'utf8'),
) as Published;
const ROWS = published.alphabets.flatMap(({ windowSamples, rows }) =>
  rows.map(({ bitsPerSample }) => ({ windowSamples, bitsPerSample })),
);

function rctOnly(symbolBits: 8 | 64, rctIntermittent: number, rctPermanent = rctIntermittent): SlotTests {
  const apt = { aptWindowSamples: 65_536, aptIntermittent: 65_536, aptPermanent: 65_536 };
  return { symbolBits, rctIntermittent, rctPermanent, ...apt, maximumRateUnits: 0 };
}

function aptOnly(
  aptWindowSamples: number,
  aptIntermittent: number,
  aptPermanent = aptIntermittent,
): SlotTests {
  const rct = { symbolBits: 8, rctIntermittent: NEVER, rctPermanent: NEVER } as const;
  return { ...rct, aptWindowSamples, aptIntermittent, aptPermanent, maximumRateUnits: 0 };
}

/** Verdict over bytes from fresh counters. */
function verdictOf(mixer: Mixer, tests: SlotTests, bytes: Uint8Array): Verdict {
  mixer.configureSlot(SLOT, tests);
  return mixer.test(SLOT, bytes);
}

/** `equals` bytes that equal the first of a window, spread over it, the others all different from their neighbours. */
function windowWith(equals: number, windowSamples: number): Uint8Array {
  const window = Uint8Array.from({ length: windowSamples }, (_, i) => 1 + (i % 200));
  for (let i = 0; i < equals; i++) window[Math.floor((i * windowSamples) / equals)] = 0;
  return window;
}

for (const build of BUILDS) {
  test(`${build}: the RCT fails at its cutoff and not one sample below, for every published row`, () => {
    const mixer = freshMixer(build);
    for (const symbolBits of [8, 64] as const) {
      for (const { bitsPerSample } of ROWS) {
        for (const exponent of [...published.alphaExponents, 60]) {
          const cutoff = rctCutoff(exponent, bitsPerSample);
          const stuck = new Uint8Array((cutoff * symbolBits) / 8).fill(0x5a);
          const oneBelow = stuck.subarray(0, stuck.length - symbolBits / 8);
          assert.is(verdictOf(mixer, rctOnly(symbolBits, cutoff), stuck), 'permanent', `C ${cutoff}`);
          assert.is(verdictOf(mixer, rctOnly(symbolBits, cutoff), oneBelow), 'healthy', `C ${cutoff} - 1`);
        }
      }
    }
  });

  test(`${build}: an alternating source fails at the cutoff of the RCT, one sample later, whatever the calls`, () => {
    const mixer = freshMixer(build);
    for (const symbolBits of [8, 64] as const) {
      const symbolBytes = symbolBits / 8;
      for (const cutoff of [2, 3, 9, 16, 17, 61]) {
        const samples = Array.from({ length: cutoff + 1 }, (_, i) => new Uint8Array(symbolBytes).fill(i % 2));
        for (const piece of [1, 2, 3, 5, cutoff + 1]) {
          mixer.configureSlot(SLOT, rctOnly(symbolBits, cutoff));
          const verdicts: Verdict[] = [];
          for (let at = 0; at <= cutoff; at += piece) {
            verdicts.push(mixer.test(SLOT, Buffer.concat(samples.slice(at, at + piece))));
          }
          const all = `${symbolBits} bits, C ${cutoff}, ${piece} at a time`;
          assert.is(verdicts.pop(), 'permanent', all);
          assert.ok(
            verdicts.every((verdict) => verdict === 'healthy'),
            all,
          );
        }
      }
    }
  });

  test(`${build}: the APT fails at its cutoff and not one sample below, for every published row`, () => {
    const mixer = freshMixer(build);
    for (const { windowSamples, bitsPerSample } of ROWS) {
      for (const exponent of [...published.alphaExponents, 60]) {
        for (const form of ['printed', 'corrected'] as const) {
          const cutoff = aptCutoff(exponent, bitsPerSample, windowSamples, form);
          const tests = aptOnly(windowSamples, cutoff);
          assert.is(verdictOf(mixer, tests, windowWith(cutoff, windowSamples)), 'permanent', `C ${cutoff}`);
          assert.is(
            verdictOf(mixer, tests, windowWith(cutoff - 1, windowSamples)),
            'healthy',
            `C ${cutoff} - 1`,
          );
        }
      }
    }
  });

  test(`${build}: a source that stays stuck climbs from intermittent to permanent, call by call`, () => {
    const mixer = freshMixer(build);
    mixer.configureSlot(SLOT, rctOnly(8, 5, 9));
    const verdicts = Array.from({ length: 10 }, () => mixer.test(SLOT, Uint8Array.of(7)));
    assert.equal(
      verdicts.map((verdict) => verdict[0]),
      ['h', 'h', 'h', 'h', 'i', 'i', 'i', 'i', 'p', 'p'],
    );
    assert.is(mixer.test(SLOT, Uint8Array.of(8)), 'healthy', 'another sample ends the run');
  });

  test(`${build}: windows do not overlap, and an APT count ends with its window`, () => {
    const mixer = freshMixer(build);
    mixer.configureSlot(SLOT, aptOnly(64, 20));
    const halves = [windowWith(19, 64), windowWith(19, 64), windowWith(20, 64)];
    assert.equal(
      halves.map((window) => mixer.test(SLOT, window)),
      ['healthy', 'healthy', 'permanent'],
    );
  });

  test(`${build}: equals the sample-by-sample model for any input and any split into calls`, () => {
    const mixer = freshMixer(build);
    fc.assert(
      fc.property(
        limits,
        biasedBytes,
        fc.array(fc.integer({ min: 1, max: 90 }), { minLength: 1 }),
        (tests, bytes, cuts) => {
          const model = new HealthModel(tests);
          mixer.configureSlot(SLOT, tests);
          for (let at = 0, call = 0; at < bytes.length; call++) {
            const piece = bytes.subarray(at, (at += cuts[call % cuts.length]!));
            assert.is(mixer.test(SLOT, piece), VERDICTS[model.test(piece)], `call ${call}, to byte ${at}`);
          }
        },
      ),
      { numRuns: count(300, 20_000) },
    );
  });

  test(`${build}: a trailing partial word is for the APT alone`, () => {
    const mixer = freshMixer(build);
    mixer.configureSlot(SLOT, rctOnly(64, 2));
    const word = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);
    assert.is(mixer.test(SLOT, Uint8Array.of(...word, 9, 9, 9)), 'healthy');
    assert.is(mixer.test(SLOT, Uint8Array.of(9, 9, 9, 9, 9)), 'healthy', 'words do not span calls');
    assert.is(mixer.test(SLOT, word), 'permanent', 'the last whole word is remembered across calls');
  });

  test(`${build}: resetSlot makes the next sample the first; other slots are not touched`, () => {
    const mixer = freshMixer(build);
    for (const slot of [SLOT, 1027]) {
      mixer.configureSlot(slot, rctOnly(8, 3));
      mixer.test(slot, Uint8Array.of(7, 7));
    }
    mixer.resetSlot(SLOT);
    assert.is(mixer.test(SLOT, Uint8Array.of(7)), 'healthy');
    assert.is(mixer.test(1027, Uint8Array.of(7)), 'permanent');
  });

  test(`${build}: a run that never ends fails for ever, because its count stops at the permanent cutoff`, () => {
    const { exports, segments } = freshModule(build);
    assert.is(exports.configureSlot(SLOT, 8, 1000, 65_537, 65_536, 65_536, 65_536, 0), 0);
    const { counters } = segments;
    const runLength = new DataView(counters.buffer, counters.byteOffset + SLOT * 40 + 16, 4);
    const outcomes = Array.from({ length: 4 }, () => {
      segments.input.fill(1, 0, 60_000);
      return [exports.test(SLOT, 60_000), runLength.getUint32(0, true)];
    });
    assert.equal(outcomes, [
      [1, 60_000],
      [2, 65_537],
      [2, 65_537],
      [2, 65_537],
    ]);
  });
}

/** Small cutoffs and windows, so that random data meets them from both sides. */
const limits: fc.Arbitrary<SlotTests> = fc
  .record({
    symbolBits: fc.constantFrom(8 as const, 64 as const),
    rctIntermittent: fc.integer({ min: 2, max: 24 }),
    rctMore: fc.integer({ min: 0, max: 24 }),
    aptWindowSamples: fc.integer({ min: 4, max: 150 }),
    aptIntermittentShare: fc.double({ min: 0, max: 1, noNaN: true }),
    aptPermanentShare: fc.double({ min: 0, max: 1, noNaN: true }),
  })
  .map(
    ({ symbolBits, rctIntermittent, rctMore, aptWindowSamples, aptIntermittentShare, aptPermanentShare }) => {
      const aptIntermittent = 2 + Math.floor((aptWindowSamples - 2) * aptIntermittentShare);
      const aptPermanent =
        aptIntermittent + Math.floor((aptWindowSamples - aptIntermittent) * aptPermanentShare);
      const rctPermanent = rctIntermittent + rctMore;
      return {
        symbolBits,
        rctIntermittent,
        rctPermanent,
        aptWindowSamples,
        aptIntermittent,
        aptPermanent,
        maximumRateUnits: 0,
      };
    },
  );

/** Stretches of few values, of one value, and of full bytes. */
const biasedBytes: fc.Arbitrary<Uint8Array> = fc
  .array(
    fc.oneof(
      fc.uint8Array({ minLength: 1, maxLength: 80 }),
      fc.uint8Array({ minLength: 1, maxLength: 80, max: 2 }),
      fc
        .record({ value: fc.integer({ min: 0, max: 255 }), length: fc.integer({ min: 1, max: 60 }) })
        .map(({ value, length }) => new Uint8Array(length).fill(value)),
    ),
    { minLength: 1, maxLength: 8 },
  )
  .map((stretches) => Uint8Array.from(stretches.flatMap((stretch) => [...stretch])));

test.run();
