import * as fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { SOURCE_BITS, SOURCE_NAMES, type SourceName } from '../../src/base/names.ts';
import { bytesPerBlock, creditRateUnits } from '../../src/policy/credit.ts';
import { count } from '../counts.ts';
import type { FakeSource } from '../fakes/fake-source.ts';
import { engineFixture } from './engine-fixture.ts';

/**
 * Every mask with every combination of what its sources may be up to. Credit is checked where it is spent: in the feeds.
 */
const CONDITIONS = [
  'good',
  'unavailable',
  'fails at start',
  'fails later',
  'dry',
  'throws',
  'sick samples',
] as const;
type Condition = (typeof CONDITIONS)[number];

/** Sources in these conditions never pass their start-up test. */
const NEVER_GOOD: ReadonlySet<Condition> = new Set(['unavailable', 'fails at start', 'sick samples']);

const STARTUP_BYTES = 8192;

function prepare(source: FakeSource, condition: Condition): void {
  source.unavailable = condition === 'unavailable' ? 'not on this host' : '';
  if (condition === 'fails at start') source.failure = 'total failure';
  if (condition === 'dry') source.ready = 0;
}

function misbehave(source: FakeSource, condition: Condition): void {
  if (condition === 'fails later') source.failure = 'total failure';
  if (condition === 'throws') source.throws = true;
}

const scenario = fc.record({
  mask: fc.integer({ min: 0, max: 15 }),
  interrupts: fc.constantFrom(...CONDITIONS),
  rdrand: fc.constantFrom(...CONDITIONS),
  rdseed: fc.constantFrom(...CONDITIONS),
  external: fc.constantFrom(...CONDITIONS),
  interruptsReady: fc.nat({ max: 60_000 }),
  bytesPerFeed: fc.constantFrom(32, 64, 256),
});

test('credit is never above policy, RDRAND and RDSEED are never added, failed is void, masked is unread', async () => {
  await fc.assert(
    fc.asyncProperty(scenario, async ({ mask, interruptsReady, bytesPerFeed, ...conditions }) => {
      const fixture = engineFixture({
        mask,
        bytesPerFeed,
        interruptsReady,
        prepare: (sources) => SOURCE_NAMES.forEach((name) => prepare(sources[name], conditions[name])),
      });
      const { engine, clock, feeds, sources, tap, mixer } = fixture;
      tap.open((name, samples) => {
        if (conditions[name] === 'sick samples') samples.fill(0x55);
      });
      engine.start();
      await clock.advance(0);
      const feedsBefore = feeds.length;
      SOURCE_NAMES.forEach((name) => misbehave(sources[name], conditions[name]));
      await clock.advance(20_000);

      const reports = Object.fromEntries(engine.report().sources.map((report) => [report.name, report]));
      for (const name of SOURCE_NAMES) checkSource(name, reports[name]!);
      for (const feed of feeds) checkFeed(feed.bytes, feed.creditedBits);
      if (SOURCE_NAMES.every((name) => NEVER_GOOD.has(conditions[name]))) assert.is(feeds.length, 0);
      await engine.stop();
      assert.ok(mixer.secretSegmentsAreZero());

      function checkSource(name: SourceName, report: (typeof reports)[string]): void {
        const inMask = (mask & SOURCE_BITS[name]) !== 0;
        if (!inMask) assert.is(sources[name].reads, 0, `${name} is masked out and was read`);
        if (conditions[name] === 'unavailable')
          assert.is(sources[name].reads, 0, `${name} is unavailable and was read`);
        const rateBits = creditRateUnits(name, mask) / 1024;
        assert.ok(
          report.creditedBits <= report.testedBytes * Math.min(rateBits, 8),
          `${name} is over-credited`,
        );
        if (NEVER_GOOD.has(conditions[name]) || !inMask) {
          assert.is(report.creditedBits, 0, `${name} ${conditions[name]}`);
        }
        if (['fails later', 'throws'].includes(conditions[name]) && inMask) {
          // It failed at its next read: all credit it has is of the feeds before.
          const spent = feeds.slice(0, feedsBefore).reduce((sum, feed) => sum + feed.creditedBits[name], 0);
          assert.is(sumOver(name), spent, `${name} failed and its credit was spent afterwards`);
        }
      }

      function sumOver(name: SourceName): number {
        return feeds.reduce((sum, feed) => sum + feed.creditedBits[name], 0);
      }

      function checkFeed(bytes: number, credited: Record<SourceName, number>): void {
        const blocks = bytes / 32;
        const sum = SOURCE_NAMES.reduce((total, name) => total + credited[name], 0);
        assert.ok(sum >= 320 * blocks, `${blocks} blocks from ${sum} bits`);
        if ((mask & 4) !== 0) assert.is(credited.rdrand, 0, 'RDRAND beside RDSEED');
        for (const name of SOURCE_NAMES) {
          if ((mask & SOURCE_BITS[name]) === 0) assert.is(credited[name], 0, name);
          const mostBits = (bytesPerBlock(creditRateUnits(name, mask)) * creditRateUnits(name, mask)) / 1024;
          // Credit of samples that did not fill a block waits for the next one.
          assert.ok(credited[name] <= (mostBits + 320) * blocks, `${name}: ${credited[name]}`);
        }
      }
    }),
    { numRuns: count(300, 5000) },
  );
});

test('all 16 masks over good sources: exactly the sources of the mask are read', async () => {
  for (let mask = 0; mask <= 15; mask++) {
    const { engine, clock, sources } = engineFixture({
      mask,
      interruptsReady: STARTUP_BYTES,
      prepare: (all) => (all.external.unavailable = ''),
    });
    engine.start();
    await clock.advance(10_000);
    const read = SOURCE_NAMES.filter((name) => sources[name].reads > 0);
    assert.equal(
      read,
      SOURCE_NAMES.filter((name) => (mask & SOURCE_BITS[name]) !== 0),
      `mask ${mask}`,
    );
    await engine.stop();
  }
});

test.run();
