import * as assert from 'uvu/assert';
import { Counters } from '../../src/base/counters.ts';
import type { EventSink } from '../../src/base/events.ts';
import type { Portion } from '../../src/cache/origin.ts';
import { StorageCache } from '../../src/cache/storage-cache.ts';
import type { DurableFiles } from '../../src/durable/durable-files.ts';
import { cacheKeys, COUNTER_ID_BYTES } from '../../src/state/cache-key-ring.ts';
import { changeCacheKey } from '../../src/state/change-cache-key.ts';
import type { GenerationCounter } from '../../src/state/generation.ts';
import { settleOlderCopy } from '../../src/state/older-copy.ts';
import { NoneWrapping } from '../../src/state/root-key.ts';
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

export interface LifeOptions {
  /** The protocol of a change, or one that is not in order. */
  readonly changing?: typeof changeCacheKey;
  readonly counter?: GenerationCounter;
}

export async function openLife(
  files: DurableFiles,
  { changing = changeCacheKey, counter = counterOf(files) }: LifeOptions = {},
): Promise<Life> {
  const random = seededSource(`life ${lives++}`);
  const events = new EventLog();
  const archive = await openArchive(files);
  const heldBack = await settleOlderCopy({ archive, counter, random, clock, events });
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

export function openArchive(files: DurableFiles): Promise<StateArchive> {
  const random = seededSource(`archive ${lives++}`);
  const wrappings = [new NoneWrapping({ random })];
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
