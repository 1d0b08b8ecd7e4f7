import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  CACHE_KEYS,
  cacheKeys,
  COUNTER_ID_BYTES,
  decodeCacheKeys,
  encodeCacheKeys,
  isBound,
  newRing,
  readCacheKeys,
  type CacheKeyRing,
} from '../../src/state/cache-key-ring.ts';
import { newestOnly, standingOf, usable, withNewKey } from '../../src/state/generation.ts';
import { NoneWrapping } from '../../src/state/root-key.ts';
import { StateArchive } from '../../src/state/state-archive.ts';
import { SimulatedFiles } from '../durable/simulated-files.ts';
import { seededSource } from '../fakes/seeded-stream.ts';
import { rejectsWith, throwsWith } from '../rejects.ts';

const random = seededSource('cache keys');
const ID = Buffer.alloc(COUNTER_ID_BYTES, 7);
const OTHER_ID = Buffer.alloc(COUNTER_ID_BYTES, 8);

function open(files: SimulatedFiles): Promise<StateArchive> {
  return StateArchive.open({ mode: 'NONE' }, { files, random, wrappings: [new NoneWrapping({ random })] });
}

function ringAt(generation: number, keys = 1): CacheKeyRing {
  const ring = newRing(random, { generation, counterId: ID });
  return { ...ring, pageKeys: Array.from({ length: keys }, () => newRing(random).pageKeys[0]!) };
}

test('the keys of the caches are made once, bound to no counter, and outlive the process', async () => {
  const files = new SimulatedFiles();
  const archive = await open(files);
  assert.is(readCacheKeys({ archive }), undefined);
  const made = await cacheKeys({ archive, random });
  assert.equal([made.generation, isBound(made), made.pageKeys.length], [0, false, 1]);
  assert.not.equal(made.headerKey, made.pageKeys[0]);
  await archive.close();
  const reopened = await open(files);
  assert.equal(await cacheKeys({ archive: reopened, random }), made);
});

test('a refused archive gives no keys, and none are made in their place', async () => {
  const archive = await open(new SimulatedFiles());
  await archive.close();
  await rejectsWith(cacheKeys({ archive, random }), 'state-unwritable');
});

test('what is written is read again: 1 to 4 keys, generation and counter', () => {
  for (const keys of [1, 2, 3, 4]) {
    const ring = ringAt(2 ** 52 + keys, keys);
    assert.equal(decodeCacheKeys(encodeCacheKeys(ring)), ring);
  }
});

test('the single key of an earlier version does for headers and pages', () => {
  const key = Buffer.alloc(32, 1);
  const ring = decodeCacheKeys(key);
  assert.equal([ring.headerKey, ring.pageKeys, ring.generation, isBound(ring)], [key, [key], 0, false]);
});

test('what cannot be: another length, other magic, no key, five keys, a newer version, a number too high', async () => {
  const sound = encodeCacheKeys(ringAt(5, 4));
  const damaged = [
    Buffer.alloc(0),
    Buffer.alloc(31),
    Buffer.alloc(33),
    sound.subarray(0, 84),
    sound.subarray(0, -1),
    Buffer.concat([sound, Buffer.alloc(32)]),
    Buffer.concat([Buffer.from('x'), sound.subarray(1)]),
    Buffer.concat([sound.subarray(0, 12), Buffer.alloc(8, 0xff), sound.subarray(20)]),
  ];
  for (const document of damaged) throwsWith(() => decodeCacheKeys(document), 'state-damaged');
  const newer = Buffer.from(sound);
  newer.writeUInt32BE(2, 8);
  throwsWith(() => decodeCacheKeys(newer), 'state-version-newer');
  const archive = await open(new SimulatedFiles());
  await archive.save(CACHE_KEYS, Buffer.alloc(31, 1));
  await rejectsWith(cacheKeys({ archive, random }), 'state-damaged');
});

test('a generation below the counter is an older copy; above it a change began; another counter binds anew', () => {
  assert.is(standingOf(ringAt(4), { id: ID, value: 5 }), 'older');
  assert.is(standingOf(ringAt(5), { id: ID, value: 5 }), 'current');
  assert.is(standingOf(ringAt(6), { id: ID, value: 5 }), 'changing');
  assert.is(standingOf(ringAt(4), { id: OTHER_ID, value: 5 }), 'unbound');
  assert.is(standingOf(newRing(random), { id: ID, value: 5 }), 'unbound');
});

test('once the counter has counted a key the older ones open nothing; before that they do', () => {
  const ring = ringAt(5, 3);
  assert.equal(usable(ring, { id: ID, value: 5 }), newestOnly(ring));
  assert.equal(usable(ring, { id: ID, value: 4 }), ring);
});

test('a new key has a number that no key had, and one that failed often enough is tried again instead', () => {
  const reading = { id: ID, value: 5 };
  assert.equal(withNewKey(undefined, reading, random).generation, 6);
  const unbound = withNewKey(newRing(random), reading, random);
  assert.equal([unbound.generation, unbound.counterId, unbound.pageKeys.length], [6, ID, 2]);
  let ring = ringAt(5, 2);
  const numbers: number[] = [];
  for (let failed = 0; failed < 6; failed++) {
    ring = withNewKey(ring, reading, random);
    numbers.push(ring.generation, ring.pageKeys.length);
  }
  assert.equal(numbers, [6, 2, 7, 3, 8, 4, 8, 4, 8, 4, 8, 4]);
  let pruned = ringAt(5);
  for (let failed = 0; failed < 6; failed++) pruned = newestOnly(withNewKey(pruned, reading, random));
  assert.is(pruned.generation, 9, 'the counter never has far to go');
  assert.is(withNewKey(ringAt(5), { id: ID, value: 9 }, random).generation, 10, 'somebody else counted on');
  assert.is(withNewKey(ringAt(50), { id: OTHER_ID, value: 9 }, random).generation, 10, 'another counter');
});

test.run();
