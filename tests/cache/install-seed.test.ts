import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Counters } from '../../src/base/counters.ts';
import { openInstallSeed, writeInstallSeed } from '../../src/cache/install-seed.ts';
import type { Origin } from '../../src/cache/origin.ts';
import { Reservoir, storageReserveBytes } from '../../src/cache/reservoir.ts';
import { SeedFirstStore } from '../../src/cache/seed-first-store.ts';
import { DEFAULT_GEOMETRY } from '../../src/cache/storage-layout.ts';
import type { DurableFiles } from '../../src/durable/durable-files.ts';
import { failing, SimulatedFiles } from '../durable/simulated-files.ts';
import { FakeClock, settle } from '../fakes/fake-clock.ts';
import { SeededStream, seededSource } from '../fakes/seeded-stream.ts';
import { EventLog, HEADER_KEY, KEY_ENCRYPTION_KEY, openStorage } from './storage-fixture.ts';

/** The install seed in front of the real storage cache: memory of 64 KiB, storage of 256 KiB, watermark at 20 %. */
const KIB = 1024;
const SEED_BYTES = 200 * KIB;
const SEED_RATE = 1024;
const FEEDER: Origin = { feeder: 1, rateUnits: 8192 };
const MEMORY_BYTES = 64 * KIB;
const SEED = Buffer.from(new SeededStream('install seed').bytes(SEED_BYTES));
const FED = Buffer.from(new SeededStream('fed').bytes(512 * KIB));
let lives = 0;

function dependencies(files: DurableFiles, events = new EventLog()) {
  return {
    files,
    random: seededSource(`install seed ${lives++}`),
    keys: { headerKey: HEADER_KEY, pageKeys: [KEY_ENCRYPTION_KEY] },
    events,
    counters: new Counters(),
  };
}

/** Files on which the seed was installed. */
async function installed(): Promise<SimulatedFiles> {
  const files = new SimulatedFiles();
  await writeInstallSeed({ seed: SEED, rateUnits: SEED_RATE }, dependencies(files));
  return files;
}

/** A process of the daemon: what it draws is found again in the seed, or in what was fed. */
async function begin(files: SimulatedFiles, drawn: Uint8Array = new Uint8Array(SEED_BYTES)) {
  const events = new EventLog();
  const parts = dependencies(files, events);
  const clock = new FakeClock();
  const feeders = await openStorage(files, {
    capacityBytes: 256 * KIB,
    reserveBytes: storageReserveBytes(MEMORY_BYTES),
    geometry: DEFAULT_GEOMETRY,
    events,
  });
  const seed = await openInstallSeed({ seedBytes: SEED_BYTES }, parts);
  const storage = new SeedFirstStore({ seed, feeders });
  const options = { memoryBytes: MEMORY_BYTES, lowWatermarkPercent: 20 };
  const reservoir = new Reservoir(options, { storage, clock, events, counters: parts.counters });
  await reservoir.start();
  let fedBytes = 0;
  const feed = (bytes: number) => {
    const frame = FED.subarray(fedBytes, (fedBytes += bytes));
    return reservoir.receive(frame, FEEDER);
  };
  /** Draws 1 KiB at a time, and notes which bytes of the seed came; gives the rates in the order they came. */
  const draw = async (bytes: number): Promise<number[]> => {
    const rates: number[] = [];
    for (let left = bytes; left > 0;) {
      const target = Buffer.alloc(Math.min(left, KIB));
      const taken = reservoir.take(target);
      await settle();
      if (taken.bytes === 0 && reservoir.nextRateUnits === 0) break;
      left -= taken.bytes;
      if (taken.bytes === 0) continue;
      if (rates.at(-1) !== taken.rateUnits) rates.push(taken.rateUnits);
      if (taken.rateUnits === SEED_RATE) note(drawn, target.subarray(0, taken.bytes));
    }
    return rates;
  };
  return { reservoir, events, clock, seed, feeders, feed, draw, drawn };
}

/** Marks the place of these bytes in the seed; they must be of it, and new. A piece may span a seam between segments. */
function note(drawn: Uint8Array, bytes: Buffer): void {
  for (let at = 0; at < bytes.length;) {
    let place = SEED.indexOf(bytes.subarray(at, at + Math.min(8, bytes.length - at)));
    assert.ok(place >= 0, 'what has the rate of the seed is of the seed');
    for (; at < bytes.length && SEED[place] === bytes[at]; at++, place++) {
      assert.is(drawn[place], 0, `byte ${place} of the seed came twice`);
      drawn[place] = 1;
    }
  }
}

test('the seed is drawn first: frames that come meanwhile go to storage and wait', async () => {
  const { feed, draw, reservoir, drawn } = await begin(await installed());
  assert.equal(await feed(10 * KIB), { memoryBytes: 0, storedBytes: 10 * KIB });
  assert.equal(await draw(100 * KIB), [SEED_RATE]);
  assert.equal(await feed(10 * KIB), { memoryBytes: 0, storedBytes: 10 * KIB });
  assert.equal(await draw(SEED_BYTES + 20 * KIB - 100 * KIB), [SEED_RATE, FEEDER.rateUnits]);
  assert.ok(
    drawn.every((times) => times === 1),
    'all of the seed came',
  );
  assert.is(reservoir.bytes, 0);
  assert.equal(await feed(KIB), { memoryBytes: KIB, storedBytes: 0 });
});

test('it counts beside the limits of the caches, at its own rate', async () => {
  const { reservoir, feed } = await begin(await installed());
  const { roomBytes, storedBytes, installSeedBytes, creditedBits, memoryBytes } = reservoir.report();
  assert.equal(
    [roomBytes, storedBytes, installSeedBytes, creditedBits],
    [256 * KIB, 0, SEED_BYTES, SEED_BYTES],
  );
  assert.ok(memoryBytes >= 0.2 * MEMORY_BYTES, 'memory was filled from it');
  await feed(256 * KIB);
  assert.equal([reservoir.report().storedBytes, reservoir.roomBytes], [256 * KIB, 0]);
});

test('an orderly stop puts what was in memory back; later processes go on until all is used, each byte once', async () => {
  const files = await installed();
  const drawn = new Uint8Array(SEED_BYTES);
  let left = SEED_BYTES;
  for (let life = 0; life < 8; life++) {
    const { reservoir, draw } = await begin(files, drawn);
    assert.is(reservoir.report().installSeedBytes, left, `life ${life}`);
    await draw(25 * KIB);
    left -= 25 * KIB;
    await reservoir.stop();
  }
  assert.is(left, 0);
  assert.ok(drawn.every((times) => times === 1));
  const last = await begin(files, drawn);
  assert.equal([last.reservoir.bytes, await last.draw(KIB)], [0, []]);
});

test('a crash loses what was in memory, at most two segments here, and brings nothing back', async () => {
  const files = await installed();
  const first = await begin(files);
  await first.draw(50 * KIB);
  const left = first.seed.bytes;
  const second = await begin(files, first.drawn);
  assert.is(second.reservoir.report().installSeedBytes, left);
  assert.ok(SEED_BYTES - 50 * KIB - left <= 2 * 16 * KIB);
  await second.draw(SEED_BYTES);
});

test('that it is used up is told once, when the last byte was drawn and not before', async () => {
  const { events, draw, reservoir } = await begin(await installed());
  await draw(SEED_BYTES - 16);
  assert.not.ok(events.ids.includes('install.seed.used'));
  assert.is(reservoir.report().installSeedBytes, 16);
  await draw(16);
  assert.is(events.ids.filter((id) => id === 'install.seed.used').length, 1);
  await reservoir.stop();
});

test('a process that finds nothing left tells it too', async () => {
  const files = await installed();
  const first = await begin(files);
  await first.draw(SEED_BYTES - 10);
  const second = await begin(files, first.drawn);
  assert.ok(second.events.ids.includes('install.seed.used'), 'the crash lost the last ten bytes');
});

test('while the disk refuses to spend the seed, frames go to memory; once it heals, the seed goes on', async () => {
  const files = await installed();
  const { draw, feed, clock, reservoir } = await begin(files);
  files.fault = failing('write', 'cache/install-seed/keys');
  await draw(40 * KIB);
  assert.ok(reservoir.report().storageFailure !== '');
  assert.is((await feed(KIB)).memoryBytes, KIB);
  files.fault = undefined;
  await clock.advance(10_000);
  await settle();
  assert.is(reservoir.report().storageFailure, '');
  assert.equal((await feed(KIB)).memoryBytes, 0);
  assert.equal((await draw(2 * SEED_BYTES)).slice(0, 2), [FEEDER.rateUnits, SEED_RATE]);
});

test('a smaller memory cache puts bytes of the seed back to it', async () => {
  const files = await installed();
  const { reservoir, draw, seed } = await begin(files);
  await draw(KIB);
  const before = reservoir.report().installSeedBytes;
  const sizes = { memoryBytes: 4 * KIB, lowWatermarkPercent: 20, storageBytes: 256 * KIB };
  (await reservoir.prepareSizes(sizes)).commit();
  await settle();
  assert.is(reservoir.report().installSeedBytes, before);
  assert.is(seed.bytes, before - 4 * KIB);
});

test('damage in the area of the seed is told with its name, and the feeders’ cache is not touched by it', async () => {
  const files = await installed();
  await files.remove('cache/install-seed/keys');
  const { events, feed, draw } = await begin(files);
  const damage = events.seen.find(({ id }) => id === 'cache.damaged');
  assert.is(damage?.detail.area, 'install-seed');
  await feed(10 * KIB);
  assert.equal(await draw(10 * KIB), [FEEDER.rateUnits]);
});

test.run();
