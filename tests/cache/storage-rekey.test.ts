import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { rewrapAtRest } from '../../src/cache/rewrap-at-rest.ts';
import { failing, SimulatedFiles } from '../durable/simulated-files.ts';
import { seededSource } from '../fakes/seeded-stream.ts';
import { rejectsWith } from '../rejects.ts';
import {
  bytesOf,
  contentsOf,
  EventLog,
  filesWith,
  FULL_BYTES,
  HEADER_KEY,
  openStorage,
  ORIGIN,
  pageOffset,
  SMALL,
  tagged,
  takeAll,
} from './storage-fixture.ts';

const [OLD, NEW, NEXT] = ['o', 'n', 'x'].map((letter) => Buffer.alloc(32, letter)) as [
  Buffer,
  Buffer,
  Buffer,
];
const SIZE = { capacityBytes: 4 * FULL_BYTES };

/** A cache under OLD with segments of the tags 1 to 4. */
async function filled(files: SimulatedFiles) {
  const cache = await openStorage(files, { ...SIZE, keys: [OLD] });
  for (const tag of [1, 2, 3, 4]) await cache.append(tagged(tag, FULL_BYTES), ORIGIN);
  return cache;
}

async function tagsUnder(files: SimulatedFiles, ...keys: Buffer[]): Promise<number[]> {
  const contents = await contentsOf(files);
  const cache = await openStorage(await filesWith(contents), { ...SIZE, keys });
  return (await takeAll(cache)).map((portion) => bytesOf([portion]).readUInt16BE(0));
}

test('under another key everything stays, and the earlier key opens neither place of any page', async () => {
  const files = new SimulatedFiles();
  const cache = await filled(files);
  await cache.rekey(NEW);
  assert.equal(await tagsUnder(files, NEW), [1, 2, 3, 4]);
  assert.equal(await tagsUnder(files, OLD), []);
  for (const place of [0, 1]) {
    const { segments, keys } = await contentsOf(files);
    for (let page = 0; pageOffset(page) < keys.length; page++)
      keys.fill(0, pageOffset(page, place), pageOffset(page, place) + 4096);
    assert.equal(await tagsUnder(await filesWith({ segments, keys }), NEW), [1, 2, 3, 4], 'either place');
    assert.equal(await tagsUnder(await filesWith({ segments, keys }), OLD), []);
  }
});

test('appends, takes, growth and healing go on under the new key', async () => {
  const files = new SimulatedFiles();
  const cache = await filled(files);
  const rekeyed = cache.rekey(NEW);
  const taken = cache.takeSegment();
  const grown = cache.prepareSize({ capacityBytes: 8 * FULL_BYTES, reserveBytes: 0 });
  await rekeyed;
  assert.is(bytesOf(await taken).readUInt16BE(0), 1);
  (await grown).commit();
  await cache.append(tagged(5, FULL_BYTES), ORIGIN);
  assert.equal(await tagsUnder(files, NEW), [2, 3, 4, 5]);
  files.fault = failing('sync', 'cache/keys');
  await rejectsWith(cache.takeSegment(), 'state-unwritable');
  files.fault = undefined;
  assert.ok(await cache.probe());
  assert.is(bytesOf(await cache.takeSegment()).readUInt16BE(0), 2);
});

test('what was spent since is counted from the change on', async () => {
  const cache = await filled(new SimulatedFiles());
  await cache.takeSegment();
  assert.is(cache.spentSegments, 1);
  await cache.rekey(NEW);
  assert.is(cache.spentSegments, 0);
  cache.voidFeeder(ORIGIN.feeder);
  await cache.rekey(NEXT);
  assert.is(cache.spentSegments, 0, 'the voided ones were spent before');
});

test('a disk that refuses leaves pages under either key; both open here, and the next change ends it', async () => {
  for (const nth of [0, 1, 2, 3]) {
    const files = new SimulatedFiles();
    const cache = await filled(files);
    let syncs = 0;
    files.fault = (operation, path) =>
      operation === 'write' && path === 'cache/keys' && syncs++ === nth
        ? failing('write')(operation, path)
        : undefined;
    await rejectsWith(cache.rekey(NEW), 'state-unwritable');
    files.fault = undefined;
    assert.equal(await tagsUnder(files, NEW, OLD), [1, 2, 3, 4], `write ${nth}`);
    assert.is(cache.failure?.code, 'state-unwritable');
    assert.ok(await cache.probe());
    await cache.rekey(NEXT);
    assert.equal(await tagsUnder(files, NEXT), [1, 2, 3, 4]);
    assert.equal(await tagsUnder(files, NEW, OLD), []);
  }
});

test('a cache that is not open is refused, and so is a key of another length', async () => {
  const cache = await filled(new SimulatedFiles());
  await cache.rekey(Buffer.alloc(31)).then(
    () => assert.unreachable(),
    (error: unknown) => assert.instance(error, RangeError),
  );
  await cache.close();
  await rejectsWith(cache.rekey(NEW), 'state-unwritable');
});

test('two changes at once: one after the other, the last one is in force', async () => {
  const files = new SimulatedFiles();
  const cache = await filled(files);
  await Promise.all([cache.rekey(NEW), cache.rekey(NEXT)]);
  assert.equal(await tagsUnder(files, NEXT), [1, 2, 3, 4]);
  assert.equal(await tagsUnder(files, NEW), []);
});

test('at rest: files that nobody has open get the new key; those of other keys, or none, stay as they are', async () => {
  const files = new SimulatedFiles();
  await (await filled(files)).close();
  const random = seededSource('at rest');
  const keys = { headerKey: HEADER_KEY, pageKeys: [NEW, OLD] };
  await rewrapAtRest({ files, random, keys }, SMALL);
  assert.equal(await tagsUnder(files, NEW), [1, 2, 3, 4]);
  assert.equal(await tagsUnder(files, OLD), []);
  const before = await contentsOf(files);
  const foreign = { headerKey: Buffer.alloc(32, 'f'), pageKeys: [NEXT] };
  await rewrapAtRest({ files, random, keys: foreign }, SMALL);
  assert.equal(await contentsOf(files), before);
  await rewrapAtRest({ files: new SimulatedFiles(), random, keys }, SMALL);
});

test('a page in which nothing opens under any key is damage, as ever', async () => {
  const files = new SimulatedFiles();
  await filled(files);
  const events = new EventLog();
  const cache = await openStorage(await filesWith(await contentsOf(files)), {
    ...SIZE,
    keys: [NEW, NEXT],
    events,
  });
  assert.equal([cache.bytes, events.ids], [0, ['cache.damaged']]);
});

test.run();
