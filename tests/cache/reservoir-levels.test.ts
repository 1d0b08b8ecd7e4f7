import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { settle } from '../fakes/fake-clock.ts';
import { DRBG, filled, FULL, KIB, newReservoir } from './reservoir-fixture.ts';
import { FakeSegmentStore } from './segment-store-fake.ts';

/** What the reservoir tells of itself: its level and each crossing of one, its room, what may be served, how long it lasts. */

test('a refill is no event: draws down to the last stored byte stay normal', async () => {
  const { reservoir, store, told, drain } = newReservoir(
    new FakeSegmentStore(256 * KIB).fill(100 * KIB, FULL),
  );
  await reservoir.start();
  await drain(100 * KIB - 13_108);
  assert.equal([store.bytes, reservoir.bytes], [0, 13_108]);
  assert.equal([reservoir.level, told()], ['normal', []]);
  await drain(1);
  assert.equal([reservoir.level, told()], ['below-watermark', ['entropy.watermark.below']]);
});

test('a draw that empties memory while storage has bytes is no event; it is refilling', async () => {
  const { reservoir, told, draw } = newReservoir(new FakeSegmentStore(256 * KIB).fill(64 * KIB, FULL));
  await reservoir.start();
  assert.is(draw(64 * KIB).bytes, 16 * KIB);
  assert.ok(reservoir.refilling);
  assert.is(draw(1).bytes, 0);
  reservoir.missed();
  assert.equal([reservoir.level, told()], ['normal', []]);
  await settle();
  assert.not.ok(reservoir.refilling);
  assert.ok(draw(1).bytes === 1);
});

test('one draw that empties both tells every crossing in order, and rising is told too', async () => {
  const { reservoir, told, draw } = newReservoir();
  await reservoir.start();
  await reservoir.receive(filled(20 * KIB), FULL);
  assert.equal(told(), ['entropy.watermark.above']);
  draw(20 * KIB);
  assert.equal(told(), ['entropy.watermark.below', 'entropy.memory.exhausted', 'entropy.data.exhausted']);
  await reservoir.receive(filled(39), FULL);
  assert.equal(told(), []);
  await reservoir.receive(filled(1), FULL);
  assert.equal(told(), ['entropy.level.risen']);
});

test('room is told at once when there was none, and then at most every 50 ms', async () => {
  const { reservoir, store, clock, draw } = newReservoir(new FakeSegmentStore(0));
  await reservoir.start();
  await reservoir.receive(filled(64 * KIB), FULL);
  const rooms: [atMs: number, roomBytes: number][] = [];
  reservoir.onRoom((roomBytes) => rooms.push([clock.monotonicMs(), roomBytes]));
  await clock.advance(1000);
  draw(100);
  draw(100);
  await clock.advance(49);
  assert.equal(rooms, [[1000, 100]]);
  await clock.advance(1);
  assert.equal(rooms.at(-1), [1050, 200]);
  await reservoir.receive(filled(200), FULL);
  draw(50);
  await clock.advance(1000);
  assert.equal(rooms.slice(2), [[1100, 50]], 'none was left meanwhile, but 50 ms had not passed');
  await clock.advance(1000);
  assert.equal([rooms.length, clock.pendingTimers, store.bytes], [3, 0, 0]);
});

test('the reserve that is kept from serving counts a segment that is on its way', async () => {
  const store = new FakeSegmentStore(256 * KIB).fill(32 * KIB, FULL);
  const { reservoir, draw } = newReservoir(store);
  await reservoir.start();
  store.hold();
  draw(16 * KIB);
  await reservoir.receive(filled(1000), FULL);
  reservoir.voidFeeder(DRBG.feeder);
  assert.is(reservoir.servableUnits, 0);
  store.letGo?.();
  await settle();
  assert.is(reservoir.servableUnits, Math.floor(0.8 * (16 * KIB + 1000) * 8192));
});

test('a fifth of the most that was cached is kept from serving, until the caches were empty', async () => {
  const { reservoir, drain } = newReservoir();
  await reservoir.start();
  await reservoir.receive(filled(40_000), FULL);
  assert.is(reservoir.servableUnits, 32_000 * 8192);
  await drain(30_000);
  assert.is(reservoir.servableUnits, 2000 * 8192);
  await drain(2000);
  assert.is(reservoir.servableUnits, 0);
  await drain(8000);
  await reservoir.receive(filled(1000), FULL);
  assert.is(reservoir.servableUnits, 800 * 8192);
});

test('tells how long the rest lasts at the present draw, and warns below 24 hours and 1 hour', async () => {
  const { reservoir, clock, events, draw } = newReservoir();
  await reservoir.start();
  await reservoir.receive(filled(64 * KIB), FULL);
  assert.is(reservoir.report().runwaySeconds, null);
  // 40 bytes a second, 320 bits: 64 KiB last 27 minutes.
  for (let second = 0; second < 120; second++) {
    await clock.advance(1000);
    draw(40);
  }
  const { drawBitsPerSecond, runwaySeconds, creditedBits } = reservoir.report();
  assert.ok(Math.abs(drawBitsPerSecond - 320) < 5, `${drawBitsPerSecond} bits a second`);
  assert.is(creditedBits, (64 * KIB - 4800) * 8);
  assert.ok(Math.abs((runwaySeconds ?? 0) - creditedBits / 320) < 30, `${runwaySeconds ?? 'no'} seconds`);
  const warned = events.since(0).records.filter(({ id }) => id === 'entropy.runway.short');
  assert.equal(
    warned.map(({ detail }) => detail),
    [{ hours: 24 }, { hours: 1 }],
  );
});

test.run();
