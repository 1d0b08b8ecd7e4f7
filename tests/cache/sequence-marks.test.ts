import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Counters } from '../../src/base/counters.ts';
import { EventBus } from '../../src/base/events.ts';
import { SequenceMarks } from '../../src/cache/sequence-marks.ts';
import { replaceFile } from '../../src/durable/atomic-file.ts';
import { readWhole, type DurableFiles } from '../../src/durable/durable-files.ts';
import { exploreCrashes, findViolation, type CrashScenario } from '../durable/crash-simulator.ts';
import { failing, SimulatedFiles } from '../durable/simulated-files.ts';
import { FakeClock, settle } from '../fakes/fake-clock.ts';
import { seededSource } from '../fakes/seeded-stream.ts';
import { rejectsWith } from '../rejects.ts';

const PATH = 'cache/sequence-marks';
const random = seededSource();
/** 2026-01-01, in sequences: where a session begins when nothing better is known. */
const WALL_SEQUENCE = Date.UTC(2026, 0, 1) * 1024;

async function openMarks(files: DurableFiles, wallMs = Date.UTC(2026, 0, 1), options = {}) {
  const clock = new FakeClock(wallMs);
  const events = new EventBus({ capacity: 100 }, { clock, counters: new Counters() });
  const marks = await SequenceMarks.open({ files, random, clock, events }, options);
  return { marks, told: () => events.since(0).records.map(({ id }) => id) };
}

/** Accepts the next sequences of a feeder, waiting where it must; gives how often it had to. */
async function acceptNext(marks: SequenceMarks, feeder: number, frames: number): Promise<number> {
  let waits = 0;
  for (let frame = 0; frame < frames; frame++) {
    const wait = marks.accept(feeder, marks.next(feeder));
    if (wait !== undefined) waits++;
    await wait;
  }
  return waits;
}

test('a new feeder begins with 1; each sequence is accepted once, in order', async () => {
  const { marks } = await openMarks(new SimulatedFiles());
  assert.is(marks.next(7), 1);
  await marks.accept(7, 1);
  assert.is(marks.next(7), 2);
  for (const sequence of [1, 0, -1, 1.5, 2 ** 53])
    assert.throws(() => marks.accept(7, sequence), /once, in order/);
  await marks.accept(7, 10);
  assert.is(marks.next(7), 11, 'a session may skip');
  assert.is(marks.next(8), 1, 'each feeder has its own');
});

test('1,024 are reserved with the first, more when half are used: a frame waits once and then never', async () => {
  const files = new SimulatedFiles();
  const { marks } = await openMarks(files);
  const before = files.syncs;
  assert.is(await acceptNext(marks, 1, 513), 1);
  assert.is(files.syncs, before + 1);
  assert.is(marks.accept(1, 514), undefined);
  await settle();
  assert.is(files.syncs, before + 2, 'the next were reserved in the background');
  let waits = 0;
  for (let frame = 0; frame < 5000; frame++) {
    waits += await acceptNext(marks, 1, 1);
    if (frame % 100 === 0) await settle();
  }
  assert.is(waits, 0);
  assert.ok(files.syncs - before < 14, `${files.syncs - before} syncs for 5,514 frames`);
});

test('an orderly stop writes exact marks: the next process goes on with the sequence that follows', async () => {
  const files = new SimulatedFiles();
  const first = await openMarks(files);
  await acceptNext(first.marks, 1, 5);
  await acceptNext(first.marks, 2, 700);
  await first.marks.close();
  const { marks } = await openMarks(files);
  assert.equal([marks.next(1), marks.next(2), marks.next(3)], [6, 701, 1]);
});

test('after a crash a session begins above what was reserved, and at the wall clock when that is higher', async () => {
  const files = new SimulatedFiles();
  await acceptNext((await openMarks(files)).marks, 1, 5);
  assert.is((await openMarks(files, 0)).marks.next(1), 1026);
  assert.is((await openMarks(files)).marks.next(1), WALL_SEQUENCE + 1);
  assert.is((await openMarks(files)).marks.next(2), WALL_SEQUENCE + 1);
});

test('damaged marks are set aside and told, and sessions begin at the wall clock', async () => {
  const files = new SimulatedFiles();
  const first = await openMarks(files);
  await acceptNext(first.marks, 1, 5);
  await first.marks.close();
  const file = await files.open(PATH);
  await file?.write(0, Buffer.from('X'));
  const { marks, told } = await openMarks(files);
  assert.equal(told(), ['cache.damaged']);
  assert.is(marks.next(1), WALL_SEQUENCE + 1);
  assert.equal(await files.list('cache'), ['sequence-marks', 'sequence-marks.damaged']);
  await marks.close();
  assert.is((await openMarks(files, 0)).marks.next(1), WALL_SEQUENCE + 1, 'and stay there');
});

test('a later format is refused, not overwritten', async () => {
  const files = new SimulatedFiles();
  await (await openMarks(files)).marks.close();
  const file = await files.open(PATH);
  await file?.write(8, Buffer.from([0, 0, 0, 9]));
  await rejectsWith(openMarks(files), 'state-version-newer');
});

test('a disk that refuses from the start: no frame is accepted until it heals, for a crash would forget it', async () => {
  const files = new SimulatedFiles();
  await (await openMarks(files)).marks.close();
  const { marks } = await openMarks(files);
  files.fault = failing('sync');
  await rejectsWith(marks.accept(1, 1) ?? Promise.resolve(), 'state-unwritable');
  assert.is(marks.failure?.code, 'state-unwritable');
  files.fault = undefined;
  assert.is(marks.next(1), 2, 'what was refused is not given again');
  await marks.accept(1, 2);
  assert.is(marks.failure, undefined);
});

test('a disk that fails later: the feed goes on in memory, and after a crash no mark has fallen back', async () => {
  const files = new SimulatedFiles();
  const { marks } = await openMarks(files);
  await acceptNext(marks, 1, 1);
  files.fault = failing('write');
  await acceptNext(marks, 1, 5000);
  await acceptNext(marks, 2, 10);
  assert.is(marks.failure?.code, 'state-unwritable');
  files.fault = undefined;
  const next = await openMarks(files);
  assert.ok(next.marks.next(1) > 5001);
  assert.ok(next.marks.next(2) > 10);
  await acceptNext(marks, 1, 2000);
  assert.is(marks.failure, undefined, 'and it is written again once the disk heals');
});

test('a new journal holds the reservations that were under way when it took the old one’s place', async () => {
  const files = new SimulatedFiles();
  const { marks } = await openMarks(files);
  await acceptNext(marks, 1, 1);
  files.fault = failing('write');
  await acceptNext(marks, 1, 1100);
  files.fault = undefined;
  // The journal has failed, so each of these rotates; the last to be written must not forget the others.
  await Promise.all([2, 3, 4].map(async (feeder) => marks.accept(feeder, 50)));
  for (const feeder of [2, 3, 4]) assert.is(marks.accept(feeder, 500), undefined, 'within what was reserved');
  const { marks: after } = await openMarks(files, 0);
  for (const feeder of [2, 3, 4]) assert.ok(after.next(feeder) > 500, `feeder ${feeder}`);
});

test('the journal is rotated before it is full', async () => {
  const files = new SimulatedFiles();
  const options = { maximumBytes: 1000 };
  const { marks } = await openMarks(files, 0, options);
  const sizes: number[] = [];
  // Each frame skips beyond what is reserved, so each writes a record of 25 bytes.
  for (let frame = 1; frame <= 200; frame++) {
    await marks.accept(1, frame * 1025);
    sizes.push((await (await files.open(PATH))?.sizeBytes()) ?? 0);
  }
  assert.ok(Math.max(...sizes) <= 1000 && Math.max(...sizes) > 975, `${Math.max(...sizes)} bytes`);
  assert.is((await openMarks(files, 0, options)).marks.next(1), 200 * 1025 + 1024 + 1);
});

test('a revoked feeder is forgotten with the next orderly stop', async () => {
  const files = new SimulatedFiles();
  const { marks } = await openMarks(files);
  await acceptNext(marks, 1, 3);
  marks.forget(1);
  await marks.close();
  assert.is((await openMarks(files)).marks.next(1), 1);
});

/** Two feeders, each mark of the run is `feeder:sequence` once it was accepted. */
function scenario(setup: (files: DurableFiles) => Promise<void>): CrashScenario<number[]> {
  return {
    setup,
    run: async (files, mark) => {
      const { marks } = await openMarks(files, 0);
      for (const [feeder, sequence] of [
        [1, marks.next(1)],
        [2, marks.next(2)],
        [1, marks.next(1) + 1500],
      ] as const) {
        await marks.accept(feeder, sequence);
        mark(`${feeder}:${sequence}`);
      }
      await marks.close();
      mark('closed');
    },
    // The wall clock stands at 0, so the marks alone must do.
    check: async (files, stop) => {
      const { marks } = await openMarks(files, 0);
      for (const name of stop.completed) {
        const [feeder = 0, sequence = 0] = name.split(':').map(Number);
        if (name !== 'closed') assert.ok(marks.next(feeder) > sequence, `${name} would come again`);
      }
      if (stop.completed.has('closed')) assert.ok(marks.next(1) < 1_000_000, 'exact, no clock was asked');
      return [marks.next(1), marks.next(2)];
    },
    recheck: async (files, _, seen) => {
      const { marks } = await openMarks(files, 0);
      assert.ok(marks.next(1) >= (seen[0] ?? 0) && marks.next(2) >= (seen[1] ?? 0), 'fell back');
    },
  };
}

const fresh = scenario(() => Promise.resolve());
const closedBefore = scenario(async (files) => {
  const { marks } = await openMarks(files, 0);
  await acceptNext(marks, 1, 3);
  await marks.close();
});

test('crash at any moment: no session begins at or below a sequence that was accepted', async () => {
  const first = await exploreCrashes(fresh);
  const second = await exploreCrashes(closedBefore);
  assert.ok(first.disks > 10 && second.disks > 10);
});

test('crash: the simulator finds it when the syncs of reservations are left out', async () => {
  const { syncs } = await exploreCrashes(closedBefore);
  const needed: number[] = [];
  for (let ignoreSync = 0; ignoreSync < syncs; ignoreSync++)
    if ((await findViolation(closedBefore, { ignoreSync })) !== undefined) needed.push(ignoreSync);
  assert.ok(needed.length >= 3, `needed: ${needed.join()} of ${syncs}`);
});

test('a journal that was closed under another generation is an older copy: sessions begin at the wall clock', async () => {
  const files = new SimulatedFiles();
  let generation = 0;
  const life = async (frames: number): Promise<number> => {
    const { marks } = await openMarks(files, undefined, { generation: () => generation });
    const first = marks.next(1);
    await acceptNext(marks, 1, frames);
    await marks.close();
    return first;
  };
  assert.equal([await life(5), await life(0)], [1, 6], 'where none is counted all are of generation 0');
  generation = 42;
  assert.is(await life(1), WALL_SEQUENCE + 1, 'closed before anything was counted');
  assert.is(await life(3), WALL_SEQUENCE + 2);
  const older = (await readWhole(files, PATH, 1 << 20))!;
  generation = 43;
  await life(0);
  assert.ok((await life(1)) > WALL_SEQUENCE);
  await replaceFile(files, PATH, older);
  const { marks } = await openMarks(files, Date.UTC(2027, 0, 1), { generation: () => generation });
  assert.is(marks.next(1), Date.UTC(2027, 0, 1) * 1024 + 1);
});

test.run();
