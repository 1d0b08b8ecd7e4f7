import * as fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Counters } from '../../src/base/counters.ts';
import { EventBus } from '../../src/base/events.ts';
import { SeenPayloads } from '../../src/cache/seen-payloads.ts';
import type { DurableFiles } from '../../src/durable/durable-files.ts';
import { count } from '../counts.ts';
import { exploreCrashes } from '../durable/crash-simulator.ts';
import { failing, SimulatedFiles } from '../durable/simulated-files.ts';
import { FakeClock, settle } from '../fakes/fake-clock.ts';
import { SeededStream } from '../fakes/seeded-stream.ts';
import { rejectsWith } from '../rejects.ts';

const PATH = 'cache/seen';
const KEY = new SeededStream('key').bytes(32);

async function openSeen(files: DurableFiles, options = {}, key = KEY) {
  const events = new EventBus({ capacity: 10 }, { clock: new FakeClock(), counters: new Counters() });
  const seen = await SeenPayloads.open(options, { files, key, events });
  return { seen, told: () => events.since(0).records.map(({ id }) => id) };
}

/** Payload n: 32 bytes that no other number gives. */
function payload(n: number): Uint8Array {
  const bytes = Buffer.alloc(32, 0xab);
  bytes.writeUInt32BE(n);
  return bytes;
}

/** How many of the payloads from `first` to `last` were seen before; each is remembered then. */
function seenOf(seen: SeenPayloads, first: number, last: number): number {
  let known = 0;
  for (let n = first; n <= last; n++) if (seen.sawBefore(payload(n))) known++;
  return known;
}

test('a payload is new once, and every other byte or length makes it another', async () => {
  const { seen } = await openSeen(new SimulatedFiles());
  const first = payload(1);
  assert.not.ok(seen.sawBefore(first));
  assert.ok(seen.sawBefore(first));
  for (let at = 0; at < first.length; at++) {
    const other = first.slice();
    other[at] = (other[at] ?? 0) ^ 1;
    assert.not.ok(seen.sawBefore(other));
  }
  assert.not.ok(seen.sawBefore(first.subarray(0, 31)));
});

test('it outlives an orderly stop, and holds under its own key alone', async () => {
  const files = new SimulatedFiles();
  const { seen } = await openSeen(files);
  assert.is(seenOf(seen, 1, 100), 0);
  await seen.close();
  const again = (await openSeen(files)).seen;
  assert.is(seenOf(again, 1, 100), 100);
  await again.close();
  const other = (await openSeen(files, {}, new SeededStream('other').bytes(32))).seen;
  assert.is(seenOf(other, 1, 100), 0);
});

test('neither payloads nor their plain digests stand in the file', async () => {
  const files = new SimulatedFiles();
  const { seen } = await openSeen(files);
  seen.sawBefore(payload(1));
  await seen.close();
  const content = (await (await files.open(PATH))?.read(0, 2 << 20)) ?? Buffer.alloc(0);
  assert.is(content.length, 4096 + 65_536 * 16, 'its size never changes');
  assert.is(content.indexOf(Buffer.alloc(8, 0xab)), -1);
});

test('remembers exactly as many as it has places; then the oldest is forgotten for the newest', async () => {
  const { seen } = await openSeen(new SimulatedFiles(), { capacity: 128 });
  assert.is(seenOf(seen, 1, 128), 0);
  assert.is(seenOf(seen, 1, 128), 128);
  assert.not.ok(seen.sawBefore(payload(129)));
  assert.ok(seen.sawBefore(payload(2)));
  assert.not.ok(seen.sawBefore(payload(1)), 'the oldest was forgotten, and is remembered again');
  assert.not.ok(seen.sawBefore(payload(2)), 'in place of the next oldest');
});

test('a flood of repeats makes nothing forgotten', async () => {
  const { seen } = await openSeen(new SimulatedFiles(), { capacity: 64 });
  seenOf(seen, 1, 64);
  for (let i = 0; i < 1000; i++) assert.ok(seen.sawBefore(payload(64)));
  assert.is(seenOf(seen, 1, 64), 64);
});

test('all 65,536 places are found again after a restart, within the time of their digests', async () => {
  const files = new SimulatedFiles();
  const { seen } = await openSeen(files);
  const extra = 1000;
  assert.is(seenOf(seen, 1, 65_536 + extra), 0);
  await seen.close();
  const again = (await openSeen(files)).seen;
  assert.is(seenOf(again, extra + 1, 65_536 + extra), 65_536);
  assert.not.ok(again.sawBefore(payload(extra)), 'older than that it is new again');
});

test('records are written 64 at a time; a process that dies forgets fewer', async () => {
  const files = new SimulatedFiles();
  const { seen } = await openSeen(files);
  await seen.flush();
  const before = files.syncs;
  seenOf(seen, 1, 63);
  await settle();
  assert.is(files.syncs, before);
  seenOf(seen, 64, 100);
  await settle();
  assert.is(files.syncs, before + 1);
  const survivor = (await openSeen(files)).seen;
  assert.is(seenOf(survivor, 1, 100), 100, 'what came before the write began went with it');
  const { seen: third } = await openSeen(files);
  assert.is(seenOf(third, 1, 100), 100);
});

test('a failing disk is tried once in 64 payloads; memory goes on, and all is written when it heals', async () => {
  const files = new SimulatedFiles();
  const { seen } = await openSeen(files, { capacity: 1024 });
  await seen.flush();
  for (const operation of ['write', 'sync']) {
    files.fault = failing(operation, PATH);
    const first = operation === 'write' ? 1 : 201;
    assert.is(seenOf(seen, first, first + 199), 0);
    await settle();
    assert.is(seen.failure?.code, 'state-unwritable');
    assert.is(seenOf(seen, first, first + 199), 200);
    files.fault = undefined;
  }
  await seen.flush();
  assert.is(seen.failure, undefined);
  const last = files.operations.findLast(({ label }) => label.startsWith(`write ${PATH}`));
  assert.is(last?.label, `write ${PATH} 4096+${400 * 16}`, 'a failed sync leaves all of it in doubt');
  assert.is(seenOf((await openSeen(files, { capacity: 1024 })).seen, 1, 400), 400);
});

test('a disk that refuses from the start: memory alone, and the file is made when it heals', async () => {
  const files = new SimulatedFiles();
  files.fault = failing('create');
  const { seen } = await openSeen(files, { capacity: 64 });
  seenOf(seen, 1, 100);
  await seen.flush();
  assert.is(seen.failure?.code, 'state-unwritable');
  files.fault = undefined;
  await seen.flush();
  assert.is(seen.failure, undefined);
  assert.is(seenOf((await openSeen(files, { capacity: 64 })).seen, 37, 100), 64);
});

test('a damaged file is set aside and told; a later format is refused', async () => {
  const files = new SimulatedFiles();
  const { seen } = await openSeen(files, { capacity: 64 });
  seenOf(seen, 1, 64);
  await seen.close();
  await rejectsWith(
    (async () => {
      const newer = new SimulatedFiles(files.disk.clone());
      await (await newer.open(PATH))?.write(8, Buffer.from([0, 0, 0, 2]));
      await openSeen(newer, { capacity: 64 });
    })(),
    'state-version-newer',
  );
  await (await files.open(PATH))?.write(0, Buffer.from('X'));
  const { seen: anew, told } = await openSeen(files, { capacity: 64 });
  assert.equal(told(), ['cache.damaged']);
  assert.is(seenOf(anew, 1, 64), 0);
  await anew.close();
  assert.equal(await files.list('cache'), ['seen', 'seen.damaged']);
  assert.is(seenOf((await openSeen(files, { capacity: 64 })).seen, 1, 64), 64);
});

test('counters that wrap at 2^32 keep their order', async () => {
  const files = new SimulatedFiles();
  const { seen } = await openSeen(files, { capacity: 4 });
  seenOf(seen, 1, 4);
  await seen.close();
  // The records get the last counters before the wrap, so that payload 4 is the oldest and payload 3 the newest.
  const file = await files.open(PATH);
  for (const [place, counter] of [0xffff_fffd, 0xffff_fffe, 0xffff_ffff, 0xffff_fffc].entries()) {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32BE(counter);
    await file?.write(4096 + place * 16 + 12, bytes);
  }
  const { seen: wrapping } = await openSeen(files, { capacity: 4 });
  assert.is(seenOf(wrapping, 1, 3), 3);
  assert.is(seenOf(wrapping, 5, 6), 0, 'counters 2^32 and 2^32 + 1');
  await wrapping.close();
  const { seen: wrapped } = await openSeen(files, { capacity: 4 });
  assert.ok(wrapped.sawBefore(payload(6)), 'the newest');
  assert.ok(wrapped.sawBefore(payload(2)), 'the oldest');
  assert.not.ok(wrapped.sawBefore(payload(7)));
  assert.not.ok(wrapped.sawBefore(payload(2)), 'in its place now');
  assert.ok(wrapped.sawBefore(payload(6)));
});

test('any bytes where records stand are harmless: whatever opens still tells new from seen', async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ minLength: 64, maxLength: 64 }), async (bytes) => {
      const files = new SimulatedFiles();
      await (await openSeen(files, { capacity: 4 })).seen.close();
      await (await files.open(PATH))?.write(4096, bytes);
      const { seen } = await openSeen(files, { capacity: 4 });
      for (let n = 1; n <= 20; n++) assert.equal([seenOf(seen, n, n), seenOf(seen, n, n)], [0, 1]);
      await seen.close();
      assert.is(seenOf((await openSeen(files, { capacity: 4 })).seen, 17, 20), 4);
    }),
    { numRuns: count(100, 5000) },
  );
});

test('any order of payloads does what a plain list does', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat(40), { maxLength: 300, size: 'max' }), async (numbers) => {
      const { seen } = await openSeen(new SimulatedFiles(), { capacity: 16 });
      let model: number[] = [];
      for (const n of numbers) {
        assert.is(seen.sawBefore(payload(n)), model.includes(n));
        if (!model.includes(n)) model = [...model, n].slice(-16);
      }
    }),
    { numRuns: count(100, 5000) },
  );
});

test('crash at any moment: it opens, and what was flushed is known', async () => {
  const { disks } = await exploreCrashes({
    run: async (files, mark) => {
      const { seen } = await openSeen(files, { capacity: 4 });
      seenOf(seen, 1, 2);
      await seen.flush();
      mark('2');
      seenOf(seen, 3, 4);
      await seen.flush();
      mark('4');
    },
    check: async (files, { completed }) => {
      const { seen } = await openSeen(files, { capacity: 4 });
      if (completed.has('2')) assert.is(seenOf(seen, 1, 2), 2);
      if (completed.has('4')) assert.is(seenOf(seen, 3, 4), 2);
    },
  });
  assert.ok(disks > 10);
});

test('refused: a capacity that is no power of two within bounds, a key of another length', async () => {
  for (const capacity of [1, 3, 131_072]) {
    const refusal = await openSeen(new SimulatedFiles(), { capacity }).catch((error: unknown) => error);
    assert.instance(refusal, RangeError);
  }
  const refusal = await openSeen(new SimulatedFiles(), {}, new Uint8Array(31)).catch(
    (error: unknown) => error,
  );
  assert.instance(refusal, RangeError);
});

test.run();
