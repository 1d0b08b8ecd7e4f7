import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Counters } from '../../src/base/counters.ts';
import type { StorageCache } from '../../src/cache/storage-cache.ts';
import { SimulatedFiles } from '../durable/simulated-files.ts';
import { rejectsWith } from '../rejects.ts';
import {
  bytesOf,
  contentsOf,
  EventLog,
  filesWith,
  FULL_BYTES,
  openStorage,
  ORIGIN,
  PAGE_BYTES,
  pageOffset,
  segmentOffset,
  SMALL,
  tagged,
  takeAll,
} from './storage-fixture.ts';

interface Contents {
  segments: Buffer;
  keys: Buffer;
}

/** Four full segments of one record each, in two pages, oldest first. */
async function fourSegments(): Promise<Contents> {
  const files = new SimulatedFiles();
  const cache = await openStorage(files, { capacityBytes: 4 * FULL_BYTES });
  for (const tag of [1, 2, 3, 4]) await cache.append(tagged(tag, FULL_BYTES), ORIGIN);
  await cache.close();
  return contentsOf(files);
}

const FOUR = { capacityBytes: 4 * FULL_BYTES };

interface Outcome {
  readonly cache: StorageCache;
  readonly tags: number[];
  readonly events: EventLog;
  readonly files: SimulatedFiles;
}

/** Opens altered files and takes all there is; everything that opens must be as it was stored. */
async function opened(contents: Partial<Contents>, options: object = {}): Promise<Outcome> {
  const files = await filesWith(contents);
  const events = new EventLog();
  const cache = await openStorage(files, { ...FOUR, events, ...options });
  const tags = (await takeAll(cache)).map(({ bytes }) => {
    const tag = Buffer.from(bytes).readUInt16BE(0);
    assert.equal(Buffer.from(bytes), tagged(tag, bytes.length));
    return tag;
  });
  await cache.append(tagged(9, 100), ORIGIN);
  assert.equal(bytesOf(await takeAll(cache)), tagged(9, 100), 'it goes on');
  return { cache, tags, events, files };
}

function altered(bytes: Buffer, offset: number, value = 0xff): Buffer {
  const copy = Buffer.from(bytes);
  copy.writeUInt8(copy.readUInt8(offset) ^ value, offset);
  return copy;
}

test('untouched files: nothing is found, nothing is told', async () => {
  const { cache, tags, events } = await opened(await fourSegments());
  assert.equal(tags, [1, 2, 3, 4]);
  assert.equal(cache.found, {
    damagedSegments: 0,
    damagedPages: 0,
    cutSegments: 0,
    setAside: [],
    destroyedBytes: 0,
  });
  assert.equal(events.ids, []);
});

const FIELDS: Record<string, { offset: number; kind: 'damagedSegments' | 'cutSegments' }> = {
  'key id': { offset: 0, kind: 'damagedSegments' },
  'fill order': { offset: 15, kind: 'cutSegments' },
  length: { offset: 16, kind: 'cutSegments' },
  feeder: { offset: 21, kind: 'cutSegments' },
  rate: { offset: 23, kind: 'cutSegments' },
  verdict: { offset: 24, kind: 'cutSegments' },
  ciphertext: { offset: 25, kind: 'cutSegments' },
  tag: { offset: 511, kind: 'cutSegments' },
};

for (const [field, { offset, kind }] of Object.entries(FIELDS)) {
  test(`an altered ${field} costs its segment, is told, and the rest is kept`, async () => {
    const { segments, keys } = await fourSegments();
    const { cache, tags, events } = await opened({
      segments: altered(segments, segmentOffset(1) + offset),
      keys,
    });
    assert.equal(tags, [1, 3, 4]);
    assert.is(cache.found[kind], 1);
    assert.equal(events.ids, ['cache.damaged']);
    assert.is(events.seen[0]?.detail[kind], 1);
  });
}

test('every bit of a segment and of a page: what opens is right, or is not given', async () => {
  const contents = await fourSegments();
  for (let offset = segmentOffset(0); offset < segmentOffset(1); offset += 7) {
    const { tags } = await opened({
      ...contents,
      segments: altered(contents.segments, offset, 1 << (offset % 8)),
    });
    assert.equal(tags, [2, 3, 4]);
  }
});

test('two segments exchanged open in neither place', async () => {
  const { segments, keys } = await fourSegments();
  const exchanged = Buffer.from(segments);
  segments.copy(exchanged, segmentOffset(0), segmentOffset(1), segmentOffset(2));
  segments.copy(exchanged, segmentOffset(1), segmentOffset(0), segmentOffset(1));
  const { cache, tags } = await opened({ segments: exchanged, keys });
  assert.equal(tags, [3, 4]);
  assert.is(cache.found.damagedSegments, 2);
});

test('a torn tail: the records before it are kept, and the segment is not appended to', async () => {
  const files = new SimulatedFiles();
  const first = await openStorage(files, FOUR);
  await first.append(tagged(1, 100), ORIGIN);
  await first.append(tagged(2, 100), ORIGIN);
  await first.close();
  const { segments, keys } = await contentsOf(files);
  const torn = altered(segments, segmentOffset(0) + 16 + 2 * 125 - 1);
  const events = new EventLog();
  const cache = await openStorage(await filesWith({ segments: torn, keys }), { ...FOUR, events });
  assert.equal([cache.bytes, cache.found.cutSegments, cache.found.destroyedBytes], [100, 1, 100]);
  assert.equal(events.ids, ['cache.damaged']);
  await cache.append(tagged(3, 100), ORIGIN);
  assert.equal(bytesOf(await cache.takeSegment()), tagged(1, 100));
  assert.equal(bytesOf(await cache.takeSegment()), tagged(3, 100));
});

test('a robbed header is told: records stand without it', async () => {
  const { segments, keys } = await fourSegments();
  segments.fill(0, segmentOffset(2), segmentOffset(2) + 16);
  const { cache, tags } = await opened({ segments, keys });
  assert.equal(tags, [1, 2, 4]);
  assert.is(cache.found.cutSegments, 1);
});

test('one place of a page damaged: nothing is lost', async () => {
  const { segments, keys } = await fourSegments();
  for (const place of [0, 1]) {
    const { cache, tags } = await opened({ segments, keys: altered(keys, pageOffset(0, place) + 60) });
    assert.equal(tags, [1, 2, 3, 4]);
    assert.is(cache.found.damagedPages, 0);
  }
});

test('both places of a page altered, in any field: its segments are lost and told, the others kept', async () => {
  const { segments, keys } = await fourSegments();
  const fields = { version: 7, salt: 8, ciphertext: 40, tag: 40 + 2 * 40 + 15 };
  for (const [field, offset] of Object.entries(fields)) {
    const both = altered(altered(keys, pageOffset(0, 0) + offset), pageOffset(0, 1) + offset);
    const { cache, tags, events } = await opened({ segments, keys: both });
    assert.equal(tags, [3, 4], field);
    assert.equal([cache.found.damagedPages, cache.found.damagedSegments], [1, 2]);
    assert.equal(events.ids, ['cache.damaged']);
  }
});

test('pages exchanged open in neither place', async () => {
  const { segments, keys } = await fourSegments();
  const exchanged = Buffer.from(keys);
  keys.copy(exchanged, pageOffset(0), pageOffset(1), pageOffset(2));
  keys.copy(exchanged, pageOffset(1), pageOffset(0), pageOffset(1));
  assert.equal((await opened({ segments, keys: exchanged })).tags, []);
});

test('a short segments file loses what is beyond its end, and no more', async () => {
  const { segments, keys } = await fourSegments();
  const { cache, tags, files } = await opened({
    segments: segments.subarray(0, segmentOffset(2) + 100),
    keys,
  });
  assert.equal(tags, [1, 2]);
  assert.is(cache.found.damagedSegments, 4, 'two that were filled and two that were free: nobody can tell');
  assert.is((await contentsOf(files)).segments.length, segments.length, 'and has its size again');
});

test('a short keys file loses the segments of the missing pages', async () => {
  const { segments, keys } = await fourSegments();
  const { cache, tags } = await opened({ segments, keys: keys.subarray(0, pageOffset(1)) });
  assert.equal(tags, [1, 2]);
  assert.equal([cache.found.damagedPages, cache.found.damagedSegments], [1, 2]);
});

const UNUSABLE: Record<string, (contents: Contents, foreign: Contents) => Partial<Contents>> = {
  'a header of segments that is altered': ({ segments, keys }) => ({ segments: altered(segments, 12), keys }),
  'a header of keys that is altered': ({ segments, keys }) => ({ segments, keys: altered(keys, 40) }),
  'no file of a cache': ({ keys }) => ({ segments: Buffer.from('not a cache'), keys }),
  'an empty file': ({ segments }) => ({ segments, keys: Buffer.alloc(0) }),
  'the keys of another cache': ({ segments }, { keys }) => ({ segments, keys }),
  'segments without keys': ({ segments }) => ({ segments }),
  'keys without segments': ({ keys }) => ({ keys }),
};

for (const [what, change] of Object.entries(UNUSABLE)) {
  test(`${what}: all of it is set aside, told, and a new cache begun`, async () => {
    const contents = change(await fourSegments(), await fourSegments());
    const { cache, tags, events, files } = await opened(contents);
    assert.equal(tags, []);
    assert.equal(
      cache.found.setAside,
      Object.keys(contents).map((name) => `${name}.damaged`),
    );
    assert.equal(events.ids, ['cache.damaged']);
    assert.equal(
      await files.list('cache'),
      ['keys', ...Object.keys(contents).map((name) => `${name}.damaged`), 'segments'].sort(),
    );
    assert.equal((await openStorage(files, FOUR)).found.setAside, [], 'once');
  });
}

const NEWER: Record<string, (contents: Contents) => Partial<Contents>> = {
  segments: ({ segments, keys }) => ({ segments: altered(segments, 11, 3), keys }),
  keys: ({ segments, keys }) => ({ segments, keys: altered(keys, 11, 3) }),
  'keys beside damaged segments': ({ segments, keys }) => ({
    segments: altered(segments, 12),
    keys: altered(keys, 11, 3),
  }),
  'keys alone': ({ keys }) => ({ keys: altered(keys, 11, 3) }),
};

for (const [what, change] of Object.entries(NEWER)) {
  test(`a newer format of ${what}: refused with its code, and nothing is touched`, async () => {
    const contents = change(await fourSegments());
    const files = await filesWith(contents);
    const events = new EventLog();
    const cache = await openStorage(files, { ...FOUR, events });
    assert.is(cache.failure?.code, 'state-version-newer');
    assert.equal([cache.roomBytes, cache.found.setAside, events.ids], [0, [], ['cache.storage.failed']]);
    assert.is(await cache.probe(), false);
    await rejectsWith(cache.append(tagged(1, 1), ORIGIN), 'state-version-newer');
    await cache.close();
    assert.equal(await files.list('cache'), Object.keys(contents).sort());
    const { segments, keys } = { segments: Buffer.alloc(0), keys: Buffer.alloc(0), ...contents };
    assert.equal(await contentsOf(files), { segments, keys });
  });
}

test('another key-encryption key opens nothing', async () => {
  const { cache, tags } = await opened(await fourSegments(), { headerKey: Buffer.alloc(32, 'x') });
  assert.equal([tags, cache.found.setAside], [[], ['segments.damaged', 'keys.damaged']]);
});

test('what was set aside before gives way', async () => {
  const files = await filesWith({ segments: Buffer.from('one') });
  await (await openStorage(files, FOUR)).close();
  await files.remove('cache/keys');
  await openStorage(files, FOUR);
  assert.equal(await files.list('cache'), ['keys', 'segments', 'segments.damaged']);
});

test('an old copy of the segments with the present keys gives nothing that was given', async () => {
  const files = new SimulatedFiles();
  const cache = await openStorage(files, FOUR);
  for (const tag of [1, 2, 3, 4]) await cache.append(tagged(tag, FULL_BYTES), ORIGIN);
  const old = await contentsOf(files);
  await cache.takeSegment();
  await cache.takeSegment();
  await cache.append(tagged(5, FULL_BYTES), ORIGIN);
  const { keys } = await contentsOf(files);
  const outcome = await opened({ segments: old.segments, keys });
  assert.equal(outcome.tags, [3, 4]);
  assert.is(outcome.cache.found.damagedSegments, 0, 'their headers are known to be void');
});

test('what is found is counted as destroyed, by the clear lengths', async () => {
  const { segments, keys } = await fourSegments();
  const counters = new Counters();
  const files = await filesWith({ segments: altered(segments, segmentOffset(0)), keys });
  const cache = await openStorage(files, { ...FOUR, counters });
  assert.equal(
    [cache.found.destroyedBytes, counters.value('cache.bytes.destroyed')],
    [FULL_BYTES, FULL_BYTES],
  );
});

test('damage is told once: what does not open is void from the next use of its page on', async () => {
  const { segments, keys } = await fourSegments();
  const { files } = await opened({ segments: altered(segments, segmentOffset(0)), keys });
  const events = new EventLog();
  await openStorage(files, { ...FOUR, events });
  assert.equal(events.ids, []);
});

test('the geometry of the fixture is what the offsets say', async () => {
  const { segments, keys } = await fourSegments();
  assert.is(segments.length % SMALL.segmentBytes, 0);
  assert.is((keys.length - pageOffset(0)) % PAGE_BYTES, 0);
});

test.run();
