import * as fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Counters } from '../../src/base/counters.ts';
import type { Origin } from '../../src/cache/origin.ts';
import { Reservoir, storageReserveBytes } from '../../src/cache/reservoir.ts';
import type { StorageCache } from '../../src/cache/storage-cache.ts';
import { DEFAULT_GEOMETRY } from '../../src/cache/storage-layout.ts';
import type { DurableFiles } from '../../src/durable/durable-files.ts';
import { count } from '../counts.ts';
import { exploreCrashes } from '../durable/crash-simulator.ts';
import { failing, SimulatedFiles } from '../durable/simulated-files.ts';
import { FakeClock, settle } from '../fakes/fake-clock.ts';
import { SeededStream } from '../fakes/seeded-stream.ts';
import { EventLog, FULL_BYTES, openStorage, takeAll } from './storage-fixture.ts';

/** The reservoir over the real storage cache: memory of 64 KiB, storage of 256 KiB, watermark at 20 %. */
const KIB = 1024;
const ORIGIN: Origin = { feeder: 1, rateUnits: 4096 };
const SIZES = { capacityBytes: 256 * KIB, reserveBytes: storageReserveBytes(64 * KIB) };
/** ceil(13,108 / 16,384) + 1 segments. */
const OPENED_AT_MOST_BYTES = 2 * 16 * KIB;

interface Life {
  readonly reservoir: Reservoir;
  readonly storage: StorageCache;
  readonly events: EventLog;
  readonly clock: FakeClock;
}

async function begin(files: DurableFiles): Promise<Life> {
  const [events, counters, clock] = [new EventLog(), new Counters(), new FakeClock()];
  const storage = await openStorage(files, { ...SIZES, geometry: DEFAULT_GEOMETRY, events, counters });
  const options = { memoryBytes: 64 * KIB, lowWatermarkPercent: 20 };
  const reservoir = new Reservoir(options, { storage, clock, events, counters });
  await reservoir.start();
  return { reservoir, storage, events, clock };
}

/** A stream of random bytes that is fed piece by piece; what is drawn is found again in it by any 8 bytes in a row. */
class Fed {
  readonly #stream = Buffer.from(new SeededStream('fed').bytes(4 << 20));
  readonly #drawn = new Uint8Array(this.#stream.length);
  #next = 0;

  bytes(lengthBytes: number): Uint8Array {
    this.#next += lengthBytes;
    return this.#stream.subarray(this.#next - lengthBytes, this.#next);
  }

  /** Fails when bytes come that were never fed, or that came before. */
  drew(bytes: Buffer): void {
    const isAt = (place: number, at: number): boolean =>
      at + 8 <= bytes.length && bytes.compare(this.#stream, place, place + 8, at, at + 8) === 0;
    for (let at = 0; at + 8 <= bytes.length;) {
      let place = this.#stream.subarray(0, this.#next).indexOf(bytes.subarray(at, at + 8));
      // Eight bytes over a seam between two pieces stand nowhere in the stream.
      if (place < 0) at++;
      for (; place >= 0 && isAt(place, at); at++, place++) {
        assert.is(this.#drawn[place], 0, `byte ${place} of the feed came twice`);
        this.#drawn[place] = 1;
      }
    }
  }
}

/** Draws up to so many bytes, waiting for refills. */
async function draw({ reservoir }: Life, lengthBytes: number): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for (let left = lengthBytes; left > 0;) {
    const target = Buffer.alloc(Math.min(4096, left));
    const { bytes } = reservoir.take(target);
    left -= bytes;
    pieces.push(target.subarray(0, bytes));
    if (bytes > 0) continue;
    reservoir.missed();
    if (!reservoir.refilling) break;
    await settle();
  }
  await settle();
  return Buffer.concat(pieces);
}

test('an orderly restart keeps every byte and its credit, and each is drawn once', async () => {
  const files = new SimulatedFiles();
  const source = new Fed();
  const first = await begin(files);
  for (let frame = 0; frame < 50; frame++) {
    const taken = await first.reservoir.receive(source.bytes(4 * KIB), ORIGIN);
    assert.is(taken.memoryBytes + taken.storedBytes, 4 * KIB);
  }
  source.drew(await draw(first, 10_000));
  await first.reservoir.stop();
  const second = await begin(files);
  assert.is(second.reservoir.bytes, 200 * KIB - 10_000);
  assert.is(second.reservoir.creditedUnits, (200 * KIB - 10_000) * ORIGIN.rateUnits);
  assert.is(second.reservoir.level, 'normal');
  const rest = await draw(second, 1 << 20);
  source.drew(rest);
  assert.is(rest.length, 200 * KIB - 10_000);
  assert.equal(second.events.ids, [
    'entropy.watermark.below',
    'entropy.memory.exhausted',
    'entropy.data.exhausted',
  ]);
});

test('a full restart leaves memory no more room than the next orderly stop can store', async () => {
  const files = new SimulatedFiles();
  const source = new Fed();
  let life = await begin(files);
  for (let start = 0; start < 4; start++) {
    for (let frame = 0; frame < 100; frame++) await life.reservoir.receive(source.bytes(4 * KIB), ORIGIN);
    const before = life.reservoir.bytes;
    assert.ok(before >= 319 * KIB - start * KIB, `${before} bytes are cached`);
    await life.reservoir.stop();
    life = await begin(files);
    assert.is(life.reservoir.bytes, before, `after stop ${start}`);
  }
});

test('restarts that leave little do not use up the room', async () => {
  const files = new SimulatedFiles();
  const source = new Fed();
  for (let start = 0; start < 40; start++) {
    const life = await begin(files);
    assert.ok(life.storage.roomBytes >= 14 * 16 * KIB, `start ${start}: ${life.storage.roomBytes}`);
    await life.storage.append(source.bytes(64), ORIGIN);
    if (start % 2 === 0) await life.reservoir.stop(); // else the process dies
  }
});

test('the reserve lets both caches be full, though each 256 bytes in memory are of another feeder', async () => {
  const { reservoir } = await begin(new SimulatedFiles());
  for (let frame = 0; frame < 256; frame++) {
    await reservoir.receive(new Uint8Array(256), { feeder: 1 + (frame % 2), rateUnits: 1 });
  }
  while (reservoir.roomBytes > 0) await reservoir.receive(new Uint8Array(16 * KIB), ORIGIN);
  const { memoryBytes, storedBytes } = reservoir.report();
  assert.equal([memoryBytes, storedBytes], [64 * KIB, 256 * KIB]);
  await reservoir.stop();
  assert.is(reservoir.report().storedBytes, 320 * KIB);
});

test('an orderly stop with both caches full loses nothing, whoever filled them and in whatever pieces', async () => {
  const piece = fc.record({
    feeder: fc.integer({ min: 1, max: 9 }),
    bytes: fc.oneof(fc.integer({ min: 1, max: 300 }), fc.integer({ min: 32, max: 65_536 })),
    drawn: fc.oneof({ weight: 9, arbitrary: fc.constant(0) }, fc.integer({ min: 1, max: 30_000 })),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(piece, { minLength: 1, maxLength: 30 }), async (pieces) => {
      const files = new SimulatedFiles();
      for (let start = 0; start < 3; start++) {
        const life = await begin(files);
        // Over and over, until nothing is taken any more.
        for (let took = 1, round = 0; took > 0 && round < 3000; round++) {
          const { feeder, bytes, drawn } = pieces[round % pieces.length] ?? { feeder: 1, bytes: 1, drawn: 0 };
          const origin = { feeder: feeder + (round % 2), rateUnits: 100 };
          const taken = await life.reservoir.receive(new Uint8Array(bytes), origin);
          took = taken.memoryBytes + taken.storedBytes;
          if (round < 2 * pieces.length) await draw(life, drawn);
        }
        const before = life.reservoir.bytes;
        await life.reservoir.stop();
        assert.is(life.storage.bytes, before, `stop ${start}`);
      }
    }),
    { numRuns: count(8, 100) },
  );
});

test('any use with deaths of the process: no byte twice, no more stored bytes lost than the opened segments', async () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant('receive' as const), bytes: fc.integer({ min: 8, max: 16_384 }) }),
    fc.record({ kind: fc.constant('draw' as const), bytes: fc.integer({ min: 1, max: 20_000 }) }),
    fc.record({ kind: fc.constantFrom('die' as const, 'stop' as const), bytes: fc.constant(0) }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 40 }), async (steps) => {
      const files = new SimulatedFiles();
      const source = new Fed();
      let life = await begin(files);
      for (const { kind, bytes } of steps) {
        if (kind === 'receive') await life.reservoir.receive(source.bytes(4 * bytes), ORIGIN);
        else if (kind === 'draw') source.drew(await draw(life, 4 * bytes));
        else {
          const before = life.reservoir.bytes;
          const storedBytes = life.storage.bytes;
          if (kind === 'stop') await life.reservoir.stop();
          life = await begin(files);
          if (kind === 'stop') assert.is(life.reservoir.bytes, before);
          else assert.is(life.reservoir.bytes, storedBytes, 'all that was not opened');
        }
      }
    }),
    { numRuns: count(10, 300) },
  );
});

test('of what was stored, a death of the process takes at most the opened segments', async () => {
  const files = new SimulatedFiles();
  const source = new Fed();
  const first = await begin(files);
  for (let frame = 0; frame < 60; frame++) await first.reservoir.receive(source.bytes(4 * KIB), ORIGIN);
  const stored = 60 * 4 * KIB - 64 * KIB;
  const drawn = await draw(first, 100 * KIB);
  const second = await begin(files);
  const lost = stored - (drawn.length - 64 * KIB) - second.reservoir.bytes;
  assert.ok(lost > 0 && lost <= OPENED_AT_MOST_BYTES, `${lost} bytes were lost`);
});

test('a disk that stops spending: the caches say so, and go on by themselves when it heals', async () => {
  const files = new SimulatedFiles();
  const life = await begin(files);
  for (let frame = 0; frame < 30; frame++) {
    await life.reservoir.receive(new Uint8Array(4 * KIB), ORIGIN);
  }
  files.fault = failing('write');
  await draw(life, 1 << 20);
  assert.is(life.reservoir.level, 'memory-exhausted');
  assert.ok(life.reservoir.report().storageFailure.length > 0);
  files.fault = undefined;
  await life.clock.advance(10_000);
  await settle();
  assert.is(life.reservoir.level, 'normal');
  assert.is(life.reservoir.report().storageFailure, '');
  for (const id of ['cache.storage.failed', 'entropy.memory.exhausted', 'cache.storage.healed'] as const)
    assert.ok(life.events.ids.includes(id), id);
});

test('the stop after one failed sync keeps what memory holds', async () => {
  const files = new SimulatedFiles();
  const life = await begin(files);
  files.fault = failing('sync', 'cache/segments');
  for (let frame = 0; frame < 17; frame++) await life.reservoir.receive(new Uint8Array(4 * KIB), ORIGIN);
  files.fault = undefined;
  assert.ok(life.storage.failure !== undefined);
  await life.reservoir.stop();
  assert.is((await begin(files)).reservoir.bytes, 64 * KIB);
});

test('power failure at any moment of a refill and a stop: what was drawn never comes back', async () => {
  const memory = { memoryBytes: 64 * KIB, lowWatermarkPercent: 1 };
  const sizes = { capacityBytes: 4 * FULL_BYTES, reserveSegments: 2 };
  const { disks } = await exploreCrashes({
    setup: async (files) => {
      const storage = await openStorage(files, sizes);
      for (const tag of [1, 2, 3, 4]) await storage.append(new Uint8Array(FULL_BYTES).fill(tag), ORIGIN);
      await storage.close();
    },
    run: async (files, mark) => {
      const storage = await openStorage(files, sizes);
      const dependencies = {
        storage,
        clock: new FakeClock(),
        events: new EventLog(),
        counters: new Counters(),
      };
      const reservoir = new Reservoir(memory, dependencies);
      await reservoir.start();
      const target = new Uint8Array(FULL_BYTES);
      reservoir.take(target);
      mark(`drawn ${target[0] ?? 0}`);
      await settle();
      await reservoir.stop();
      await storage.close();
      mark('stopped');
    },
    check: async (files, { completed }) => {
      const left = await takeAll(await openStorage(files, sizes));
      const tags = left.map(({ bytes }) => bytes[0] ?? 0);
      const bytesLeft = left.reduce((sum, { bytes }) => sum + bytes.length, 0);
      assert.not.ok(completed.has('drawn 1') && tags.includes(1), 'drawn before');
      assert.ok(bytesLeft >= FULL_BYTES, 'one was drawn, and two at most are open');
      if (completed.has('stopped')) assert.is(bytesLeft, 3 * FULL_BYTES);
    },
  });
  assert.ok(disks > 20);
});

test.run();
