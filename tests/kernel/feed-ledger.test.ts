import { test } from 'uvu';
import * as assert from 'uvu/assert';
import * as fc from 'fast-check';
import { perSource } from '../../src/base/names.ts';
import type { FeedRecord } from '../../src/contract/outputs.ts';
import { replaceFile } from '../../src/durable/atomic-file.ts';
import { readWhole, type DurableFiles } from '../../src/durable/durable-files.ts';
import { Journal } from '../../src/durable/journal.ts';
import { FeedLedger } from '../../src/kernel/feed-ledger.ts';
import { MAXIMUM_ENTRY_BYTES, encodeFeed } from '../../src/kernel/feed-record.ts';
import { count } from '../counts.ts';
import { superfluousSyncs, type CrashScenario } from '../durable/crash-simulator.ts';
import { failing, SimulatedFiles } from '../durable/simulated-files.ts';
import { seededSource } from '../fakes/seeded-stream.ts';
import { rejectsWith } from '../rejects.ts';

const random = seededSource();
const PATH = 'feed-ledger';

function openLedger(files: DurableFiles, capacity = 8): Promise<FeedLedger> {
  return FeedLedger.open({ capacity }, { files, random });
}

function feed(atMs: number, changes: Partial<FeedRecord> = {}): Omit<FeedRecord, 'sequence'> {
  return {
    atMs,
    bytes: 64,
    path: 'ioctl',
    creditedBits: { interrupts: 1 / 1024, rdrand: 0, rdseed: 640.5, external: 0 },
    creditAskedBits: 0,
    creditEffectiveBits: 0,
    reseed: 'done',
    ...changes,
  };
}

async function appendMany(ledger: FeedLedger, from: number, to: number): Promise<void> {
  for (let atMs = from; atMs <= to; atMs++) await ledger.append(feed(atMs));
}

function sequencesOf(ledger: FeedLedger): number[] {
  return ledger.report(100).records.map(({ sequence }) => sequence);
}

test('an empty ledger has zero totals and no records', async () => {
  const ledger = await openLedger(new SimulatedFiles());
  assert.equal(ledger.report(10), {
    totals: {
      feeds: 0,
      bytes: 0,
      creditedBits: perSource(() => 0),
      creditAskedBits: 0,
      creditEffectiveBits: 0,
      reseeds: 0,
      sinceMs: 0,
    },
    records: [],
  });
});

test('numbers feeds, adds them up, and gives the newest first', async () => {
  const ledger = await openLedger(new SimulatedFiles());
  assert.is((await ledger.append(feed(1000, { creditAskedBits: 256, creditEffectiveBits: 3 }))).sequence, 1);
  await ledger.append(feed(2000, { path: 'write', reseed: 'EPERM', bytes: 32 }));
  const { totals, records } = ledger.report(10);
  assert.equal(totals, {
    feeds: 2,
    bytes: 96,
    creditedBits: { interrupts: 2 / 1024, rdrand: 0, rdseed: 1281, external: 0 },
    creditAskedBits: 256,
    creditEffectiveBits: 3,
    reseeds: 1,
    sinceMs: 1000,
  });
  assert.equal(records[0], { ...feed(2000, { path: 'write', reseed: 'EPERM', bytes: 32 }), sequence: 2 });
  assert.equal([ledger.report(1).records.length, ledger.report(0).records.length], [1, 0]);
});

test('all of it is there after a restart, and numbering goes on', async () => {
  const files = new SimulatedFiles();
  const ledger = await openLedger(files);
  await appendMany(ledger, 1, 5);
  await ledger.close();
  const restarted = await openLedger(files);
  assert.equal(restarted.report(10), ledger.report(10));
  assert.is((await restarted.append(feed(6))).sequence, 6);
});

test('one feed costs one sync', async () => {
  const files = new SimulatedFiles();
  const ledger = await openLedger(files);
  const before = files.syncs;
  await ledger.append(feed(1));
  assert.is(files.syncs, before + 1);
});

test('full means capacity: one more keeps the newest half, and the totals count on', async () => {
  const files = new SimulatedFiles();
  const ledger = await openLedger(files);
  await appendMany(ledger, 1, 8);
  assert.equal(sequencesOf(ledger), [8, 7, 6, 5, 4, 3, 2, 1]);
  await appendMany(ledger, 9, 9);
  assert.equal(sequencesOf(ledger), [9, 8, 7, 6]);
  assert.is(ledger.report(1).totals.feeds, 9);
  assert.is(ledger.report(1).totals.sinceMs, 1);
  assert.equal((await openLedger(files)).report(10), ledger.report(10));
});

test('bounded: however many feeds, neither records nor file outgrow the capacity', async () => {
  const files = new SimulatedFiles();
  const ledger = await openLedger(files);
  const total = count(300, 3000);
  await appendMany(ledger, 1, total);
  const bytes = (await readWhole(files, PATH, 1 << 20))?.length ?? 0;
  assert.ok(bytes < 10 * MAXIMUM_ENTRY_BYTES, `${bytes} bytes`);
  const { totals, records } = (await openLedger(files)).report(100);
  assert.ok(records.length >= 4 && records.length <= 8);
  assert.equal([totals.feeds, totals.bytes, totals.reseeds, totals.sinceMs], [total, 64 * total, total, 1]);
  assert.equal([totals.creditedBits.interrupts, totals.creditedBits.rdseed], [total / 1024, 640.5 * total]);
});

test('totals are exact over any feeds, rotations and restarts', async () => {
  const units = fc.integer({ min: 0, max: 2 ** 40 });
  const anyFeed = fc.record({
    units: fc.tuple(units, units, units, units),
    bytes: fc.nat(4096),
    restart: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(anyFeed, { maxLength: 30 }), async (feeds) => {
      const files = new SimulatedFiles();
      let ledger = await openLedger(files, 4);
      for (const [index, { units, bytes, restart }] of feeds.entries()) {
        const [interrupts, rdrand, rdseed, external] = units.map((value) => value / 1024);
        const creditedBits = {
          interrupts: interrupts!,
          rdrand: rdrand!,
          rdseed: rdseed!,
          external: external!,
        };
        await ledger.append(feed(index, { bytes, creditedBits }));
        if (restart) ledger = await openLedger(files, 4);
      }
      const { totals } = ledger.report(1);
      const sum = (pick: (feed: (typeof feeds)[number]) => number): number =>
        feeds.reduce((total, next) => total + pick(next), 0);
      assert.is(
        totals.bytes,
        sum((next) => next.bytes),
      );
      assert.is(totals.creditedBits.external, sum((next) => next.units[3]) / 1024);
      assert.is(totals.creditedBits.interrupts, sum((next) => next.units[0]) / 1024);
    }),
    { numRuns: count(50, 1000) },
  );
});

test('sums go on exactly beyond 2^53 units', async () => {
  const files = new SimulatedFiles();
  const ledger = await openLedger(files, 2);
  const creditedBits = { interrupts: 0, rdrand: 0, rdseed: 0, external: (2 ** 53 - 1) / 1024 };
  for (let atMs = 0; atMs < 5; atMs++) await ledger.append(feed(atMs, { creditedBits }));
  await ledger.close();
  const text = (await readWhole(files, PATH, 1 << 20))?.toString('latin1') ?? '';
  assert.match(text, '"36028797018963964"', 'four feeds before the one that is kept, to the last unit');
  assert.is((await openLedger(files, 2)).report(0).totals.creditedBits.external, (5 * (2 ** 53 - 1)) / 1024);
});

test('a lower capacity than at the last start trims at the next feed', async () => {
  const files = new SimulatedFiles();
  await appendMany(await openLedger(files), 1, 8);
  const smaller = await openLedger(files, 4);
  assert.is(sequencesOf(smaller).length, 8);
  await appendMany(smaller, 9, 9);
  assert.equal([sequencesOf(smaller), smaller.report(0).totals.feeds], [[9, 8], 9]);
});

test('impossible figures are a programming error, and count nothing', async () => {
  const ledger = await openLedger(new SimulatedFiles());
  for (const bad of [
    { bytes: -1 },
    { bytes: 1.5 },
    { atMs: NaN },
    { creditAskedBits: -1 },
    { creditedBits: { interrupts: 1 / 2048, rdrand: 0, rdseed: 0, external: 0 } },
    { reseed: '' },
    { reseed: 'x'.repeat(33) },
    { reseed: 'line\nbreak' },
  ]) {
    await ledger.append(feed(1, bad)).then(
      () => assert.unreachable(JSON.stringify(bad)),
      (error: unknown) => assert.instance(error, RangeError),
    );
  }
  assert.is(ledger.report(0).totals.feeds, 0);
});

test('the longest record there can be fits its bound', () => {
  const most = Number.MAX_SAFE_INTEGER;
  const record = feed(most, {
    bytes: most,
    creditedBits: perSource(() => most / 1024),
    creditAskedBits: most,
    creditEffectiveBits: most,
    reseed: '"'.repeat(32),
  });
  assert.ok(encodeFeed({ ...record, sequence: most }).length <= MAXIMUM_ENTRY_BYTES);
});

for (const operation of ['write', 'sync']) {
  test(`when ${operation} fails the feed counts in memory, and the next one puts all on disk`, async () => {
    const files = new SimulatedFiles();
    const ledger = await openLedger(files);
    await appendMany(ledger, 1, 2);
    files.fault = failing(operation);
    await rejectsWith(ledger.append(feed(3)), 'state-unwritable');
    await rejectsWith(ledger.append(feed(4)), 'state-unwritable');
    assert.equal([sequencesOf(ledger), ledger.report(0).totals.feeds], [[4, 3, 2, 1], 4]);
    files.fault = undefined;
    assert.is((await ledger.append(feed(5))).sequence, 5);
    assert.equal((await openLedger(files)).report(10), ledger.report(10));
  });
}

test('a disk that stays full costs no memory beyond the capacity', async () => {
  const files = new SimulatedFiles();
  const ledger = await openLedger(files);
  files.fault = failing('write');
  for (let atMs = 1; atMs <= 50; atMs++) await rejectsWith(ledger.append(feed(atMs)), 'state-unwritable');
  assert.ok(sequencesOf(ledger).length <= 8);
  files.fault = undefined;
  await ledger.append(feed(51));
  assert.is((await openLedger(files)).report(0).totals.feeds, 51);
});

test('a disk that cannot be written from the start: old records are there, new ones count in memory', async () => {
  const files = new SimulatedFiles();
  await appendMany(await openLedger(files), 1, 3);
  files.fault = (operation, path) => failing('sync')(operation, path) ?? failing('write')(operation, path);
  const ledger = await openLedger(files);
  await rejectsWith(ledger.append(feed(4)), 'state-unwritable');
  assert.equal(sequencesOf(ledger), [4, 3, 2, 1]);
});

test('a half-written last record is cut off, and told', async () => {
  const files = new SimulatedFiles();
  await appendMany(await openLedger(files), 1, 3);
  const whole = await readWhole(files, PATH, 1 << 20);
  await (await files.open(PATH))?.truncate(whole!.length - 5);
  const ledger = await openLedger(files);
  assert.equal(sequencesOf(ledger), [2, 1]);
  assert.ok(ledger.cutBytes > 0);
  assert.is((await openLedger(files)).cutBytes, 0);
});

test('a damaged ledger is set aside, whole, and a new one begins', async () => {
  const files = new SimulatedFiles();
  await appendMany(await openLedger(files), 1, 3);
  const damaged = (await readWhole(files, PATH, 1 << 20)) ?? Buffer.alloc(0);
  damaged.writeUInt8(damaged.readUInt8(20) ^ 1, 20);
  await replaceFile(files, PATH, damaged);
  const ledger = await openLedger(files);
  assert.equal([ledger.setAside?.code, sequencesOf(ledger)], ['state-damaged', []]);
  assert.equal(await readWhole(files, 'feed-ledger.damaged', 1 << 20), damaged);
  await appendMany(ledger, 1, 1);
  assert.equal(
    [(await openLedger(files)).setAside, (await openLedger(files)).report(0).totals.feeds],
    [undefined, 1],
  );
});

for (const [what, entry] of Object.entries({
  'no JSON': '{',
  'no array': '{}',
  'too few values': '[1,2,3]',
  'a negative figure': '[1,-2,64,"ioctl",[0,0,0,0],0,0,"done"]',
  'a fraction of a unit': '[1,2,64,"ioctl",[0.5,0,0,0],0,0,"done"]',
  'another path': '[1,2,64,"magic",[0,0,0,0],0,0,"done"]',
  'three sources': '[1,2,64,"ioctl",[0,0,0],0,0,"done"]',
})) {
  test(`an entry that is none (${what}) is damage`, async () => {
    const files = new SimulatedFiles();
    await (await openLedger(files)).close();
    const options = { path: PATH, kind: 'feed ledger', maximumBytes: 1 << 20 };
    await (await Journal.open(options, { files, random })).journal.append(Buffer.from(entry));
    assert.is((await openLedger(files)).setAside?.code, 'state-damaged');
  });
}

test('a ledger of a later version is refused and left alone', async () => {
  const files = new SimulatedFiles();
  const options = {
    path: PATH,
    kind: 'feed ledger',
    maximumBytes: 1 << 20,
    initial: [Buffer.from('{"version":2}')],
  };
  await Journal.open(options, { files, random });
  await rejectsWith(openLedger(files), 'state-version-newer');
  assert.equal(await files.list(''), [PATH]);
});

test('capacity is 2 to 65,536', async () => {
  for (const capacity of [1, 0, -1, 1.5, 65_537]) {
    await openLedger(new SimulatedFiles(), capacity).then(
      () => assert.unreachable(),
      (error: unknown) => assert.instance(error, RangeError),
    );
  }
});

/** Feeds 1 to 5 with capacity 4: an append, then a rotation, then appends to the new file. */
function crashScenario(next: 'leave' | 'append'): CrashScenario<number> {
  return {
    setup: async (files) => appendMany(await openLedger(files, 4), 1, 3),
    run: async (files, mark) => {
      const ledger = await openLedger(files, 4);
      for (let atMs = 4; atMs <= 6; atMs++) {
        await ledger.append(feed(atMs));
        mark(`${atMs}`);
      }
    },
    check: async (files, stop) => {
      const ledger = await openLedger(files, 4);
      assert.is(ledger.setAside, undefined);
      const { totals, records } = ledger.report(10);
      assert.ok(totals.feeds >= 3 + stop.completed.size, `${totals.feeds} feeds`);
      assert.ok(totals.feeds <= 4 + stop.completed.size, `${totals.feeds} feeds`);
      assert.is(totals.bytes, 64 * totals.feeds);
      assert.is(totals.creditedBits.rdseed, 640.5 * totals.feeds);
      const newest = records.map(({ sequence, atMs }) => [sequence, atMs]);
      assert.equal(
        newest,
        newest.map((_, index) => [totals.feeds - index, totals.feeds - index]),
      );
      assert.ok(newest.length >= 2);
      return next === 'append' ? (await ledger.append(feed(totals.feeds + 1))).sequence : totals.feeds;
    },
    recheck: async (files, _, seen) => assert.is((await openLedger(files, 4)).report(0).totals.feeds, seen),
  };
}

test('crash: no feed is lost once its append resolved, totals and records agree at every moment; every sync is needed', async () => {
  const unneeded = await superfluousSyncs(crashScenario('leave'), crashScenario('append'));
  // The first two are those of opening what the setup left in order; the journal's own test needs them.
  assert.equal(unneeded, ['run: sync 0', 'run: sync 1']);
});

test.run();
