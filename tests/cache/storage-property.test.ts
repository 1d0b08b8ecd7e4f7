import { test } from 'uvu';
import * as assert from 'uvu/assert';
import * as fc from 'fast-check';
import { isEntropyError } from '../../src/base/errors.ts';
import type { Portion } from '../../src/cache/origin.ts';
import { keyIdOf, openRecords } from '../../src/cache/segment-format.ts';
import type { StorageCache } from '../../src/cache/storage-cache.ts';
import { count } from '../counts.ts';
import { failing, SimulatedFiles } from '../durable/simulated-files.ts';
import {
  contentsOf,
  FULL_BYTES,
  filesWith,
  openStorage,
  segmentOffset,
  SMALL,
  SURE_BYTES,
} from './storage-fixture.ts';

const RUNS = { numRuns: count(60, 2000) };

type Step =
  | { readonly kind: 'append'; readonly lengths: readonly number[]; readonly feeder: number }
  | { readonly kind: 'take'; readonly at: 'once' | 'twice' }
  | { readonly kind: 'void'; readonly feeder: number }
  | { readonly kind: 'size'; readonly segments: number }
  | {
      readonly kind: 'fail';
      readonly operation: 'write' | 'sync';
      readonly file: 'segments' | 'keys';
      readonly after: number;
    }
  | { readonly kind: 'heal' }
  | { readonly kind: 'restart' };

const feeder = fc.integer({ min: 1, max: 3 });
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('append' as const),
      lengths: fc.array(fc.integer({ min: 1, max: 3 * FULL_BYTES }), { minLength: 1, maxLength: 3 }),
      feeder,
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('take' as const),
      at: fc.constantFrom('once' as const, 'twice' as const),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('void' as const), feeder }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('size' as const), segments: fc.integer({ min: 1, max: 9 }) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('fail' as const),
      operation: fc.constantFrom('write' as const, 'sync' as const),
      file: fc.constantFrom('segments' as const, 'keys' as const),
      after: fc.integer({ min: 0, max: 3 }),
    }),
  },
  { weight: 2, arbitrary: fc.constant({ kind: 'heal' } as const) },
  { weight: 1, arbitrary: fc.constant({ kind: 'restart' } as const) },
);

/** Every word of 4 bytes is another number, and the model knows whose it is and what became of it. */
class Model {
  readonly files = new SimulatedFiles();
  readonly fates = new Map<number, { feeder: number; stored: boolean }>();
  readonly voided = new Set<number>();
  #next = 1;

  fresh(lengthBytes: number, feeder: number): Buffer {
    const bytes = Buffer.alloc(Math.ceil(lengthBytes / 4) * 4);
    for (let at = 0; at < bytes.length; at += 4) {
      this.fates.set(this.#next, { feeder, stored: false });
      bytes.writeUInt32BE(this.#next++, at);
    }
    return bytes;
  }

  stored(bytes: Buffer): void {
    for (let at = 0; at < bytes.length; at += 4) this.fates.get(bytes.readUInt32BE(at))!.stored = true;
  }

  /** Bytes come out at most once, with the feeder they came from, only when they were stored, and never when voided. */
  given(portions: readonly Portion[], partial: { rest: Buffer }): void {
    for (const { origin, bytes } of portions) {
      const all = Buffer.concat([partial.rest, bytes]);
      const whole = all.length - (all.length % 4);
      for (let at = 0; at < whole; at += 4) {
        const word = all.readUInt32BE(at);
        const fate = this.fates.get(word);
        assert.ok(fate !== undefined, `${word} was given twice, or never stored`);
        assert.is(fate.feeder, origin.feeder);
        assert.ok(fate.stored, `${word} was refused`);
        assert.not.ok(this.voided.has(origin.feeder));
        this.fates.delete(word);
      }
      partial.rest = Buffer.from(all.subarray(whole));
    }
  }
}

/** No nonce twice: whatever stands in a segment at any time, a key and an index seal one record only. */
function assertNonces(files: SimulatedFiles): void {
  const sealed = new Map<string, string>();
  const image = Buffer.alloc(64 * SMALL.segmentBytes);
  for (const operation of files.operations) {
    if (operation.kind !== 'change' || operation.change.kind !== 'write') continue;
    if (!operation.label.startsWith('write cache/segments ')) continue;
    const { offset, bytes } = operation.change;
    if (offset < segmentOffset(0)) continue;
    const start = Math.floor((offset - segmentOffset(0)) / SMALL.segmentBytes) * SMALL.segmentBytes;
    const segment = image.subarray(start, start + SMALL.segmentBytes);
    const idBefore = segment.toString('hex', 0, 8);
    bytes.copy(image, offset - segmentOffset(0));
    const id = segment.toString('hex', 0, 8);
    // Under another key, or none, what stands behind the bytes just written is of an earlier life.
    if (id !== idBefore) segment.fill(0, bytes.length);
    if (/^0+$/.test(id)) continue;
    for (let at = 16, index = 0; at + 25 < segment.length && segment.readUInt16BE(at) > 0; index++) {
      const end = at + 25 + segment.readUInt16BE(at);
      const record = segment.toString('hex', at, Math.min(end, segment.length));
      const before = sealed.get(`${id} ${index}`);
      assert.ok(before === undefined || before === record, 'a nonce came twice under one key');
      sealed.set(`${id} ${index}`, record);
      at = end;
    }
  }
}

async function play(model: Model, steps: readonly Step[]): Promise<void> {
  let segments = 5;
  const open = (): Promise<StorageCache> => openStorage(model.files, { segments, reserveSegments: 1 });
  let cache = await open();
  const attempt = async <T>(work: () => Promise<T>): Promise<T | undefined> => {
    try {
      return await work();
    } catch (error) {
      assert.ok(error instanceof RangeError || isEntropyError(error, 'state-unwritable'), String(error));
      return undefined;
    }
  };
  for (const step of steps) {
    switch (step.kind) {
      case 'append':
        await Promise.all(
          step.lengths.map((length) =>
            attempt(async () => {
              const bytes = model.fresh(length, step.feeder);
              const room = cache.roomBytes;
              const fits = bytes.length <= room;
              try {
                const appended = cache.append(bytes, { feeder: step.feeder, rateUnits: 512 * step.feeder });
                await appended;
              } catch (error) {
                assert.not.ok(fits && error instanceof RangeError, 'the room that was told is there');
                throw error;
              }
              model.stored(bytes);
            }),
          ),
        );
        break;
      case 'take': {
        const takes = step.at === 'once' ? [cache.takeSegment()] : [cache.takeSegment(), cache.takeSegment()];
        for (const take of takes) {
          const portions = await attempt(() => take);
          if (portions !== undefined) model.given(wholeWords(portions), { rest: Buffer.alloc(0) });
        }
        break;
      }
      case 'void':
        model.voided.add(step.feeder);
        cache.voidFeeder(step.feeder);
        break;
      case 'size': {
        const prepared = await attempt(() =>
          cache.prepareSize({ capacityBytes: step.segments * SURE_BYTES, reserveBytes: SURE_BYTES }),
        );
        if (prepared === undefined) break;
        prepared.commit();
        segments = step.segments;
        break;
      }
      case 'fail': {
        let seen = 0;
        const fault = failing(step.operation, `cache/${step.file}`);
        model.files.fault = (operation, path) => {
          const error = fault(operation, path);
          return error !== undefined && seen++ >= step.after ? error : undefined;
        };
        break;
      }
      case 'heal':
        model.files.fault = undefined;
        assert.ok(await cache.probe());
        break;
      case 'restart':
        model.files.fault = undefined;
        await cache.probe();
        await cache.close();
        cache = await open();
        assert.is(cache.found.damagedSegments + cache.found.damagedPages, 0);
        for (const voided of model.voided) cache.voidFeeder(voided);
        break;
    }
    assert.ok(cache.bytes >= 0 && cache.creditedUnits >= 0 && cache.roomBytes >= 0);
  }
  model.files.fault = undefined;
  assert.ok(await cache.probe());
  for (;;) {
    const told = cache.bytes;
    const portions = await cache.takeSegment();
    if (portions === undefined) break;
    assert.is(
      told - cache.bytes,
      portions.reduce((sum, { bytes }) => sum + bytes.length, 0),
    );
    model.given(wholeWords(portions), { rest: Buffer.alloc(0) });
  }
  assert.equal([cache.bytes, cache.creditedUnits], [0, 0]);
  assertNonces(model.files);
}

/** A record may begin or end within a word; such words are left out. */
function wholeWords(portions: readonly Portion[]): Portion[] {
  return portions.map(({ origin, bytes }) => ({ origin, bytes: aligned(Buffer.from(bytes)) }));
}

/** Words count up by one, so the shift at which they do is the right one. */
function aligned(bytes: Buffer): Buffer {
  for (let shift = 0; shift < 4; shift++) {
    const part = bytes.subarray(shift, shift + Math.floor((bytes.length - shift) / 4) * 4);
    if (part.length >= 8 && part.readUInt32BE(4) === part.readUInt32BE(0) + 1) return part;
  }
  return Buffer.alloc(0);
}

test('any course of events: bytes come out once, whole, as stored, of their feeder; no nonce comes twice', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => play(new Model(), steps)),
    RUNS,
  );
});

test('any bytes as a segment open to nothing, and stay within bounds', () => {
  const seal = { key: Buffer.alloc(32, 1), cacheId: Buffer.alloc(16, 2), segment: 3 };
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 2000 }), (bytes) => {
      assert.is(openRecords(seal, Buffer.from(bytes)).portions.length, 0);
    }),
    RUNS,
  );
  assert.is(keyIdOf(seal.key).length, 8);
});

test('any bytes in the place of part of either file: it opens, and goes on', async () => {
  const part = fc.record({
    name: fc.constantFrom('segments' as const, 'keys' as const),
    at: fc.double({ min: 0, max: 1, noNaN: true }),
    bytes: fc.uint8Array({ minLength: 1, maxLength: 600 }),
    cut: fc.boolean(),
  });
  const files = new SimulatedFiles();
  const first = await openStorage(files);
  await first.append(Buffer.alloc(3 * SURE_BYTES, 7), { feeder: 1, rateUnits: 1 });
  await first.close();
  const contents = await contentsOf(files);
  await fc.assert(
    fc.asyncProperty(part, async ({ name, at, bytes, cut }) => {
      const copy = Buffer.from(contents[name]);
      const offset = Math.floor(at * copy.length);
      Buffer.from(bytes).copy(copy, offset);
      const changed = { ...contents, [name]: cut ? copy.subarray(0, offset) : copy };
      const cache = await openStorage(await filesWith(changed));
      if (cache.failure?.code === 'state-version-newer') return; // a higher version number: refused as it is
      assert.is(cache.failure, undefined);
      for (;;) {
        const portions = await cache.takeSegment();
        if (portions === undefined) break;
        for (const portion of portions) assert.ok(portion.bytes.every((byte) => byte === 7));
      }
      await cache.append(Buffer.alloc(100, 8), { feeder: 1, rateUnits: 1 });
    }),
    RUNS,
  );
});

test.run();
