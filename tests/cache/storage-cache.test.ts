import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Counters } from '../../src/base/counters.ts';
import { DEFAULT_GEOMETRY } from '../../src/cache/storage-layout.ts';
import { NodeFiles } from '../../src/durable/node-files.ts';
import { SimulatedFiles } from '../durable/simulated-files.ts';
import { isA, rejectsWith } from '../rejects.ts';
import {
  bytesOf,
  contentsOf,
  EventLog,
  FULL_BYTES,
  openStorage,
  ORIGIN,
  SURE_BYTES,
  tagged,
  takeAll,
} from './storage-fixture.ts';

const OTHER = { feeder: 2, rateUnits: 512 };

test('gives back what was stored, oldest segment first, with its origin', async () => {
  const cache = await openStorage(new SimulatedFiles());
  await cache.append(tagged(1, FULL_BYTES), ORIGIN);
  await cache.append(tagged(2, 100), OTHER);
  await cache.append(tagged(3, 100), ORIGIN);
  assert.is(cache.bytes, FULL_BYTES + 200);
  assert.is(cache.creditedUnits, (FULL_BYTES + 100) * ORIGIN.rateUnits + 100 * OTHER.rateUnits);
  assert.equal(await cache.takeSegment(), [{ origin: ORIGIN, bytes: tagged(1, FULL_BYTES) }]);
  assert.equal(await cache.takeSegment(), [
    { origin: OTHER, bytes: tagged(2, 100) },
    { origin: ORIGIN, bytes: tagged(3, 100) },
  ]);
  assert.is(await cache.takeSegment(), undefined);
  assert.equal([cache.bytes, cache.creditedUnits], [0, 0]);
});

test('credit survives a restart, and nothing is written on the way; what was left partly filled comes first, then the oldest', async () => {
  const files = new SimulatedFiles();
  const first = await openStorage(files);
  await first.append(tagged(1, 2 * FULL_BYTES), ORIGIN);
  await first.append(tagged(2, 10), OTHER);
  const { creditedUnits } = first;
  await first.close();
  const before = await contentsOf(files);
  const second = await openStorage(files);
  assert.equal([second.bytes, second.creditedUnits], [2 * FULL_BYTES + 10, creditedUnits]);
  assert.equal(await contentsOf(files), before);
  assert.equal(bytesOf(await takeAll(second)), Buffer.concat([tagged(2, 10), tagged(1, 2 * FULL_BYTES)]));
  assert.is((await openStorage(files)).bytes, 0);
});

test('one append is one write and one sync; appends that wait share the sync', async () => {
  const files = new SimulatedFiles();
  const cache = await openStorage(files);
  await cache.append(tagged(0, 10), ORIGIN); // the first one of a page makes its keys anew
  const before = files.syncs;
  await cache.append(tagged(1, 10), ORIGIN);
  assert.is(files.syncs, before + 1);
  await Promise.all([2, 3, 4, 5].map((tag) => cache.append(tagged(tag, 10), ORIGIN)));
  assert.is(files.syncs, before + 2);
});

test('filling writes no key page once its keys were made; taking writes each page twice, for all its segments', async () => {
  const files = new SimulatedFiles();
  const cache = await openStorage(files);
  await cache.append(tagged(0, 4 * SURE_BYTES), ORIGIN);
  const writesTo = (path: string): number =>
    files.operations.filter(({ label }) => label.startsWith(`write ${path} `)).length;
  const keyWrites = writesTo('cache/keys');
  const taken = await Promise.all([cache.takeSegment(), cache.takeSegment()]);
  assert.is(bytesOf(taken.flatMap((portions) => portions ?? [])).length, 2 * FULL_BYTES);
  assert.is(writesTo('cache/keys'), keyWrites + 2);
  await cache.append(tagged(1, 2 * SURE_BYTES - 100), ORIGIN);
  assert.is(writesTo('cache/keys'), keyWrites + 2);
});

test('an append is split where segments end, and no tail is wasted', async () => {
  const cache = await openStorage(new SimulatedFiles());
  await cache.append(tagged(1, 400), ORIGIN);
  await cache.append(tagged(2, 500), ORIGIN);
  const first = await cache.takeSegment();
  assert.equal(
    first?.map(({ bytes }) => bytes.length),
    [400, FULL_BYTES - 400 - 25],
  );
  assert.is(bytesOf(await cache.takeSegment()).length, 500 - 46);
});

test('room: what is told always fits, what waits counts, and one byte more is refused', async () => {
  const cache = await openStorage(new SimulatedFiles());
  assert.is(cache.roomBytes, 4 * SURE_BYTES);
  const waiting = cache.append(tagged(1, SURE_BYTES), ORIGIN);
  const room = cache.roomBytes;
  assert.ok(room <= 3 * SURE_BYTES && room > 0);
  assert.throws(() => cache.append(tagged(2, 4 * SURE_BYTES), ORIGIN), isA(RangeError));
  await Promise.all([waiting, cache.append(tagged(2, room), ORIGIN)]);
  while (cache.roomBytes > 0) await cache.append(tagged(3, cache.roomBytes), ORIGIN);
  assert.throws(() => cache.append(tagged(4, SURE_BYTES), ORIGIN), isA(RangeError));
  await cache.takeSegment();
  assert.ok(cache.roomBytes >= SURE_BYTES - 100);
});

test('the whole capacity is there for frames of 2 KiB and more, in segments of 16 KiB', async () => {
  const capacityBytes = 256 * 1024;
  for (const frameBytes of [2048, 4096, 5000, 65_536]) {
    const options = { geometry: DEFAULT_GEOMETRY, capacityBytes, reserveBytes: 0 };
    const cache = await openStorage(new SimulatedFiles(), options);
    let stored = 0;
    for (; cache.roomBytes > 0; stored += Math.min(frameBytes, cache.roomBytes)) {
      const before = cache.roomBytes;
      const length = Math.min(frameBytes, before);
      await cache.append(Buffer.alloc(length, 1), ORIGIN);
      stored += length - Math.min(frameBytes, cache.roomBytes);
      if (cache.roomBytes === 0) break;
    }
    assert.is(cache.bytes, capacityBytes);
  }
});

test('the orderly stop joins neighbours of one origin, and may use the reserve', async () => {
  const files = new SimulatedFiles();
  const cache = await openStorage(files, { segments: 2, reserveSegments: 2 });
  await cache.append(tagged(1, 2 * SURE_BYTES), ORIGIN);
  assert.is(cache.roomBytes, 0);
  const portions = [
    { origin: ORIGIN, bytes: tagged(2, 30) },
    { origin: ORIGIN, bytes: tagged(3, 30) },
    { origin: OTHER, bytes: tagged(4, 100) },
  ];
  assert.is(await cache.store(portions), 160);
  await cache.close();
  const again = await openStorage(files, { segments: 2, reserveSegments: 2 });
  assert.equal([again.bytes, again.roomBytes], [2 * SURE_BYTES + 160, 0]);
  const [last, ...first] = [await again.takeSegment(), ...(await takeAll(again))];
  const expected = [tagged(1, 2 * SURE_BYTES), tagged(2, 30), tagged(3, 30), tagged(4, 100)];
  assert.equal(bytesOf([...first, ...(last ?? [])]), Buffer.concat(expected));
  assert.is(
    first.length + (last?.length ?? 0),
    4,
    'two records of the append, split, and one for each origin',
  );
});

test('the orderly stop tells how much of what it was given found room', async () => {
  const cache = await openStorage(new SimulatedFiles(), { segments: 1, reserveSegments: 1 });
  assert.is(await cache.store([{ origin: ORIGIN, bytes: tagged(1, 3 * SURE_BYTES) }]), 2 * SURE_BYTES);
  assert.is(cache.bytes, 2 * SURE_BYTES);
});

test('a reserve that an orderly stop filled outlives every change that does not shrink the whole', async () => {
  const files = new SimulatedFiles();
  const sizes = { segments: 2, reserveSegments: 2 };
  const first = await openStorage(files, sizes);
  await first.append(tagged(1, 2 * SURE_BYTES), ORIGIN);
  await first.store([{ origin: ORIGIN, bytes: tagged(2, 2 * SURE_BYTES) }]);
  await first.close();
  const cache = await openStorage(files, sizes);
  for (const capacityBytes of [2 * SURE_BYTES, 3 * SURE_BYTES]) {
    (await cache.prepareSize({ capacityBytes, reserveBytes: 4 * SURE_BYTES - capacityBytes })).commit();
    assert.is(cache.bytes, 4 * SURE_BYTES);
  }
  assert.is(bytesOf(await takeAll(cache)).length, 4 * SURE_BYTES);
});

test('what feeders stored that are not enrolled any more is not given out', async () => {
  const files = new SimulatedFiles();
  const first = await openStorage(files);
  await first.append(tagged(1, FULL_BYTES), OTHER);
  await first.append(tagged(2, 50), OTHER);
  await first.append(tagged(3, 50), ORIGIN);
  await first.close();
  const counters = new Counters();
  const cache = await openStorage(files, { feeders: new Set([ORIGIN.feeder]), counters });
  assert.equal([cache.bytes, counters.value('cache.bytes.destroyed')], [50, FULL_BYTES + 50]);
  assert.equal(bytesOf(await takeAll(cache)), tagged(3, 50));
});

test('a voided feeder is not given out any more, wherever its bytes are', async () => {
  const files = new SimulatedFiles();
  const counters = new Counters();
  const cache = await openStorage(files, { counters });
  await cache.append(tagged(1, FULL_BYTES), OTHER); // alone in its segment
  await cache.append(tagged(2, 100), OTHER);
  await cache.append(tagged(3, 346), ORIGIN); // fills that segment
  await cache.append(tagged(4, 50), OTHER); // in the one being filled
  const waiting = cache.append(tagged(5, 50), OTHER);
  cache.voidFeeder(OTHER.feeder);
  await waiting;
  await cache.append(tagged(6, 50), ORIGIN);
  assert.equal([cache.bytes, cache.creditedUnits], [396, 396 * ORIGIN.rateUnits]);
  assert.is(counters.value('cache.bytes.destroyed'), FULL_BYTES + 150);
  assert.equal(bytesOf(await takeAll(cache)), Buffer.concat([tagged(3, 346), tagged(6, 50)]));
  assert.is(cache.bytes, 0);
});

test('a segment of a voided feeder alone loses its key at once, so a restart does not bring it back', async () => {
  const files = new SimulatedFiles();
  const cache = await openStorage(files);
  await cache.append(tagged(1, FULL_BYTES), OTHER);
  await cache.append(tagged(2, 10), ORIGIN);
  cache.voidFeeder(OTHER.feeder);
  await cache.close();
  const events = new EventLog();
  assert.is((await openStorage(files, { events })).bytes, 10);
  assert.equal(events.ids, []);
});

test('a key page that is rewritten leaves the segment being filled its key', async () => {
  const cache = await openStorage(new SimulatedFiles());
  await cache.append(tagged(1, FULL_BYTES), OTHER);
  await cache.append(tagged(2, 100), ORIGIN);
  await cache.takeSegment();
  await cache.append(tagged(3, 100), ORIGIN);
  assert.equal(bytesOf(await cache.takeSegment()), Buffer.concat([tagged(2, 100), tagged(3, 100)]));
});

test('grows and shrinks: more room, then only what fits, the oldest of it', async () => {
  const files = new SimulatedFiles();
  const counters = new Counters();
  const cache = await openStorage(files, { segments: 2, counters });
  const before = await contentsOf(files);
  const larger = await cache.prepareSize({ capacityBytes: 6 * SURE_BYTES, reserveBytes: 0 });
  assert.is(cache.roomBytes, 2 * SURE_BYTES, 'not before it is committed');
  larger.commit();
  assert.is(cache.roomBytes, 6 * SURE_BYTES);
  for (let tag = 1; tag <= 5; tag++) await cache.append(tagged(tag, FULL_BYTES), ORIGIN);
  await cache.append(tagged(6, 100), ORIGIN);
  (await cache.prepareSize({ capacityBytes: 3 * SURE_BYTES, reserveBytes: 0 })).commit();
  assert.is(cache.bytes, 2 * FULL_BYTES + 100, 'the segment being filled is one of three');
  assert.is(counters.value('cache.bytes.destroyed'), 3 * FULL_BYTES);
  const kept = Buffer.concat([tagged(1, FULL_BYTES), tagged(2, FULL_BYTES), tagged(6, 100)]);
  assert.equal(bytesOf(await takeAll(cache)), kept);
  (await cache.prepareSize({ capacityBytes: 2 * SURE_BYTES, reserveBytes: 0 })).commit();
  await cache.close();
  const after = await contentsOf(files);
  assert.is(after.segments.length, before.segments.length, 'the disk has its space back');
  assert.is(after.keys.length, before.keys.length);
});

test('a change of size that is not wanted after all leaves everything as it was', async () => {
  const files = new SimulatedFiles();
  const cache = await openStorage(files, { segments: 2 });
  await cache.append(tagged(1, 100), ORIGIN);
  const { capacityBytes, roomBytes } = cache;
  const sizeBytes = (await contentsOf(files)).segments.length;
  (await cache.prepareSize({ capacityBytes: 9 * SURE_BYTES, reserveBytes: 0 })).abort();
  assert.equal([cache.capacityBytes, cache.roomBytes], [capacityBytes, roomBytes]);
  await cache.close();
  assert.is((await contentsOf(files)).segments.length, sizeBytes);
});

test('opened with other sizes than it was closed with, it takes them on', async () => {
  const files = new SimulatedFiles();
  const cache = await openStorage(files, { segments: 6 });
  for (let tag = 1; tag <= 6; tag++) await cache.append(tagged(tag, SURE_BYTES), ORIGIN);
  await cache.close();
  const smaller = await openStorage(files, { segments: 2, reserveSegments: 1 });
  assert.ok(smaller.bytes <= 3 * FULL_BYTES && smaller.bytes > 2 * SURE_BYTES);
  await smaller.close();
  const larger = await openStorage(files, { segments: 12 });
  assert.is(larger.bytes, smaller.bytes);
  assert.ok(larger.roomBytes >= 8 * SURE_BYTES);
});

test('refuses what is no origin, no key and no size', async () => {
  const cache = await openStorage(new SimulatedFiles());
  for (const feeder of [0, 1.5, 2 ** 32]) {
    assert.throws(() => cache.append(tagged(1, 1), { ...ORIGIN, feeder }), isA(RangeError));
  }
  for (const rateUnits of [0, 0.5, 8193]) {
    assert.throws(() => cache.append(tagged(1, 1), { ...ORIGIN, rateUnits }), isA(RangeError));
  }
  assert.throws(() => cache.append(Buffer.alloc(0), ORIGIN), isA(RangeError));
  const refused = async (options: object): Promise<void> => {
    const error = await openStorage(new SimulatedFiles(), options).catch((reason: unknown) => reason);
    assert.instance(error, RangeError);
  };
  await refused({ keys: [Buffer.alloc(31)] });
  await refused({ capacityBytes: 0 });
  await refused({ reserveBytes: -1 });
  await refused({ capacityBytes: 2 ** 40 });
});

test('closed: nothing is stored or given any more', async () => {
  const cache = await openStorage(new SimulatedFiles());
  await cache.append(tagged(1, 10), ORIGIN);
  await Promise.all([cache.close(), cache.close()]);
  await rejectsWith(cache.append(tagged(2, 10), ORIGIN), 'state-unwritable');
  assert.is(await cache.takeSegment(), undefined);
  assert.is(await cache.probe(), false);
});

test('on a real file system, at full size: portions are buffers of their own', async () => {
  const root = await mkdtemp(path.join(tmpdir(), 'storage-cache-'));
  try {
    const files = await NodeFiles.open({ root });
    const options = { geometry: DEFAULT_GEOMETRY, capacityBytes: 1 << 20, reserveBytes: 1 << 18 };
    const cache = await openStorage(files, options);
    await Promise.all(Array.from({ length: 20 }, (_, tag) => cache.append(tagged(tag, 4096), ORIGIN)));
    await cache.close();
    const again = await openStorage(files, options);
    const partial = (await again.takeSegment()) ?? [];
    const portions = [...(await takeAll(again)), ...partial];
    const expected = Array.from({ length: 20 }, (_, tag) => tagged(tag, 4096));
    assert.equal(bytesOf(portions), Buffer.concat(expected));
    assert.ok(portions.every(({ bytes }) => bytes.byteLength === bytes.buffer.byteLength));
    await again.close();
  } finally {
    await rm(root, { recursive: true });
  }
});

test.run();
