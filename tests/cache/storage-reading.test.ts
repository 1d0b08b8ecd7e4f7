import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Counters } from '../../src/base/counters.ts';
import { EntropyError } from '../../src/base/errors.ts';
import type { StorageCache } from '../../src/cache/storage-cache.ts';
import type { DurableFile, DurableFiles } from '../../src/durable/durable-files.ts';
import { fileWith, filesThrough } from '../durable/files-through.ts';
import { SimulatedFiles } from '../durable/simulated-files.ts';
import { rejectsWith } from '../rejects.ts';
import {
  bytesOf,
  EventLog,
  FULL_BYTES,
  openStorage,
  ORIGIN,
  pageOffset,
  segmentOffset,
  SMALL,
  tagged,
  takeAll,
} from './storage-fixture.ts';

/** Whether a read of these bytes fails. */
type BadSector = (path: string, offset: number, endOffset: number) => boolean;

const NONE: BadSector = () => false;
const EVERYTHING: BadSector = () => true;

/** A disk of which some parts cannot be read, and that counts the open files. */
class BadDisk {
  bad = NONE;
  openFiles = 0;
  readonly #files: DurableFiles;

  constructor(files: DurableFiles) {
    this.#files = files;
  }

  get files(): DurableFiles {
    return filesThrough(this.#files, (path, file) => this.#watched(path, file));
  }

  #watched(path: string, file: DurableFile): DurableFile {
    this.openFiles++;
    return fileWith(file, {
      read: (offset, lengthBytes) =>
        this.bad(path, offset, offset + lengthBytes)
          ? Promise.reject(new EntropyError('state-unreadable', `read ${path}: EIO`))
          : file.read(offset, lengthBytes),
      close: async () => {
        this.openFiles--;
        await file.close();
      },
    });
  }
}

const FOUR = { capacityBytes: 4 * FULL_BYTES };

interface Setup {
  readonly disk: BadDisk;
  readonly cache: StorageCache;
  readonly events: EventLog;
  readonly counters: Counters;
}

/** Four full segments in two pages, of tags 1 to 4, opened by a process that did not fill them. */
async function fourSegments(): Promise<Setup> {
  const disk = new BadDisk(new SimulatedFiles());
  const first = await openStorage(disk.files, FOUR);
  for (const tag of [1, 2, 3, 4]) await first.append(tagged(tag, FULL_BYTES), ORIGIN);
  await first.close();
  assert.is(disk.openFiles, 0);
  const [events, counters] = [new EventLog(), new Counters()];
  return { disk, cache: await openStorage(disk.files, { ...FOUR, events, counters }), events, counters };
}

function onSegment(segment: number): BadSector {
  return (path, offset, endOffset) =>
    path === 'cache/segments' &&
    offset < segmentOffset(segment) + SMALL.segmentBytes &&
    endOffset > segmentOffset(segment);
}

async function tagsOf(cache: StorageCache): Promise<number[]> {
  return (await takeAll(cache)).map(({ bytes }) => Buffer.from(bytes).readUInt16BE(0));
}

test('a disk that cannot be read costs nothing: no key goes, all stays stored, and is there when it heals', async () => {
  const { disk, cache, events, counters } = await fourSegments();
  disk.bad = (path) => path === 'cache/segments';
  const both = [cache.takeSegment(), cache.takeSegment()];
  for (const take of both) await rejectsWith(take, 'state-unreadable');
  assert.equal([cache.bytes, cache.roomBytes, cache.failure?.code], [4 * FULL_BYTES, 0, 'state-unreadable']);
  assert.is(await cache.probe(), false);
  disk.bad = NONE;
  assert.is(await cache.probe(), true);
  assert.equal(await tagsOf(cache), [1, 2, 3, 4]);
  assert.equal(events.ids, ['cache.storage.failed', 'cache.storage.healed']);
  assert.is(counters.value('cache.bytes.destroyed'), 0);
});

test('one segment that cannot be read while others can is given up, told, and the next one taken', async () => {
  const { disk, cache, events, counters } = await fourSegments();
  disk.bad = onSegment(1);
  assert.equal(await tagsOf(cache), [1, 3, 4]);
  assert.equal(events.ids, ['cache.damaged']);
  const { damagedSegments, destroyedBytes, reason } = events.seen[0]?.detail ?? {};
  assert.equal(
    [damagedSegments, destroyedBytes, reason],
    [1, FULL_BYTES, 'segment 1: read cache/segments: EIO'],
  );
  assert.is(counters.value('cache.bytes.destroyed'), FULL_BYTES);
  assert.equal([cache.bytes, cache.failure], [0, undefined]);
});

test('a segment that can be read at the second attempt is not given up', async () => {
  const { disk, cache, events } = await fourSegments();
  let failed = false;
  disk.bad = (...read) => onSegment(0)(...read) && !failed && (failed = true);
  assert.equal([await tagsOf(cache), events.ids], [[1, 2, 3, 4], []]);
  assert.ok(failed);
});

test('a segment that was altered while the cache was open gives what still opens, and is told', async () => {
  const files = new SimulatedFiles();
  const [events, counters] = [new EventLog(), new Counters()];
  const cache = await openStorage(files, { ...FOUR, events, counters });
  await cache.append(tagged(1, 100), ORIGIN);
  await cache.append(tagged(2, 100), ORIGIN);
  await (await files.open('cache/segments'))?.write(segmentOffset(0) + 200, Buffer.alloc(1));
  assert.equal(bytesOf(await cache.takeSegment()), tagged(1, 100));
  assert.equal([events.ids, counters.value('cache.bytes.destroyed')], [['cache.damaged'], 100]);
});

test('one place of a key page that cannot be read costs nothing', async () => {
  const { disk } = await fourSegments();
  disk.bad = (path, offset, endOffset) =>
    path === 'cache/keys' && offset < pageOffset(0, 1) && endOffset > pageOffset(0, 0);
  assert.equal(await tagsOf(await openStorage(disk.files, FOUR)), [1, 2, 3, 4]);
});

test('a key page that cannot be read is damaged; the other is kept, and the cache goes on', async () => {
  const { disk } = await fourSegments();
  disk.bad = (path, offset, endOffset) =>
    path === 'cache/keys' && offset < pageOffset(1) && endOffset > pageOffset(0);
  const events = new EventLog();
  const cache = await openStorage(disk.files, { ...FOUR, events });
  assert.equal([cache.failure, cache.found.damagedPages], [undefined, 1]);
  assert.equal(events.ids, ['cache.damaged']);
  assert.equal(await tagsOf(cache), [3, 4]);
  await cache.append(tagged(5, FULL_BYTES), ORIGIN);
  disk.bad = NONE;
  assert.is((await openStorage(disk.files, FOUR)).bytes, FULL_BYTES);
});

for (const [what, bad] of Object.entries<BadSector>({
  'no key page': (path, offset) => path === 'cache/keys' && offset >= pageOffset(0),
  'no segment': (path, offset) => path === 'cache/segments' && offset >= segmentOffset(0),
  nothing: EVERYTHING,
})) {
  test(`when ${what} can be read that is the disk: nothing is given up, no file is left open, and it heals`, async () => {
    const { disk, cache: before } = await fourSegments();
    await before.close();
    assert.is(disk.openFiles, 0);
    disk.bad = bad;
    const events = new EventLog();
    const cache = await openStorage(disk.files, { ...FOUR, events });
    assert.is(await cache.probe(), false);
    assert.equal([cache.failure?.code, disk.openFiles], ['state-unreadable', 0]);
    assert.equal(events.ids, ['cache.storage.failed']);
    disk.bad = NONE;
    assert.is(await cache.probe(), true);
    assert.equal(await tagsOf(cache), [1, 2, 3, 4]);
  });
}

test.run();
