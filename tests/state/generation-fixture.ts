import * as assert from 'uvu/assert';
import { Counters } from '../../src/base/counters.ts';
import { EntropyError } from '../../src/base/errors.ts';
import type { EventSink } from '../../src/base/events.ts';
import type { Portion } from '../../src/cache/origin.ts';
import { StorageCache } from '../../src/cache/storage-cache.ts';
import type { DurableFiles } from '../../src/durable/durable-files.ts';
import { cacheKeys, COUNTER_ID_BYTES } from '../../src/state/cache-key-ring.ts';
import { changeCacheKey } from '../../src/state/change-cache-key.ts';
import type { GenerationCounter } from '../../src/state/generation.ts';
import { settleOlderCopy } from '../../src/state/older-copy.ts';
import { NoneWrapping, type KeyWrapping } from '../../src/state/root-key.ts';
import { StateArchive } from '../../src/state/state-archive.ts';
import { EventLog, FULL_BYTES, ORIGIN, SMALL, tagged } from '../cache/storage-fixture.ts';
import { FakeClock } from '../fakes/fake-clock.ts';
import { seededSource } from '../fakes/seeded-stream.ts';

export const COUNTER = 'generation';
const CAPACITY_BYTES = 3 * FULL_BYTES;
const clock = new FakeClock();
let lives = 0;

/** A TPM's counter in the order of what happens to the disk; it is durable as soon as it has counted. */
export function counterOf(files: DurableFiles): GenerationCounter {
  const counter = files.counter(COUNTER);
  return {
    read: async () => ({ id: Buffer.alloc(COUNTER_ID_BYTES, 9), value: await counter.read() }),
    advanceTo: async (value) => {
      while ((await counter.read()) < value) await counter.advance();
    },
  };
}

/** A process that has archive and cache of one state open, as the daemon opens them. */
export interface Life {
  readonly archive: StateArchive;
  readonly cache: StorageCache;
  readonly events: EventLog;
  /** One change of the key-encryption key. */
  change(): Promise<number>;
  store(...tags: readonly number[]): Promise<void>;
  /** Opens the oldest segment. */
  give(): Promise<number[]>;
  giveAll(): Promise<number[]>;
  close(): Promise<void>;
}

/**
 * Both modes as a daemon with a TPM has them, with one counter for mark and generation: mode NONE is refused as soon as it is there, and
 * it is there once all archives are of mode TPM. What wraps the key is no part of this: that is TpmWrapping's.
 */
export function modesOf(files: DurableFiles): KeyWrapping[] {
  const counter = files.counter(COUNTER);
  const none = new NoneWrapping({ random: seededSource(`modes ${lives++}`) });
  const refuseMarked = async (): Promise<void> => {
    if ((await counter.read()) > 0) throw new EntropyError('state-downgraded', 'the TPM knows better');
  };
  return [
    {
      mode: 'NONE',
      wrap: async (key) => refuseMarked().then(() => none.wrap(key)),
      unwrap: async (info) => refuseMarked().then(() => none.unwrap(info)),
    },
    {
      mode: 'TPM',
      wrap: (key) => none.wrap(key),
      unwrap: (info) => none.unwrap(info),
      settle: async () => {
        if ((await counter.read()) === 0) await counter.advance();
      },
    },
  ];
}

export interface LifeOptions {
  /** The protocol of a change, or one that is not in order. */
  readonly changing?: typeof changeCacheKey;
  readonly counter?: GenerationCounter;
  /** With both modes; else in mode NONE, with a counter all the same. */
  readonly modes?: boolean;
}

export async function openLife(
  files: DurableFiles,
  { changing = changeCacheKey, counter = counterOf(files), modes = false }: LifeOptions = {},
): Promise<Life> {
  const random = seededSource(`life ${lives++}`);
  const events = new EventLog();
  const archive = await openArchive(files, modes ? modesOf(files) : undefined);
  const counting = modes && archive.mode !== 'TPM' ? undefined : counter;
  const heldBack = await settleOlderCopy({ archive, counter: counting, random, clock, events });
  assert.is(heldBack, undefined);
  const cache = await openCache(files, archive, events);
  return {
    archive,
    cache,
    events,
    change: () =>
      changing({
        archive,
        counter,
        random,
        rewrap: ({ pageKeys }) => cache.rekey(pageKeys[0]!),
      }),
    store: async (...tags) => {
      for (const tag of tags) await cache.append(tagged(tag, FULL_BYTES), ORIGIN);
    },
    give: async () => tagsOf(await cache.takeSegment()),
    giveAll: async () => {
      const all: number[] = [];
      for (;;) {
        const portions = await cache.takeSegment();
        if (portions === undefined) return all;
        all.push(...tagsOf(portions));
      }
    },
    close: async () => {
      await cache.close();
      await archive.close();
    },
  };
}

export function openArchive(files: DurableFiles, modes?: readonly KeyWrapping[]): Promise<StateArchive> {
  const random = seededSource(`archive ${lives++}`);
  const wrappings = modes ?? [new NoneWrapping({ random })];
  return StateArchive.open({ mode: 'NONE' }, { files, random, wrappings });
}

/** As the engine opens it, with the keys of the archive. */
export async function openCache(
  files: DurableFiles,
  archive: StateArchive,
  events: EventSink,
): Promise<StorageCache> {
  const random = seededSource(`cache ${lives++}`);
  const keys = await cacheKeys({ archive, random });
  const options = { directory: 'cache', capacityBytes: CAPACITY_BYTES, reserveBytes: 0, geometry: SMALL };
  return StorageCache.open(options, { files, random, keys, events, counters: new Counters() });
}

/** What was stored, whole. */
function tagsOf(portions: readonly Portion[] | undefined): number[] {
  return (portions ?? []).map(({ bytes }) => {
    const tag = Buffer.from(bytes).readUInt16BE(0);
    assert.equal(Buffer.from(bytes), tagged(tag, bytes.length), 'what opens is what was stored');
    return tag;
  });
}
