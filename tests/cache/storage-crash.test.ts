import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Portion } from '../../src/cache/origin.ts';
import type { StorageCache } from '../../src/cache/storage-cache.ts';
import type { DurableFile, DurableFiles } from '../../src/durable/durable-files.ts';
import {
  exploreCrashes,
  findViolation,
  superfluousSyncs,
  type CrashScenario,
  type CrashStop,
} from '../durable/crash-simulator.ts';
import { LONG } from '../counts.ts';
import { fileWith, filesThrough } from '../durable/files-through.ts';
import { SimulatedFiles } from '../durable/simulated-files.ts';
import {
  contentsOf,
  filesWith,
  PAGE_BYTES,
  pageOffset,
  FULL_BYTES,
  openStorage,
  ORIGIN,
  SURE_BYTES,
  tagged,
  takeAll,
  type OpenOptions,
} from './storage-fixture.ts';

/**
 * The model: each payload is tagged and fills a segment, so its tag says which segment was opened. A tag is
 * `stored N` once its append resolved, `opening` from the moment a take begins, `given N` once its bytes were handed out.
 */
type Mark = (name: string) => void;

const THREE_SEGMENTS: OpenOptions = { capacityBytes: 3 * FULL_BYTES };

/** The tags in the order they were given; each portion must be whole and of one tag. */
function tagsOf(portions: readonly Portion[]): number[] {
  return portions.map(({ bytes }) => {
    const tag = Buffer.from(bytes).readUInt16BE(0);
    assert.equal(Buffer.from(bytes), tagged(tag, bytes.length), 'what opens is what was stored');
    return tag;
  });
}

async function store(cache: StorageCache, mark: Mark, ...tags: number[]): Promise<void> {
  const stored = tags.map(async (tag) => {
    await cache.append(tagged(tag, FULL_BYTES), ORIGIN);
    mark(`stored ${tag}`);
  });
  await Promise.all(stored);
}

/** Takes the oldest segment, which is of this tag. */
async function give(cache: StorageCache, mark: Mark, tag: number): Promise<void> {
  mark(`opening ${tag}`);
  assert.equal(tagsOf((await cache.takeSegment()) ?? []), [tag]);
  mark(`given ${tag}`);
}

function has(stop: CrashStop, state: string, tag: number): boolean {
  return stop.completed.has(`${state} ${tag}`);
}

/** What the promises say of the tags that a surviving disk gives out. */
function assertPromises(stop: CrashStop, found: readonly number[], tags: readonly number[]): void {
  assert.is(new Set(found).size, found.length, 'no byte twice in one life');
  for (const tag of tags) {
    if (has(stop, 'given', tag)) assert.not.ok(found.includes(tag), `${tag} is given out twice`);
    const kept = has(stop, 'stored', tag) && !has(stop, 'opening', tag);
    if (kept) assert.ok(found.includes(tag), `${tag} was stored and is lost`);
  }
}

/** What the second life gave out and stored before the power failed. */
interface Life {
  readonly given: readonly number[];
  readonly stored: readonly number[];
}

const LATER = 99;

interface Story {
  readonly tags: readonly number[];
  readonly before?: (cache: StorageCache) => Promise<void>;
  readonly run: (cache: StorageCache, mark: Mark) => Promise<void>;
  /** Stands between the cache and the disk. */
  readonly through?: (files: DurableFiles) => DurableFiles;
  /** Nothing is on the disk when it begins. */
  readonly fresh?: boolean;
  /** Its size; three full segments unless told. */
  readonly size?: OpenOptions;
  /** With what size a later life opens it; the same unless told. */
  readonly later?: OpenOptions;
}

function openLater(
  files: DurableFiles,
  { size = THREE_SEGMENTS, later = size }: Story,
): Promise<StorageCache> {
  return openStorage(files, later);
}

function scenario(story: Story): CrashScenario {
  const { tags, before, run, through, fresh, size = THREE_SEGMENTS } = story;
  return {
    setup: async (files) => {
      if (fresh === true) return;
      const cache = await openStorage(files, size);
      await before?.(cache);
      await cache.close();
    },
    run: async (files, mark) => run(await openStorage(through?.(files) ?? files, size), mark),
    check: async (files, stop) => {
      const cache = await openLater(files, story);
      assert.is(cache.failure, undefined);
      const { damagedSegments, damagedPages, setAside } = cache.found;
      assert.equal([damagedPages, setAside], [0, []], 'a crash does not look like damage');
      assert.ok(damagedSegments <= 1, 'but for a header torn within its first bytes');
      assertPromises(stop, tagsOf(await takeAll(cache)), tags);
    },
  };
}

/** Whoever has the current files and their key opens nothing that was given, though one place of each page be lost. */
function withOnePlaceLost(story: Story): CrashScenario {
  return {
    ...scenario(story),
    check: async (files, stop) => {
      for (const place of [0, 1]) {
        const { segments, keys } = await contentsOf(files);
        for (let page = 0; pageOffset(page) < keys.length; page++) {
          const start = Math.min(keys.length, pageOffset(page, place));
          keys.fill(0, start, Math.min(keys.length, start + PAGE_BYTES / 2));
        }
        const cache = await openLater(await filesWith({ segments, keys }), story);
        const found = tagsOf(await takeAll(cache));
        for (const tag of story.tags) {
          if (has(stop, 'given', tag)) assert.not.ok(found.includes(tag), `the key of ${tag} is still there`);
        }
      }
    },
  };
}

/** The process dies alone; the next one tells how much there is; the power fails, and that much must be there. */
function withTellingLife(story: Story): CrashScenario<number> {
  const told = async (files: DurableFiles): Promise<number> => (await openLater(files, story)).bytes;
  return {
    ...scenario(story),
    check: told,
    recheck: async (files, _, bytes) => assert.ok((await told(files)) >= bytes, 'what was told is gone'),
  };
}

/** The process dies alone; the next one gives out a segment and stores one; the power fails, and a third one looks. */
function withSecondLife(story: Story): CrashScenario<Life> {
  return {
    ...scenario(story),
    check: async (files, stop) => {
      const cache = await openLater(files, story);
      const given = tagsOf((await cache.takeSegment()) ?? []);
      for (const tag of given) assert.not.ok(has(stop, 'given', tag), `${tag} is given out twice`);
      const fits = cache.roomBytes >= FULL_BYTES;
      if (fits) await cache.append(tagged(LATER, FULL_BYTES), ORIGIN);
      return { given, stored: fits ? [LATER] : [] };
    },
    recheck: async (files, stop, { given, stored }) => {
      const found = tagsOf(await takeAll(await openLater(files, story)));
      assertPromises(stop, [...given, ...found], story.tags);
      for (const tag of stored) assert.ok(found.includes(tag), `${tag} was stored and is lost`);
    },
  };
}

const quietly = (): void => undefined;

const CREATION: Story = {
  tags: [1],
  fresh: true,
  size: { capacityBytes: FULL_BYTES },
  run: (cache, mark) => store(cache, mark, 1),
};

const FILLING: Story = {
  tags: [1, 2, 3],
  run: async (cache, mark) => {
    await store(cache, mark, 1);
    await store(cache, mark, 2, 3);
  },
};

const TAKING: Story = {
  tags: [1, 2, 3],
  before: (cache) => store(cache, quietly, 1, 2, 3),
  run: async (cache, mark) => {
    for (const tag of [1, 2, 3]) await give(cache, mark, tag);
  },
};

const REUSING: Story = {
  tags: [1, 2, 3, 4, 5],
  before: (cache) => store(cache, quietly, 1, 2, 3),
  run: async (cache, mark) => {
    await give(cache, mark, 1);
    await give(cache, mark, 2);
    await store(cache, mark, 4, 5);
    await give(cache, mark, 3);
    await give(cache, mark, 4);
  },
};

const RESIZING: Story = {
  tags: [1, 2, 3, 4, 5],
  later: { capacityBytes: 6 * FULL_BYTES },
  before: (cache) => store(cache, quietly, 1, 2),
  run: async (cache, mark) => {
    (await cache.prepareSize({ capacityBytes: 6 * FULL_BYTES, reserveBytes: 0 })).commit();
    await store(cache, mark, 3, 4, 5);
    for (const tag of [1, 2, 3, 4]) await give(cache, mark, tag);
    (await cache.prepareSize({ capacityBytes: SURE_BYTES, reserveBytes: 0 })).commit();
    await cache.close();
  },
};

const STOPPING: Story = {
  tags: [1, 2],
  before: (cache) => store(cache, quietly, 1),
  run: async (cache, mark) => {
    await cache.store([{ origin: ORIGIN, bytes: tagged(2, FULL_BYTES) }]);
    mark('stored 2');
    await cache.close();
    mark('closed');
  },
};

const STORIES = { CREATION, FILLING, TAKING, REUSING, RESIZING, STOPPING };

for (const [name, story] of Object.entries(STORIES)) {
  test(`${name.toLowerCase()}: no byte twice and nothing stored lost, at every stop`, async () => {
    await exploreCrashes(scenario(story));
    if (story === CREATION && !LONG) return; // it has the most disks, and the others look at what follows
    await exploreCrashes(withSecondLife(story));
    await exploreCrashes(withTellingLife(story));
    await exploreCrashes(withOnePlaceLost(story));
  });
}

/**
 * Of the two syncs of a key page the simulator needs only the second, which makes both places durable: it tears one
 * write at a time, and without the first sync a crash could tear both places. That order is looked at by itself.
 */
test('without the last sync of a spending, what was given can come back', async () => {
  for (const ignoreSync of [4, 6, 8]) {
    const once = await findViolation(scenario(TAKING), { ignoreSync });
    const lost = await findViolation(withOnePlaceLost(TAKING), { ignoreSync });
    assert.ok(once !== undefined || lost !== undefined, `sync ${ignoreSync}`);
  }
});

test('without the sync of an append, what was stored can be lost', async () => {
  for (const ignoreSync of [5, 8]) {
    assert.match(String(await findViolation(scenario(FILLING), { ignoreSync })), /was stored and is lost/);
  }
});

test('without the sync at opening, what a life tells can be gone', async () => {
  const violation = await findViolation(withTellingLife(FILLING), { ignoreReopenSync: 2 });
  assert.match(String(violation), /what was told is gone/);
});

test('each spending: one place, sync, the other place, sync, and only then the bytes', async () => {
  const files = new SimulatedFiles();
  const cache = await openStorage(files, THREE_SEGMENTS);
  await store(cache, quietly, 1);
  const before = files.operations.length;
  await give(cache, (name) => files.mark(name), 1);
  const [first, ...rest] = files.operations.slice(before + 1).map(({ label }) => label);
  const places = [`write cache/keys ${pageOffset(0, 0)}+136`, `write cache/keys ${pageOffset(0, 1)}+136`];
  assert.ok(first === places[0] || first === places[1]);
  const other = first === places[0] ? places[1] : places[0];
  assert.equal(rest, ['sync file cache/keys', other, 'sync file cache/keys', 'mark given 1']);
});

/** Mark and use exchanged: what goes to the key file waits until the bytes were handed out. */
function lateKeys(files: DurableFiles): DurableFiles {
  let late: Promise<unknown> = Promise.resolve();
  const later = (work: () => Promise<void>): Promise<void> => {
    late = late.then(async () => {
      for (let turn = 0; turn < 20; turn++) await Promise.resolve();
      await work();
    });
    return Promise.resolve();
  };
  const delayed = (file: DurableFile): DurableFile =>
    fileWith(file, {
      write: (offset, bytes) => later(() => file.write(offset, bytes)),
      sync: () => later(() => file.sync()),
      close: async () => {
        await late;
        await file.close();
      },
    });
  return filesThrough(files, (path, file) => (path === 'cache/keys' ? delayed(file) : file));
}

test('mark and use exchanged is found out', async () => {
  const swapped: Story = {
    ...TAKING,
    through: lateKeys,
    run: async (cache, mark) => {
      await TAKING.run(cache, mark);
      await cache.close();
    },
  };
  assert.match(String(await findViolation(scenario(swapped))), /is given out twice/);
});

/** Which syncs no view of a story needs, with the reason. Opening: 0 and 1 sync directories, 2 the segments. */
async function everySyncIsNeeded(): Promise<void> {
  const views = (story: Story): CrashScenario<unknown>[] => [
    scenario(story) as CrashScenario<unknown>,
    withSecondLife(story) as CrashScenario<unknown>,
    withOnePlaceLost(story) as CrashScenario<unknown>,
    withTellingLife(story) as CrashScenario<unknown>,
  ];
  const inRun = async (story: Story): Promise<string[]> =>
    (await superfluousSyncs(...views(story))).filter((name) => name.startsWith('run'));
  const opening = ['run: sync 0', 'run: sync 1', 'run: sync 2'];
  const firstsOfPairs = ['run: sync 3', 'run: sync 5', 'run: sync 7'];
  assert.equal(await inRun(TAKING), [...opening, ...firstsOfPairs]);
  const eitherOfPairs = ['run: sync 3', 'run: sync 4', 'run: sync 6', 'run: sync 7'];
  assert.equal(await inRun(FILLING), [...opening, ...eitherOfPairs]);
}

// Each sync left out in turn, and all disks looked at again for each: at full counts only.
if (LONG) test('every sync is needed, but for those with a reason', everySyncIsNeeded);

test.run();
