import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { isAllZero } from '../../src/base/bytes.ts';
import { Counters } from '../../src/base/counters.ts';
import { EventBus } from '../../src/base/events.ts';
import type { Origin } from '../../src/cache/origin.ts';
import { Reservoir, storageReserveBytes, type Drawn } from '../../src/cache/reservoir.ts';
import { FakeClock, settle } from '../fakes/fake-clock.ts';
import { rejectsWith } from '../rejects.ts';
import { FakeSegmentStore } from './segment-store-fake.ts';

const KIB = 1024;
const FULL: Origin = { feeder: 1, rateUnits: 8192 };
const DRBG: Origin = { feeder: 2, rateUnits: 32 };

/** Memory 64 KiB with the watermark at 20 %, 13,108 bytes: at most 2 opened segments; storage 256 KiB. */
function newReservoir(store = new FakeSegmentStore(256 * KIB), lowWatermarkPercent = 20) {
  const clock = new FakeClock();
  const counters = new Counters();
  const events = new EventBus({ capacity: 1000 }, { clock, counters });
  let memory: Uint8Array = new Uint8Array(0);
  const lock = (given: Uint8Array): boolean => {
    memory = given;
    return true;
  };
  const options = { memoryBytes: 64 * KIB, lowWatermarkPercent };
  const reservoir = new Reservoir(options, { lock, storage: store, clock, events, counters });
  let sequence = 0;
  /** Ids of the events since the last call. */
  const told = (): string[] => {
    const { records } = events.since(sequence);
    sequence = records.at(-1)?.sequence ?? sequence;
    return records.map(({ id }) => id);
  };
  const draw = (bytes: number): Drawn => reservoir.take(new Uint8Array(bytes));
  /** Draws so many bytes in all, waiting for refills. */
  const drain = async (bytes: number): Promise<void> => {
    for (let left = bytes; left > 0;) {
      const taken = draw(Math.min(left, 1024)).bytes;
      left -= taken;
      if (taken === 0) await settle();
      if (taken === 0 && reservoir.nextRateUnits === 0) throw new Error(`${left} bytes short`);
    }
    await settle();
  };
  return { reservoir, store, clock, counters, events, told, draw, drain, memory: () => memory };
}

const filled = (length: number, value = 7): Uint8Array => new Uint8Array(length).fill(value);

test('what arrives goes to memory while there is room, the next to storage, the rest is not taken', async () => {
  const { reservoir, store } = newReservoir(new FakeSegmentStore(20 * KIB));
  await reservoir.start();
  assert.is(reservoir.roomBytes, 84 * KIB);
  assert.equal(await reservoir.receive(filled(60 * KIB), FULL), { memoryBytes: 60 * KIB, storedBytes: 0 });
  assert.equal(await reservoir.receive(filled(10 * KIB), FULL), {
    memoryBytes: 4 * KIB,
    storedBytes: 6 * KIB,
  });
  assert.equal(await reservoir.receive(filled(20 * KIB), FULL), { memoryBytes: 0, storedBytes: 14 * KIB });
  assert.equal(await reservoir.receive(filled(32), FULL), { memoryBytes: 0, storedBytes: 0 });
  assert.equal([reservoir.bytes, reservoir.roomBytes, store.bytes], [84 * KIB, 0, 20 * KIB]);
  assert.is(reservoir.creditedUnits, 84 * KIB * 8192);
});

test('the memory part is there, and may be drawn, before receive has resolved', async () => {
  const { reservoir, draw, clock } = newReservoir();
  await reservoir.start();
  await clock.advance(1234);
  const pending = reservoir.receive(filled(100), DRBG);
  assert.is(reservoir.nextReceivedMs, 1234);
  assert.equal(draw(64), { bytes: 64, rateUnits: 32, receivedMs: 1234 });
  await pending;
});

test('starts from what was stored: memory is lifted just above the watermark, and nothing is told of it', async () => {
  const { reservoir, store, told } = newReservoir(new FakeSegmentStore(256 * KIB).fill(100 * KIB, FULL));
  assert.is(reservoir.level, 'exhausted');
  await reservoir.start();
  assert.is(reservoir.report().memoryBytes, 16 * KIB);
  assert.is(store.bytes, 84 * KIB);
  assert.is(reservoir.level, 'normal');
  assert.equal(told(), []);
  assert.is(reservoir.nextReceivedMs, undefined, 'nobody knows when it came');
});

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

test('never are more opened segments in memory than the watermark calls for, even when they are nearly empty', async () => {
  // Segments of 1 KiB; 20 % of 64 KiB allow ceil(13,108 / 16,384) + 1 = 2 of them.
  const { reservoir, store, told, draw } = newReservoir(
    new FakeSegmentStore(256 * KIB, KIB).fill(30 * KIB, FULL),
  );
  await reservoir.start();
  for (let drawn = 0; drawn < 28; drawn++) {
    const openedBytes = 30 * KIB - store.bytes - drawn * KIB;
    assert.is(openedBytes, 2 * KIB, `after ${drawn} KiB`);
    assert.is(draw(KIB).bytes, KIB);
    await settle();
  }
  assert.equal([reservoir.level, told()], ['below-watermark', ['entropy.watermark.below']]);
});

test('frames take no room that a segment on its way needs', async () => {
  const { reservoir, store, draw } = newReservoir(new FakeSegmentStore(256 * KIB).fill(32 * KIB, FULL));
  await reservoir.start();
  store.hold();
  draw(10 * KIB);
  assert.ok(reservoir.refilling);
  const received = await reservoir.receive(filled(64 * KIB), DRBG);
  assert.is(received.memoryBytes, 64 * KIB - 6 * KIB - 16 * KIB);
  store.letGo?.();
  await settle();
  assert.is(reservoir.report().memoryBytes, 64 * KIB);
  assert.is(reservoir.bytes, 22 * KIB + 64 * KIB, 'nothing was lost');
});

test('of an opened segment of many origins, what finds no chunk is held until it does; none is lost', async () => {
  const store = new FakeSegmentStore(256 * KIB);
  store.segments.push(
    Array.from({ length: 600 }, (_, i) => ({
      origin: { feeder: 1 + (i % 2), rateUnits: 8192 },
      bytes: filled(20),
    })),
  );
  const { reservoir, draw } = newReservoir(store);
  await reservoir.start();
  assert.is(reservoir.bytes, 12_000);
  assert.is(reservoir.report().memoryBytes, 12_000);
  let drawn = 0;
  for (let taken; (taken = draw(64).bytes) > 0;) {
    drawn += taken;
    assert.is(reservoir.bytes, 12_000 - drawn);
  }
  assert.is(drawn, 12_000);
});

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

test('a revoked feeder: its bytes are destroyed in memory, in storage, and on their way between', async () => {
  const store = new FakeSegmentStore(256 * KIB).fill(16 * KIB, DRBG).fill(16 * KIB, FULL);
  const { reservoir, draw, counters } = newReservoir(store);
  store.hold();
  const started = reservoir.start();
  await reservoir.receive(filled(1000), DRBG);
  await reservoir.receive(filled(500), FULL);
  reservoir.voidFeeder(DRBG.feeder);
  store.letGo?.();
  await started;
  await settle();
  assert.equal(store.voided, [DRBG.feeder]);
  assert.is(counters.value('cache.bytes.destroyed'), 1000);
  let drawn = 0;
  for (let taken; (taken = draw(4096)).bytes > 0; drawn += taken.bytes) assert.is(taken.rateUnits, 8192);
  assert.is(drawn, 16 * KIB + 500);
});

test('the orderly stop: draws and feeds end, memory goes to storage with its credit, and is zero', async () => {
  const { reservoir, store, draw, memory } = newReservoir(
    new FakeSegmentStore(256 * KIB).fill(20 * KIB, FULL),
  );
  await reservoir.start();
  await reservoir.receive(filled(5000), DRBG);
  const credit = reservoir.creditedUnits;
  await reservoir.stop();
  assert.equal([store.bytes, store.creditedUnits], [20 * KIB + 5000, credit]);
  assert.ok(isAllZero(memory()));
  assert.equal([draw(10).bytes, reservoir.nextRateUnits, reservoir.roomBytes], [0, 0, 0]);
  assert.equal(await reservoir.receive(filled(32), FULL), { memoryBytes: 0, storedBytes: 0 });
});

test('a stop while a segment is on its way waits for it and stores it again', async () => {
  const { reservoir, store, draw, clock } = newReservoir(
    new FakeSegmentStore(256 * KIB).fill(40 * KIB, FULL),
  );
  await reservoir.start();
  store.hold();
  draw(10 * KIB);
  const stopped = reservoir.stop();
  store.letGo?.();
  await stopped;
  assert.equal([store.bytes, clock.pendingTimers], [30 * KIB, 0]);
});

test('a second stop waits for the first; the storage is closed once, behind all', async () => {
  const { reservoir, store } = newReservoir();
  await reservoir.start();
  await reservoir.receive(filled(5000), FULL);
  const first = reservoir.stop();
  await reservoir.stop();
  assert.equal([store.bytes, store.closed], [5000, 1]);
  await first;
  assert.is(store.closed, 1);
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

test('another size: what fits stays in memory, what does not goes to storage, the rest is destroyed and counted', async () => {
  const { reservoir, store, counters, told } = newReservoir(new FakeSegmentStore(50 * KIB));
  await reservoir.start();
  await reservoir.receive(filled(100 * KIB), FULL);
  const sizes = { memoryBytes: 32 * KIB, lowWatermarkPercent: 30, storageBytes: 60 * KIB };
  (await reservoir.prepareSizes(sizes)).abort();
  assert.is(reservoir.report().memorySizeBytes, 64 * KIB);
  told();
  (await reservoir.prepareSizes(sizes)).commit();
  await settle();
  assert.equal(told(), ['cache.resized']);
  const report = reservoir.report();
  assert.equal(
    [report.memoryBytes, report.memorySizeBytes, report.lowWatermarkBytes],
    [32 * KIB, 32 * KIB, 9831],
  );
  assert.equal([store.bytes, report.storageSizeBytes], [60 * KIB, 60 * KIB]);
  assert.is(counters.value('cache.bytes.destroyed'), 100 * KIB - 92 * KIB);
});

test('a size that is committed while a segment is on its way waits for it, and nothing is lost', async () => {
  const store = new FakeSegmentStore(256 * KIB).fill(64 * KIB, FULL);
  const { reservoir, draw, told } = newReservoir(store);
  await reservoir.start();
  store.hold();
  draw(10 * KIB);
  const before = reservoir.bytes + 16 * KIB; // with the segment that is on its way
  const sizes = { memoryBytes: 8 * KIB, lowWatermarkPercent: 50, storageBytes: 256 * KIB };
  (await reservoir.prepareSizes(sizes)).commit();
  assert.is(reservoir.report().memorySizeBytes, 64 * KIB);
  store.letGo?.();
  await settle();
  assert.is(reservoir.report().memorySizeBytes, 8 * KIB);
  assert.is(reservoir.bytes, before);
  assert.equal(told(), ['cache.resized']);
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

test('the reserve for the stop: memory, the record of each of its chunks of 256 bytes and of one more, a segment', () => {
  assert.is(storageReserveBytes(512 * KIB), 512 * KIB + 2049 * 25 + 16 * KIB);
});

test('memory takes no more than the next orderly stop could store', async () => {
  const store = new FakeSegmentStore(0);
  const { reservoir } = newReservoir(store);
  await reservoir.start();
  store.stopRoom = 1000;
  // Each portion costs 25 bytes more.
  assert.is(reservoir.roomBytes, 975);
  await reservoir.receive(filled(100), FULL);
  await reservoir.receive(filled(100), DRBG);
  assert.is(reservoir.roomBytes, 1000 - 200 - 3 * 25);
});

test('a size for which the disk has no space changes nothing', async () => {
  const { reservoir, store } = newReservoir();
  await reservoir.start();
  store.refusing = 'writes';
  const sizes = { memoryBytes: 128 * KIB, lowWatermarkPercent: 20, storageBytes: KIB * KIB };
  await rejectsWith(reservoir.prepareSizes(sizes), 'state-unwritable');
  assert.is(reservoir.report().memorySizeBytes, 64 * KIB);
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
