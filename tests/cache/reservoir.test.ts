import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { isAllZero } from '../../src/base/bytes.ts';
import { storageReserveBytes } from '../../src/cache/reservoir.ts';
import { settle } from '../fakes/fake-clock.ts';
import { DRBG, filled, FULL, KIB, newReservoir } from './reservoir-fixture.ts';
import { FakeSegmentStore } from './segment-store-fake.ts';

/** Where bytes go: to memory, to storage, back as segments, and to storage again at the orderly stop; none twice, none lost. */

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

test('a stop amid a refill of several segments opens none but the one on its way', async () => {
  const { reservoir, store, draw } = newReservoir(new FakeSegmentStore(256 * KIB, KIB).fill(30 * KIB, FULL));
  await reservoir.start();
  store.hold();
  draw(2 * KIB);
  assert.is(store.taken, 3, 'memory wants two segments, and the first is on its way');
  const stopped = reservoir.stop();
  store.letGo?.();
  await stopped;
  assert.equal([store.taken, store.bytes], [3, 28 * KIB]);
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

test.run();
