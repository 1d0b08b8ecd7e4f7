import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { isAllZero } from '../../src/base/bytes.ts';
import { settle } from '../fakes/fake-clock.ts';
import { rejectsWith } from '../rejects.ts';
import { filled, FULL, KIB, newReservoir } from './reservoir-fixture.ts';
import { FakeSegmentStore } from './segment-store-fake.ts';

/** The reservoir on a disk that refuses: memory goes on, what is lost is told, and it goes on by itself when the disk heals. */

test('a disk that refuses appends: memory goes on, the answer says why, and room comes back when it heals', async () => {
  const { reservoir, store, clock } = newReservoir();
  await reservoir.start();
  store.refusing = 'writes';
  const { failure, ...taken } = await reservoir.receive(filled(70 * KIB), FULL);
  assert.equal([taken, failure?.code], [{ memoryBytes: 64 * KIB, storedBytes: 0 }, 'state-unwritable']);
  assert.equal([reservoir.roomBytes, reservoir.report().storageFailure], [0, 'ENOSPC']);
  assert.is((await reservoir.receive(filled(32), FULL)).failure?.code, 'state-unwritable');
  const rooms: number[] = [];
  reservoir.onRoom((roomBytes) => rooms.push(roomBytes));
  await clock.advance(10_000);
  assert.equal([store.probes, rooms], [1, []]);
  store.refusing = 'nothing';
  await clock.advance(10_000);
  assert.equal([store.probes, rooms], [2, [256 * KIB]]);
  await clock.advance(60_000);
  assert.is(store.probes, 2, 'a sound disk is not asked');
});

test('a disk that refuses to spend: memory runs out, the events say so, and a refill follows when it heals', async () => {
  const { reservoir, store, clock, events, told, draw } = newReservoir(
    new FakeSegmentStore(256 * KIB).fill(64 * KIB, FULL),
  );
  await reservoir.start();
  store.refusing = 'spending';
  draw(16 * KIB);
  await settle();
  assert.equal(told(), ['entropy.watermark.below', 'entropy.memory.exhausted']);
  assert.equal(events.since(0).records.at(-1)?.detail, { storageBytes: 48 * KIB, storageFailure: 'ENOSPC' });
  reservoir.missed();
  assert.equal([reservoir.level, told()], ['memory-exhausted', []]);
  store.refusing = 'nothing';
  await clock.advance(10_000);
  assert.equal([reservoir.level, told()], ['normal', ['entropy.watermark.above']]);
});

test('what the disk refuses to spend is told as stored, but nothing counts on it', async () => {
  const { reservoir, store, draw, clock } = newReservoir(
    new FakeSegmentStore(256 * KIB).fill(64 * KIB, FULL),
  );
  await reservoir.start();
  await reservoir.receive(filled(1000), FULL);
  store.refusing = 'spending';
  draw(16 * KIB);
  await settle();
  assert.equal([reservoir.bytes, reservoir.creditedUnits], [1000, 1000 * 8192]);
  assert.is(reservoir.servableUnits, 0, 'a fifth of what was there before is still kept');
  assert.equal([reservoir.report().storedBytes, reservoir.report().creditedBits], [48 * KIB, 8000]);
  store.refusing = 'nothing';
  await clock.advance(10_000);
  assert.equal([reservoir.bytes, reservoir.creditedUnits], [48 * KIB + 1000, (48 * KIB + 1000) * 8192]);
});

test('a stop asks a disk that refused once more, and keeps all when it takes writes again', async () => {
  const { reservoir, store, counters } = newReservoir();
  await reservoir.start();
  await reservoir.receive(filled(64 * KIB), FULL);
  store.refusing = 'writes';
  await reservoir.receive(filled(100), FULL);
  store.refusing = 'nothing';
  await reservoir.stop();
  assert.equal([store.bytes, counters.value('cache.bytes.destroyed')], [64 * KIB, 0]);
});

test('a stop on a disk that refuses destroys what memory holds, and counts it', async () => {
  const { reservoir, store, counters, memory } = newReservoir();
  await reservoir.start();
  await reservoir.receive(filled(5000), FULL);
  store.refusing = 'writes';
  await reservoir.stop();
  assert.equal([store.bytes, store.closed, counters.value('cache.bytes.destroyed')], [0, 1, 5000]);
  assert.ok(isAllZero(memory()));
});

test('a size for which the disk has no space changes nothing', async () => {
  const { reservoir, store } = newReservoir();
  await reservoir.start();
  store.refusing = 'writes';
  const sizes = { memoryBytes: 128 * KIB, lowWatermarkPercent: 20, storageBytes: KIB * KIB };
  await rejectsWith(reservoir.prepareSizes(sizes), 'state-unwritable');
  assert.is(reservoir.report().memorySizeBytes, 64 * KIB);
});

test.run();
