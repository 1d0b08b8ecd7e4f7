import * as fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { isAllZero } from '../../src/base/bytes.ts';
import { MemoryCache } from '../../src/cache/memory-cache.ts';
import type { Origin } from '../../src/cache/origin.ts';
import { count } from '../counts.ts';

const A: Origin = { feeder: 1, rateUnits: 8192 };
const B: Origin = { feeder: 2, rateUnits: 32 };

/** A cache, and the memory it works on. */
function cacheOf(sizeBytes: number, chunkLimit = 64) {
  let memory: Uint8Array = new Uint8Array(0);
  const lock = (given: Uint8Array): boolean => {
    memory = given;
    return true;
  };
  const cache = new MemoryCache({ sizeBytes, chunkLimit }, { lock });
  return { cache, memory: () => memory };
}

function bytes(length: number, first = 1): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => 1 + ((first - 1 + i) % 255));
}

function takeAll(cache: MemoryCache, pieceBytes = 1 << 20): number[] {
  const all: number[] = [];
  for (const target = new Uint8Array(pieceBytes); ;) {
    const taken = cache.take(target);
    if (taken === undefined) return all;
    all.push(...target.subarray(0, taken.bytes));
  }
}

test('bytes come out in the order they went in, with their origin and time, one origin at a time', () => {
  const { cache } = cacheOf(16);
  assert.is(cache.put(bytes(4), A, 10), 4);
  assert.is(cache.put(bytes(3, 5), B, 20), 3);
  assert.equal([cache.bytes, cache.roomBytes, cache.creditedUnits], [7, 9, 4 * 8192 + 3 * 32]);
  assert.equal([cache.nextRateUnits, cache.nextAtMs], [8192, 10]);
  const target = new Uint8Array(16);
  assert.equal(cache.take(target), { bytes: 4, origin: A, atMs: 10 });
  assert.equal([cache.nextRateUnits, cache.nextAtMs], [32, 20]);
  assert.equal(cache.take(target.subarray(4)), { bytes: 3, origin: B, atMs: 20 });
  assert.equal([...target.subarray(0, 7)], [...bytes(7)]);
  assert.is(cache.take(target), undefined);
  assert.equal([cache.bytes, cache.creditedUnits, cache.nextRateUnits, cache.nextAtMs], [0, 0, 0, undefined]);
});

test('takes what fits of a put and says how much; a full cache takes nothing', () => {
  const { cache } = cacheOf(8);
  assert.is(cache.put(bytes(6), A, 0), 6);
  assert.is(cache.put(bytes(6, 7), A, 0), 2);
  assert.is(cache.put(bytes(1), A, 0), 0);
  assert.is(cache.roomBytes, 0);
  assert.equal(takeAll(cache), [...bytes(8)]);
});

test('a byte is zero in the ring from the moment it was taken, also across the end of the ring', () => {
  const { cache, memory } = cacheOf(8);
  cache.put(bytes(6), A, 0);
  cache.take(new Uint8Array(5));
  assert.equal([...memory()], [0, 0, 0, 0, 0, 6, 0, 0]);
  cache.put(bytes(6, 7), A, 0);
  assert.equal([...memory()], [9, 10, 11, 12, 0, 6, 7, 8]);
  cache.take(new Uint8Array(5));
  assert.equal([...memory()], [0, 0, 11, 12, 0, 0, 0, 0]);
  cache.wipe();
  assert.ok(isAllZero(memory()));
  assert.is(cache.bytes, 0);
});

test('the table of chunks is bounded: neighbours of one origin share a chunk, others find no room when it is full', () => {
  const { cache } = cacheOf(1024, 3);
  for (let i = 0; i < 10; i++) assert.is(cache.put(bytes(1), A, 0), 1, 'one chunk');
  assert.is(cache.put(bytes(1), B, 0), 1);
  assert.ok(cache.roomBytes > 0);
  assert.is(cache.put(bytes(1), A, 0), 1, 'the third, and last');
  assert.is(cache.roomBytes, 0);
  assert.is(cache.put(bytes(1), B, 0), 0);
  assert.is(cache.put(bytes(1), A, 99_999), 1, 'joins the last whatever its age');
  cache.take(new Uint8Array(10));
  assert.is(cache.put(bytes(1), B, 0), 1, 'a chunk was free again');
});

test('bytes that came over a second after a chunk began have a chunk of their own; a chunk tells the time of its first', () => {
  const { cache } = cacheOf(64);
  for (const atMs of [0, 1000, 1001, 2001, 2002]) cache.put(bytes(1), A, atMs);
  const times: number[] = [];
  for (let taken; (taken = cache.take(new Uint8Array(64))) !== undefined;) times.push(taken.atMs);
  assert.equal(times, [0, 1001, 2002]);
});

test('bytes of unknown age never make later ones look fresh, nor the other way round', () => {
  const { cache } = cacheOf(64, 2);
  cache.put(bytes(1), A, 5);
  cache.put(bytes(1), A, -Infinity);
  cache.put(bytes(1), A, -Infinity);
  const times: number[] = [];
  for (let taken; (taken = cache.take(new Uint8Array(64))) !== undefined;) times.push(taken.atMs);
  assert.equal(times, [5, -Infinity]);
});

test('voiding a feeder destroys its bytes alone and keeps the order of the others', () => {
  const { cache, memory } = cacheOf(40, 4);
  cache.put(bytes(10, 1), A, 0);
  cache.put(bytes(10, 101), B, 0);
  cache.put(bytes(10, 11), A, 0);
  cache.put(bytes(10, 111), B, 0);
  cache.take(new Uint8Array(5));
  assert.is(cache.voidFeeder(2), 20);
  assert.is(cache.creditedUnits, 15 * 8192);
  assert.not.ok(
    memory().some((byte) => byte > 100),
    'no byte of the other is left',
  );
  assert.equal(takeAll(cache), [...bytes(15, 6)]);
  assert.is(cache.voidFeeder(1), 0);
});

test('voiding keeps every other byte of a full table, though long chunks are moved in two pieces', () => {
  const { cache } = cacheOf(40_000, 2);
  cache.put(bytes(20_000), A, 0);
  cache.put(bytes(10_000), B, 0);
  assert.is(cache.roomBytes, 0);
  assert.is(cache.voidFeeder(3), 0);
  assert.is(cache.bytes, 30_000);
  assert.equal(takeAll(cache), [...bytes(20_000), ...bytes(10_000)]);
});

test('another size keeps the oldest that fit and gives back the rest, each with its origin; the old memory is zero', () => {
  const { cache, memory } = cacheOf(32);
  cache.put(bytes(10), A, 7);
  cache.put(bytes(10, 11), B, 8);
  const old = memory();
  const { cache: smaller, overflow } = cache.resized({ sizeBytes: 12, chunkLimit: 2 });
  assert.ok(isAllZero(old));
  assert.is(smaller.creditedUnits, 10 * 8192 + 2 * 32);
  assert.is(smaller.nextAtMs, 7);
  assert.equal(takeAll(smaller), [...bytes(12)]);
  assert.equal(
    overflow.map(({ origin, bytes: rest }) => [origin, [...rest]]),
    [[B, [...bytes(8, 13)]]],
  );
  assert.ok(smaller.locked, 'locked as the one before');
});

test('a host that refuses to lock memory is told, and goes on', () => {
  assert.not.ok(new MemoryCache({ sizeBytes: 8 }, { lock: () => false }).locked);
  assert.not.ok(new MemoryCache({ sizeBytes: 8 }).locked);
});

test('refused: sizes that no cache has', () => {
  for (const sizeBytes of [0, -1, 1.5, NaN])
    assert.throws(() => new MemoryCache({ sizeBytes }), /sizeBytes is a whole number/);
  assert.throws(() => new MemoryCache({ sizeBytes: 8, chunkLimit: 0 }), /chunkLimit/);
});

test('any puts, takes and voids do what a plain list does, and leave no byte behind', () => {
  const step = fc.oneof(
    fc.record({
      put: fc.integer({ min: 0, max: 30 }),
      feeder: fc.integer({ min: 1, max: 3 }),
      atMs: fc.nat(3000),
    }),
    fc.record({ take: fc.integer({ min: 1, max: 30 }) }),
    fc.record({ void: fc.integer({ min: 1, max: 3 }) }),
  );
  const cases = fc.tuple(
    fc.integer({ min: 1, max: 50 }),
    fc.integer({ min: 1, max: 6 }),
    fc.array(step, { maxLength: 100, size: 'max' }),
  );
  fc.assert(
    fc.property(cases, ([sizeBytes, chunkLimit, steps]) => {
      const { cache, memory } = cacheOf(sizeBytes, chunkLimit);
      let model: { feeder: number; byte: number }[] = [];
      let next = 0;
      for (const one of steps) {
        if ('put' in one) {
          const given = Uint8Array.from({ length: one.put }, () => 1 + (next++ % 255));
          const room = cache.roomBytes;
          const taken = cache.put(given, { feeder: one.feeder, rateUnits: one.feeder }, one.atMs);
          assert.ok(taken >= Math.min(room, one.put), 'whatever there is room for is taken');
          model.push(...[...given.subarray(0, taken)].map((byte) => ({ feeder: one.feeder, byte })));
        } else if ('take' in one) {
          const target = new Uint8Array(one.take);
          const taken = cache.take(target);
          const expected = model.splice(0, taken?.bytes ?? 0);
          assert.equal(
            [...target.subarray(0, taken?.bytes ?? 0)],
            expected.map(({ byte }) => byte),
          );
          assert.ok(expected.every(({ feeder }) => feeder === taken?.origin.feeder));
        } else {
          const before = model.length;
          model = model.filter(({ feeder }) => feeder !== one.void);
          assert.is(cache.voidFeeder(one.void), before - model.length);
        }
        assert.is(cache.bytes, model.length);
        assert.is(
          cache.creditedUnits,
          model.reduce((sum, { feeder }) => sum + feeder, 0),
        );
        assert.is(memory().filter((byte) => byte !== 0).length, model.length);
      }
      assert.equal(
        takeAll(cache, 7),
        model.map(({ byte }) => byte),
      );
    }),
    { numRuns: count(300, 10_000) },
  );
});

test.run();
