import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { isAllZero } from '../../src/base/bytes.ts';
import type { EventId } from '../../src/base/events.ts';
import { KIB } from '../../src/base/units.ts';
import { rejectsWith } from '../rejects.ts';
import { DRBG_RATE, externalFixture, FULL_RATE } from './external-fixture.ts';
import { engineFixture } from './engine-fixture.ts';

/** What the operator must be told, in this order, when mask 8 runs dry. */
const FALL: EventId[] = [
  'entropy.watermark.below',
  'entropy.memory.exhausted',
  'entropy.data.exhausted',
  'gate.closed',
  'entropy.rbg.failure',
];

test('mask 8 without a feeder: the engine runs, the gate is closed as exhausted, the kernel waits', async () => {
  const { engine, start, clock, sink, stateOf } = await externalFixture({ mask: 8 });
  await start();
  await clock.advance(100);
  assert.is(engine.report().gate.reason, 'exhausted');
  assert.is(stateOf('external'), 'stalled');
  assert.is(engine.report().mask.honoured, 0);
  assert.is(sink.feeds.length, 0);
});

test('full-entropy bytes are fed to the kernel with 256 bits asked for each block, and 40 bytes spent on it', async () => {
  const { feeds, start, feed, clock, reservoir, engine } = await externalFixture({ mask: 8 });
  await start();
  const taken = await feed(4096);
  assert.equal(taken, {
    verdict: 'accepted',
    memoryBytes: 4096,
    storedBytes: 0,
    suspend: false,
    roomBytes: (64 + 256 - 4) * KIB,
  });
  await clock.advance(1000);
  assert.is(feeds.length, 1);
  assert.equal(feeds[0]?.creditedBits, { interrupts: 0, rdrand: 0, rdseed: 0, external: 640 });
  assert.is(feeds[0]?.creditAskedBits, 512);
  assert.is(reservoir.bytes, 4096 - 80);
  assert.is(engine.report().gate.state, 'open');
});

test('bytes of a DRBG are worth 1/32 bit each: a block takes 10,240 of them', async () => {
  const { feeds, start, feed, clock, reservoir } = await externalFixture({ mask: 8, bytesPerFeed: 32 });
  await start();
  for (let frame = 0; frame < 10; frame++) await feed(16 * KIB, { rateUnits: DRBG_RATE });
  await clock.advance(1000);
  assert.is(feeds[0]?.creditedBits.external, 320);
  assert.is(reservoir.bytes, 160 * KIB - 10_240);
});

test('one block is filled from two feeders of different worth, each byte counted at its own', async () => {
  const { feeds, start, feed, clock, reservoir } = await externalFixture({ mask: 8, bytesPerFeed: 32 });
  await start();
  await feed(32, { rateUnits: FULL_RATE });
  await feed(4096, { feeder: 2, door: 1, rateUnits: FULL_RATE / 2 });
  await clock.advance(1000);
  // 32 bytes give 256 bits; the 64 that are missing are 16 bytes of the second at 4 bits.
  assert.is(feeds[0]?.creditedBits.external, 320);
  assert.is(reservoir.bytes, 4096 - 16);
});

test('running dry under mask 8 is told step by step, and ends with the gate closed as exhausted', async () => {
  const { start, feed, clock, told, engine, feeds } = await externalFixture({
    mask: 8,
    bytesPerFeed: 4096,
    intervalSeconds: 1,
  });
  await start();
  await feed(64 * KIB);
  await clock.advance(60_000);
  const fall = told().filter((id) => FALL.includes(id));
  const first = FALL.map((id) => fall.lastIndexOf(id));
  assert.equal(
    first,
    [...first].sort((a, b) => a - b),
    fall.join(', '),
  );
  assert.ok(
    first.every((at) => at >= 0),
    fall.join(', '),
  );
  assert.is(engine.report().gate.reason, 'exhausted');
  // Nothing is fed that was not paid for: each block took 40 bytes.
  const blocks = feeds.reduce((sum, { bytes }) => sum + bytes / 32, 0);
  assert.is(blocks, Math.floor((64 * KIB) / 40));
});

test('after running dry the gate opens again at eight blocks’ worth, and not at a byte less', async () => {
  const { start, feed, clock, engine } = await externalFixture({ mask: 8, bytesPerFeed: 32 });
  await start();
  await clock.advance(1000);
  assert.is(engine.report().gate.reason, 'exhausted');
  await feed(8 * 40 - 1);
  await clock.advance(1000);
  assert.is(engine.report().gate.state, 'closed', 'a byte is missing');
  await feed(40);
  await clock.advance(0);
  assert.is(engine.report().gate.state, 'open', 'at once: a feed that waits looks when bytes come');
});

test('where eight blocks are more than the caches can hold, nine tenths of what they can open the gate', async () => {
  const { start, feed, clock, engine, reservoir } = await externalFixture({ mask: 8, bytesPerFeed: 32 });
  await start();
  await clock.advance(1000);
  // At 4/1024 bit a byte both caches hold 1,280 bits: four blocks.
  const rateUnits = 4;
  const share = () => reservoir.bytes / (reservoir.bytes + reservoir.roomBytes);
  while (share() < 0.88) await feed(4 * KIB, { rateUnits });
  await clock.advance(1000);
  assert.is(engine.report().gate.state, 'closed', `${share()} is too little`);
  while (share() < 0.9) await feed(1 * KIB, { rateUnits });
  await clock.advance(2000);
  assert.is(engine.report().gate.state, 'open');
});

test('how long the cached credit lasts is told from the start, by the draw that is configured', async () => {
  const { start, feed, engine } = await externalFixture({ mask: 8, bytesPerFeed: 64, intervalSeconds: 10 });
  await start();
  await feed(4000);
  const { drawBitsPerSecond, runwaySeconds } = engine.external.report();
  assert.is(drawBitsPerSecond, 64, 'two blocks of 320 bits every ten seconds');
  assert.is(runwaySeconds, (4000 * 8) / 64);
  engine.configureFeed({ intervalSeconds: 1, bytesPerFeed: 64, creditCpu: false });
  assert.is(engine.external.report().drawBitsPerSecond, 640);
});

test('mask 12 without a feeder stays open on RDSEED, degraded; a feeder makes it whole', async () => {
  const { start, feed, clock, engine, told } = await externalFixture({ mask: 12 });
  await start();
  await clock.advance(100);
  assert.is(engine.report().gate.state, 'open');
  assert.is(engine.report().gate.degraded, true);
  assert.is(engine.report().mask.honoured, 4);
  await feed(4096);
  assert.is(engine.report().mask.honoured, 12);
  assert.is(engine.report().gate.degraded, false);
  assert.not.ok(told().includes('gate.closed'));
});

test('under mask 12 both give to a block, and only the external part is asked of the kernel', async () => {
  const { start, feed, clock, feeds } = await externalFixture({ mask: 12, bytesPerFeed: 32 });
  await start();
  await clock.advance(100);
  await feed(4096);
  await clock.advance(10_000);
  const fed = feeds.at(-1);
  assert.equal(fed?.creditedBits, { interrupts: 0, rdrand: 0, rdseed: 320, external: 320 });
  assert.is(fed?.creditAskedBits, 256);
});

test('a frame that fails at the door is refused and wiped, nothing of it is cached; a third one suspends', async () => {
  const { start, feed, reservoir, counters } = await externalFixture({ mask: 8 });
  await start();
  const word = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);
  const stuck = () => {
    const payload = new Uint8Array(64);
    crypto.getRandomValues(payload);
    payload.set(word, 16);
    payload.set(word, 24);
    return payload;
  };
  const payload = stuck();
  const first = await feed(64, { payload });
  assert.is(first.verdict, 'test-failed');
  assert.is(first.suspend, false);
  assert.ok(isAllZero(payload), 'the payload is wiped');
  await feed(64, { payload: stuck() });
  assert.is((await feed(64, { payload: stuck() })).suspend, true);
  assert.is(reservoir.bytes, 0);
  assert.is(counters.value('feeder.frames.failed'), 3);
});

test('reconnecting forgets no failure; another feeder at the same door, or an operator’s word, does', async () => {
  const { start, feed, engine } = await externalFixture({ mask: 8 });
  await start();
  const stuck = () => feed(64, { payload: new Uint8Array(64).map((_, at) => (at < 32 ? at % 8 : at * 7)) });
  assert.is((await stuck()).verdict, 'test-failed');
  engine.external.resetDoor(0);
  const failures = [(await stuck()).suspend, (await stuck()).suspend];
  assert.ok(failures.includes(true), 'the failures of the earlier session count');
  engine.external.renewDoor(0);
  assert.is((await feed(64)).verdict, 'accepted');
});

test('one feeder’s failing frames do not harm another’s', async () => {
  const { start, feed } = await externalFixture({ mask: 8 });
  await start();
  await feed(64, { payload: new Uint8Array(64).fill(9) });
  assert.is((await feed(64, { feeder: 2, door: 1 })).verdict, 'accepted');
});

test('what is worth nothing is mixed at once and never cached', async () => {
  const { start, feed, reservoir, mixer } = await externalFixture({ mask: 8 });
  await start();
  const taken = await feed(4096, { rateUnits: 0 });
  assert.is(taken.verdict, 'uncredited');
  assert.is(reservoir.bytes, 0);
  assert.equal(mixer.creditUnits(), [0, 0, 0, 0]);
});

test('without bit 8 nothing is received', async () => {
  const { engine } = engineFixture({ mask: 4 });
  engine.start();
  const payload = new Uint8Array(64).fill(1);
  await rejectsWith(
    engine.external.receive({ feeder: 1, door: 0, rateUnits: 1, payload }),
    'external-disabled',
  );
  assert.ok(isAllZero(payload), 'and nothing is left lying about');
});

test('anyone’s bytes may be absorbed, under any mask, for no credit', () => {
  const { engine, mixer } = engineFixture({ mask: 4 });
  engine.start();
  const before = mixer.creditUnits();
  const bytes = new Uint8Array(255).fill(1);
  engine.external.absorb(bytes);
  assert.equal(mixer.creditUnits(), before);
  assert.ok(isAllZero(bytes));
});

test('sizes that are prepared too late, or over others, are undone', async () => {
  const { start, engine } = await externalFixture({ mask: 8 });
  await start();
  const sizes = { memoryBytes: 128 * KIB, lowWatermarkPercent: 20, storageBytes: 512 * KIB };
  const late = engine.external.prepareSizes(sizes);
  engine.external.settleSizes(false);
  await late;
  engine.external.settleSizes(true);
  assert.is(engine.external.report().memorySizeBytes, 64 * KIB, 'nothing was left to commit');
  await engine.external.prepareSizes(sizes);
  await engine.external.prepareSizes({ ...sizes, memoryBytes: 96 * KIB });
  engine.external.settleSizes(true);
  assert.is(engine.external.report().memorySizeBytes, 96 * KIB);
  assert.is(engine.external.report().storageSizeBytes, 512 * KIB);
});

test('an orderly stop stores what memory held; the next start opens the gate without a feeder', async () => {
  const first = await externalFixture({ mask: 8 });
  await first.start();
  await first.feed(32 * KIB);
  await first.engine.stop();
  await first.storage.close();
  const next = await externalFixture({ mask: 8, files: first.files });
  await next.start();
  await next.clock.advance(1000);
  assert.is(next.reservoir.bytes + 80 * next.feeds.length, 32 * KIB - 80 * first.feeds.length);
  assert.is(next.engine.report().gate.state, 'open');
  assert.is(next.feeds[0]?.creditedBits.external, 640);
});

test.run();
