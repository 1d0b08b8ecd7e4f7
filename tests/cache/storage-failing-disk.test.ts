import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Counters } from '../../src/base/counters.ts';
import type { StorageCache } from '../../src/cache/storage-cache.ts';
import { DEFAULT_GEOMETRY } from '../../src/cache/storage-layout.ts';
import { failing, SimulatedFiles } from '../durable/simulated-files.ts';
import { rejectsWith } from '../rejects.ts';
import {
  bytesOf,
  EventLog,
  FULL_BYTES,
  openStorage,
  ORIGIN,
  SURE_BYTES,
  tagged,
  takeAll,
} from './storage-fixture.ts';

interface Setup {
  readonly files: SimulatedFiles;
  readonly cache: StorageCache;
  readonly events: EventLog;
  readonly counters: Counters;
}

/** A cache with 100 bytes of tag 1 in the segment being filled. */
async function withSomething(): Promise<Setup> {
  const files = new SimulatedFiles();
  const [events, counters] = [new EventLog(), new Counters()];
  const cache = await openStorage(files, { events, counters });
  await cache.append(tagged(1, 100), ORIGIN);
  return { files, cache, events, counters };
}

test('a first write that fails into a spent segment leaves no header that looks like damage', async () => {
  const { files, cache } = await withSomething();
  await cache.append(tagged(2, FULL_BYTES), ORIGIN);
  for (let spent = 0; spent < 2; spent++) await cache.takeSegment();
  files.fault = failing('write', 'cache/segments');
  await rejectsWith(cache.append(tagged(3, cache.roomBytes), ORIGIN), 'state-unwritable');
  files.fault = undefined;
  assert.ok(await cache.probe());
  await cache.close();
  const { damagedSegments, damagedPages, cutSegments } = (await openStorage(files)).found;
  assert.equal([damagedSegments, damagedPages, cutSegments], [0, 0, 0]);
});

for (const operation of ['write', 'sync']) {
  test(`an append whose ${operation} fails counts for nothing; the disk heals, and it goes on elsewhere`, async () => {
    const { files, cache, events, counters } = await withSomething();
    files.fault = failing(operation, 'cache/segments');
    const both = [cache.append(tagged(2, 100), ORIGIN), cache.append(tagged(3, FULL_BYTES), ORIGIN)];
    for (const append of both) await rejectsWith(append, 'state-unwritable');
    assert.is(cache.failure?.code, 'state-unwritable');
    assert.equal([cache.bytes, cache.roomBytes], [100, 0]);
    await rejectsWith(cache.append(tagged(4, 10), ORIGIN), 'state-unwritable');
    assert.is(await cache.probe(), false);
    assert.equal(events.ids, ['cache.storage.failed'], 'told once');
    assert.ok(counters.value('cache.storage.failures') >= 1);
    files.fault = undefined;
    assert.is(await cache.probe(), true);
    assert.is(await cache.probe(), true);
    assert.equal(events.ids, ['cache.storage.failed', 'cache.storage.healed']);
    assert.is(cache.failure, undefined);
    await cache.append(tagged(5, 50), ORIGIN);
    const again = await openStorage(files);
    assert.is(again.found.cutSegments, 0, 'what the failed append left was overwritten');
    assert.equal(bytesOf(await takeAll(again)), Buffer.concat([tagged(1, 100), tagged(5, 50)]));
  });

  test(`a spending whose ${operation} fails gives nothing and keeps the bytes, at each of its steps`, async () => {
    for (let step = 0; step < 2; step++) {
      const { files, cache, events } = await withSomething();
      let seen = 0;
      files.fault = (asked, path) => {
        const isNext = asked === operation && path === 'cache/keys' && seen++ >= step;
        return isNext ? failing(operation)(asked, path) : undefined;
      };
      await rejectsWith(cache.takeSegment(), 'state-unwritable');
      assert.equal([cache.bytes, cache.roomBytes], [100, 0]);
      assert.equal(events.ids, ['cache.storage.failed']);
      files.fault = undefined;
      assert.equal(
        bytesOf(await cache.takeSegment()),
        tagged(1, 100),
        'stored bytes are there without a probe',
      );
      assert.is(await cache.takeSegment(), undefined);
      assert.is(await cache.probe(), true);
      assert.is((await openStorage(files)).bytes, 0);
    }
  });
}

test('a failing segments file does not keep stored bytes from being used', async () => {
  const { files, cache } = await withSomething();
  files.fault = failing('write', 'cache/segments');
  await rejectsWith(cache.append(tagged(2, 10), ORIGIN), 'state-unwritable');
  assert.equal(bytesOf(await cache.takeSegment()), tagged(1, 100));
});

test('no disk at the start: it opens empty, says so, and makes its files when the disk is back', async () => {
  for (const operation of ['create', 'write', 'sync', 'makeDirectory', 'rename', 'list']) {
    const files = new SimulatedFiles();
    const events = new EventLog();
    files.fault = failing(operation);
    const cache = await openStorage(files, { events });
    assert.equal([cache.bytes, cache.roomBytes], [0, 0], operation);
    assert.equal(events.ids, ['cache.storage.failed']);
    await rejectsWith(cache.append(tagged(1, 10), ORIGIN), 'state-unwritable');
    assert.is(await cache.takeSegment(), undefined);
    assert.is(await cache.probe(), false);
    files.fault = undefined;
    assert.is(await cache.probe(), true);
    await cache.append(tagged(1, 10), ORIGIN);
    assert.is((await openStorage(files)).bytes, 10);
  }
});

test('no space to grow: the size stays, and what there is goes on', async () => {
  const { files, cache, events } = await withSomething();
  const before = cache.roomBytes;
  files.fault = failing('write');
  await rejectsWith(
    cache.prepareSize({ capacityBytes: 99 * SURE_BYTES, reserveBytes: 0 }),
    'state-unwritable',
  );
  files.fault = undefined;
  assert.equal([cache.failure, cache.roomBytes, events.ids], [undefined, before, []]);
  await cache.append(tagged(2, 10), ORIGIN);
});

test('a voided segment whose key cannot be destroyed now is destroyed when the disk heals', async () => {
  const { files, cache } = await withSomething();
  await cache.append(tagged(2, FULL_BYTES), ORIGIN);
  await cache.append(tagged(3, 10), { ...ORIGIN, feeder: 2 });
  files.fault = failing('write', 'cache/keys');
  cache.voidFeeder(ORIGIN.feeder);
  assert.is(cache.bytes, 10);
  assert.is(await cache.probe(), false);
  files.fault = undefined;
  assert.is(await cache.probe(), true);
  assert.is(cache.bytes, 10);
});

test('no disk at the start, and feeders revoked meanwhile: what they stored stays unused when the disk is back', async () => {
  const files = new SimulatedFiles();
  const first = await openStorage(files);
  await first.append(tagged(1, 100), { ...ORIGIN, feeder: 2 });
  await first.append(tagged(2, 100), ORIGIN);
  await first.close();
  files.fault = failing('list');
  const cache = await openStorage(files, { feeders: new Set([ORIGIN.feeder]) });
  files.fault = undefined;
  assert.is(await cache.probe(), true);
  assert.is(cache.bytes, 100);
  assert.equal(bytesOf(await takeAll(cache)), tagged(2, 100));
});

test('an orderly stop of which the disk refuses a part tells what is durable', async () => {
  const files = new SimulatedFiles();
  const cache = await openStorage(files, { geometry: DEFAULT_GEOMETRY, capacityBytes: 1 << 20 });
  let syncs = 0;
  files.fault = (asked, path) =>
    asked === 'sync' && path === 'cache/segments' && syncs++ === 1 ? failing('sync')(asked, path) : undefined;
  const portions = [1, 2].map((feeder) => ({
    origin: { ...ORIGIN, feeder },
    bytes: tagged(feeder, 200_000), // each is a batch of its own
  }));
  assert.is(await cache.store(portions), 200_000);
  assert.is(cache.bytes, 200_000);
});

test.run();
