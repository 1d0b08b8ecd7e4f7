import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Counters } from '../../src/base/counters.ts';
import { EventBus } from '../../src/base/events.ts';
import { SOURCE_BITS, type SourceName } from '../../src/base/names.ts';
import { Collector } from '../../src/engine/collector.ts';
import type { MonitoredSource } from '../../src/engine/monitored-source.ts';
import { Mixer } from '../../src/mixer/mixer.ts';
import { SampleTap } from '../../src/sources/sample-tap.ts';
import { FakeClock } from '../fakes/fake-clock.ts';
import { FakeSource } from '../fakes/fake-source.ts';
import { SeededStream } from '../fakes/seeded-stream.ts';
import { BUILD_DIRECTORY } from './engine-fixture.ts';

/**
 * What a broken source looks like, induced between the source and its tests, through the collector that the daemon runs. Each case
 * says within how many samples theory has it caught.
 */
const LOCAL: readonly SourceName[] = ['interrupts', 'rdrand', 'rdseed'];

interface Rig {
  readonly source: MonitoredSource;
  readonly sampleBytes: number;
  /** Gives one sample at a time until the source is no longer healthy; tells how many it took. Stops at the limit. */
  readonly samplesUntilCaught: (limit: number) => number;
}

/** A healthy source whose samples are rewritten from now on: `pattern` fills the n-th sample, counted from 0. */
function rig(name: SourceName, pattern: (sample: Uint8Array, n: number) => void): Rig {
  const clock = new FakeClock();
  const counters = new Counters();
  const events = new EventBus({ capacity: 100 }, { clock, counters });
  const mixer = Mixer.load({ directory: BUILD_DIRECTORY });
  mixer.start(new SeededStream('start').bytes(64));
  const tap = new SampleTap();
  const fake = new FakeSource(name);
  const collector = new Collector(
    { mask: SOURCE_BITS[name] },
    { sources: [fake], mixer, tap, clock, events, counters },
  );
  collector.open();
  const source = collector.source(name)!;
  assert.is(source.state.name, 'healthy');
  const { sampleBytes } = fake;
  let n = 0;
  tap.open((_, samples) => {
    for (let at = 0; at < samples.length; at += sampleBytes)
      pattern(samples.subarray(at, at + sampleBytes), n++);
  });
  const samplesUntilCaught = (limit: number) => {
    while (n < limit && source.state.healthy) source.contribute(sampleBytes);
    return source.state.healthy ? Infinity : n;
  };
  return { source, sampleBytes, samplesUntilCaught };
}

/** Samples after which a repetition is an intermittent, and a permanent, failure: 1 + ceil(30 / H), 1 + ceil(60 / H). */
const CUTOFFS: Readonly<Record<string, readonly [number, number]>> = {
  interrupts: [61, 121],
  rdrand: [2, 3],
  rdseed: [2, 3],
};

for (const name of LOCAL) {
  const [intermittent, permanent] = CUTOFFS[name]!;
  const stuckValues: readonly (readonly [string, number])[] = [
    ['stuck', 0x5a],
    ['all-zero', 0x00],
    ['all-one', 0xff],
  ];
  for (const [what, value] of stuckValues) {
    test(`${name} ${what}: caught at sample ${intermittent}, failed for good by sample ${permanent}`, () => {
      const { source, samplesUntilCaught } = rig(name, (sample) => sample.fill(value));
      assert.is(samplesUntilCaught(permanent), intermittent);
      assert.is(source.state.name, 'intermittent');
      source.contribute(1);
      assert.is(
        source.state.name,
        'failed',
        'the start-up test after it reads the same and meets the permanent cutoff',
      );
    });
  }

  test(`${name} repeating one sample less often than the cutoff is not touched`, () => {
    const good = new SeededStream(`good ${name}`);
    const { samplesUntilCaught } = rig(name, (sample, n) => {
      if (n % intermittent < intermittent - 1 && intermittent > 2) sample.fill(7);
      else good.fill(sample);
    });
    // One stray equal byte next to a run makes it one longer: probability 2^-8 a run, and the stream is fixed.
    assert.is(samplesUntilCaught(200), Infinity);
  });

  test(`${name} alternating between two samples: caught at sample ${intermittent + 1}`, () => {
    const pair = new SeededStream('pair').bytes(16);
    const { source, sampleBytes, samplesUntilCaught } = rig(name, (sample, n) => {
      sample.set(pair.subarray((n % 2) * 8, (n % 2) * 8 + sampleBytes));
    });
    assert.is(samplesUntilCaught(10 * permanent), intermittent + 1);
    source.contribute(1);
    assert.is(source.state.name, 'failed');
  });
}

for (const name of ['rdrand', 'rdseed'] as const) {
  test(`${name} giving the same word twice, once: one intermittent failure, and healthy again after a start-up test`, () => {
    const good = new SeededStream('words');
    const repeated = good.bytes(8);
    const { source, samplesUntilCaught } = rig(name, (sample, n) => {
      if (n === 100 || n === 101) sample.set(repeated);
      else good.fill(sample);
    });
    assert.is(samplesUntilCaught(1000), 102);
    assert.is(source.state.name, 'intermittent');
    source.contribute(80);
    assert.is(source.state.name, 'healthy');
    assert.equal(source.state.failures, { intermittent: 1, permanent: 0 });
  });

  // The tests assume 4 bits per byte; one value at P = 1/4 leaves 2. A window that opens with it, as one in four does, sees
  // 128 of 512 and meets the cutoff 71: missed with probability 3/4 a window, so 48 windows (2^-20) are 3,072 words.
  test(`${name} with one byte value at P = 1/4: caught within 3,072 words`, () => {
    const good = new SeededStream('bias');
    const { samplesUntilCaught } = rig(name, (sample) => {
      good.fill(sample);
      for (let at = 0; at < sample.length; at++) if (good.bytes(1)[0]! < 64) sample[at] = 0x33;
    });
    assert.ok(samplesUntilCaught(3072) <= 3072);
  });
}

// At half a bit per sample one value may come with probability 2^-0.5 = 0.71: P = 1/4 leaves 2 bits, four times the claim, and no
// test at this claim may object. Above the claim it does: P = 0.95 puts 486 into a window of 512, beyond the cutoff 422.
test('interrupts with one symbol at P = 1/4 stay within their claim of half a bit', () => {
  const good = new SeededStream('bias');
  const { samplesUntilCaught } = rig('interrupts', (sample) => {
    good.fill(sample);
    if (good.bytes(1)[0]! < 64) sample[0] = 0x33;
  });
  assert.is(samplesUntilCaught(20_000), Infinity);
});

test('interrupts with one symbol at P = 0.95: caught within 5 windows of 512', () => {
  const good = new SeededStream('bias');
  const { samplesUntilCaught } = rig('interrupts', (sample) => {
    good.fill(sample);
    if (good.bytes(1)[0]! < 243) sample[0] = 0x33;
  });
  assert.ok(samplesUntilCaught(5 * 512) <= 5 * 512);
});

test('what a failing source gave is not in the pool, and what it was credited is void', () => {
  let bad = false;
  const { source } = rig('rdseed', (sample) => {
    if (bad) sample.fill(1);
  });
  source.contribute(40);
  assert.is(source.report().creditedBits, 160);
  bad = true;
  assert.is(source.contribute(40), 40);
  assert.is(source.report().creditedBits, 160, 'nothing was credited for them');
  assert.is(source.state.name, 'failed');
});

test.run();
