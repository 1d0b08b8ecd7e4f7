import { Counters } from '../../src/base/counters.ts';
import type { EventDetail, EventId, EventSink } from '../../src/base/events.ts';
import type { Origin, Portion } from '../../src/cache/origin.ts';
import { StorageCache, type StorageCacheOptions } from '../../src/cache/storage-cache.ts';
import { FILE_HEADER_BYTES, type Geometry } from '../../src/cache/storage-layout.ts';
import { readWhole, type DurableFiles } from '../../src/durable/durable-files.ts';
import { SimulatedFiles } from '../durable/simulated-files.ts';
import { seededSource } from '../fakes/seeded-stream.ts';

/** Segments of 512 bytes, two keys in a page: small enough to look at every crash. */
export const SMALL: Geometry = { segmentBytes: 512, keysPerPage: 2 };
/** What one small segment holds in one record: 512 less its header (16) and the record's cost (25). */
export const FULL_BYTES = 471;
/** What the cache is sure to find room for in one small segment: two records more are reckoned with. */
export const SURE_BYTES = 421;
/** A page of two keys takes two places of 4 KiB. */
export const PAGE_BYTES = 8192;
export const KEY_ENCRYPTION_KEY = Buffer.alloc(32, 'k');
export const HEADER_KEY = Buffer.alloc(32, 'h');
export const ORIGIN: Origin = { feeder: 1, rateUnits: 4096 };

export class EventLog implements EventSink {
  readonly seen: { readonly id: EventId; readonly detail: EventDetail }[] = [];

  emit(id: EventId, detail: EventDetail = {}): void {
    this.seen.push({ id, detail });
  }

  get ids(): EventId[] {
    return this.seen.map(({ id }) => id);
  }
}

export interface OpenOptions extends Partial<StorageCacheOptions> {
  readonly segments?: number;
  readonly reserveSegments?: number;
  /** Key-encryption keys, the one in force first. */
  readonly keys?: readonly Uint8Array[];
  readonly headerKey?: Uint8Array;
  readonly events?: EventSink;
  readonly counters?: Counters;
}

let lives = 0;

/** A small cache: four segments and a reserve of none, unless told otherwise. Each opening draws other keys. */
export function openStorage(files: DurableFiles, options: OpenOptions = {}): Promise<StorageCache> {
  const {
    segments = 4,
    reserveSegments = 0,
    keys,
    headerKey = HEADER_KEY,
    events,
    counters,
    ...rest
  } = options;
  return StorageCache.open(
    {
      directory: 'cache',
      capacityBytes: segments * SURE_BYTES,
      reserveBytes: reserveSegments * SURE_BYTES,
      geometry: SMALL,
      ...rest,
    },
    {
      files,
      random: seededSource(`storage ${lives++}`),
      keys: { headerKey, pageKeys: [...(keys ?? [KEY_ENCRYPTION_KEY])] },
      events: events ?? new EventLog(),
      counters: counters ?? new Counters(),
    },
  );
}

/** Bytes that say where they are from: each 4 hold the tag and their place, so none is like another. */
export function tagged(tag: number, lengthBytes: number): Buffer {
  const bytes = Buffer.alloc(Math.ceil(lengthBytes / 4) * 4);
  for (let at = 0; at < bytes.length; at += 4) {
    bytes.writeUInt16BE(tag, at);
    bytes.writeUInt16BE(at / 4, at + 2);
  }
  return bytes.subarray(0, lengthBytes);
}

export function bytesOf(portions: readonly Portion[] | undefined): Buffer {
  return Buffer.concat((portions ?? []).map(({ bytes }) => bytes));
}

/** Takes until nothing is left. */
export async function takeAll(cache: StorageCache): Promise<Portion[]> {
  const all: Portion[] = [];
  for (;;) {
    const portions = await cache.takeSegment();
    if (portions === undefined) return all;
    all.push(...portions);
  }
}

export async function contentOf(files: DurableFiles, name: 'segments' | 'keys'): Promise<Buffer> {
  return (await readWhole(files, `cache/${name}`, 1 << 24)) ?? Buffer.alloc(0);
}

/** Files that hold just these two. */
export async function filesWith(contents: { segments?: Buffer; keys?: Buffer }): Promise<SimulatedFiles> {
  const files = new SimulatedFiles();
  await files.makeDirectory('cache');
  for (const [name, bytes] of Object.entries(contents)) {
    await (await files.create(`cache/${name}`)).write(0, bytes);
  }
  files.disk.settle();
  return files;
}

export async function contentsOf(files: DurableFiles): Promise<{ segments: Buffer; keys: Buffer }> {
  return { segments: await contentOf(files, 'segments'), keys: await contentOf(files, 'keys') };
}

/** Where a small segment, or the pair of places of a page, begins in its file. */
export function segmentOffset(segment: number): number {
  return FILE_HEADER_BYTES + segment * SMALL.segmentBytes;
}

export function pageOffset(page: number, place = 0): number {
  return FILE_HEADER_BYTES + page * PAGE_BYTES + (place * PAGE_BYTES) / 2;
}
