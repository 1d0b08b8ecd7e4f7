import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Counters } from '../../src/base/counters.ts';
import { EventBus } from '../../src/base/events.ts';
import { CacheLevels, watermarkBytes } from '../../src/policy/levels.ts';
import { FakeClock } from '../fakes/fake-clock.ts';
import { isA } from '../rejects.ts';

/** Memory of 1,600 bytes: watermark 320, normal again from 420 on. One block's worth is 320 bits: 40 bytes at full credit. */
const OPTIONS = { memorySizeBytes: 1600, lowWatermarkPercent: 20 };
const FULL_CREDIT = 8192;

function newLevels(options = OPTIONS) {
  const events = new EventBus({ capacity: 100 }, { clock: new FakeClock(), counters: new Counters() });
  const levels = new CacheLevels(options, { events });
  let sequence = 0;
  /** Judges, and gives the ids of what was told. */
  const judge = (
    memoryBytes: number,
    storageBytes = 0,
    storageFailure = '',
    rate = FULL_CREDIT,
  ): string[] => {
    levels.judge({ memoryBytes, memoryUnits: memoryBytes * rate, storageBytes, storageFailure });
    const { records } = events.since(sequence);
    sequence = records.at(-1)?.sequence ?? sequence;
    return records.map(({ id }) => id);
  };
  const details = () => events.since(0).records.map(({ detail }) => detail);
  return { levels, judge, details };
}

test('the watermark is a percentage of memory, rounded up', () => {
  assert.is(watermarkBytes(OPTIONS), 320);
  assert.is(watermarkBytes({ memorySizeBytes: 1601, lowWatermarkPercent: 20 }), 321);
  assert.is(watermarkBytes({ memorySizeBytes: 65_536, lowWatermarkPercent: 99 }), 64_881);
});

test('begins exhausted, and says nothing: there was nothing to lose', () => {
  const { levels, judge } = newLevels();
  assert.is(levels.level, 'exhausted');
  assert.equal(judge(0), []);
});

test('what is found at start is taken as it is, without hysteresis', () => {
  for (const [memoryBytes, level] of [
    [320, 'normal'],
    [319, 'below-watermark'],
    [0, 'memory-exhausted'],
  ] as const) {
    const { levels, judge } = newLevels();
    levels.begin({ memoryBytes, memoryUnits: 0, storageBytes: 7, storageFailure: '' });
    assert.is(levels.level, level);
    assert.equal(judge(memoryBytes, 7), []);
  }
});

test('falls at the exact bounds: below the watermark, at empty memory, at empty storage', () => {
  const { levels, judge } = newLevels();
  judge(1600, 5000);
  assert.is(levels.level, 'normal');
  assert.equal(judge(320, 5000), []);
  assert.equal(judge(319, 5000), ['entropy.watermark.below']);
  assert.equal(judge(1, 5000), []);
  assert.equal(judge(0, 1), ['entropy.memory.exhausted']);
  assert.equal(judge(0, 0), ['entropy.data.exhausted']);
  assert.equal(judge(0, 0), [], 'each once');
});

test('a draw that empties both tells every crossing, in order', () => {
  const { judge } = newLevels();
  judge(1600);
  assert.equal(judge(0), ['entropy.watermark.below', 'entropy.memory.exhausted', 'entropy.data.exhausted']);
});

test('normal again only a sixteenth of memory above the watermark, with storage counted', () => {
  const { levels, judge, details } = newLevels();
  judge(1600);
  judge(319);
  assert.equal(judge(419), []);
  assert.equal(judge(420), ['entropy.watermark.above']);
  assert.equal(details().at(-1), { from: 'below-watermark' });
  judge(319);
  assert.equal(judge(319, 1_000_000), [], 'memory itself must reach the watermark');
  assert.equal(judge(320, 99), []);
  assert.equal(judge(320, 100), ['entropy.watermark.above'], 'a refill lifts memory no higher');
  judge(319);
  assert.equal(judge(320, 100, 'EROFS'), [], 'but what cannot be opened lifts nothing');
  assert.is(levels.level, 'below-watermark');
});

test('a watermark near the top: full memory is normal', () => {
  const { judge } = newLevels({ ...OPTIONS, lowWatermarkPercent: 99 });
  assert.equal(judge(1599), ['entropy.level.risen']);
  assert.equal(judge(1600), ['entropy.watermark.above']);
});

test('leaves exhaustion with one block of credit in memory, 320 bits, however many bytes that takes', () => {
  const { judge, details } = newLevels();
  assert.equal(judge(39), []);
  assert.equal(judge(40), ['entropy.level.risen']);
  assert.equal(details().at(-1), { from: 'exhausted', to: 'below-watermark' });
  assert.equal(judge(1), [], 'and stays until memory is empty');
  judge(0);
  const half = FULL_CREDIT / 2;
  assert.equal(judge(79, 0, '', half), []);
  assert.equal(judge(80, 0, '', half), ['entropy.level.risen']);
});

test('bytes of hardly any credit still make it normal: levels are in bytes', () => {
  const { judge } = newLevels();
  assert.equal(judge(419, 0, '', 1), []);
  assert.equal(judge(420, 0, '', 1), ['entropy.watermark.above']);
});

test('a rise through several levels tells where it ended', () => {
  const { judge, details } = newLevels();
  assert.equal(judge(1600), ['entropy.watermark.above']);
  assert.equal(details(), [{ from: 'exhausted' }]);
});

test('storage that cannot be opened leaves memory exhausted, and the events say why', () => {
  const { levels, judge, details } = newLevels();
  judge(1600, 5000);
  assert.equal(judge(0, 5000, 'EROFS'), ['entropy.watermark.below', 'entropy.memory.exhausted']);
  assert.equal(details().at(-1), { storageBytes: 5000, storageFailure: 'EROFS' });
  assert.is(levels.level, 'memory-exhausted');
  assert.equal(judge(0, 0), ['entropy.data.exhausted'], 'its bytes were voided');
});

test('another size or watermark counts from the next judgement on', () => {
  const { levels, judge } = newLevels();
  judge(420);
  levels.reconfigure({ memorySizeBytes: 1600, lowWatermarkPercent: 50 });
  assert.is(levels.watermarkBytes, 800);
  assert.equal(judge(420), ['entropy.watermark.below']);
  assert.throws(() => levels.reconfigure({ memorySizeBytes: 0, lowWatermarkPercent: 20 }), isA(RangeError));
  for (const lowWatermarkPercent of [0, 100, NaN])
    assert.throws(() => levels.reconfigure({ memorySizeBytes: 1600, lowWatermarkPercent }), /1 to 99/);
});

test.run();
