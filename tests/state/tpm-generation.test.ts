import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { EntropyError } from '../../src/base/errors.ts';
import { replaceFile } from '../../src/durable/atomic-file.ts';
import { readWhole } from '../../src/durable/durable-files.ts';
import { readCacheKeys } from '../../src/state/cache-key-ring.ts';
import { settleOlderCopy } from '../../src/state/older-copy.ts';
import { decodeRecoveryNotes, RECOVERY_NOTES } from '../../src/state/recovery-notes.ts';
import { TpmGeneration } from '../../src/state/tpm-generation.ts';
import { EventLog } from '../cache/storage-fixture.ts';
import { SimulatedFiles } from '../durable/simulated-files.ts';
import { FakeClock } from '../fakes/fake-clock.ts';
import { seededSource } from '../fakes/seeded-stream.ts';
import { rejectsWith } from '../rejects.ts';
import { testWhen } from '../requirements.ts';
import { hasSwtpm, withSoftwareTpm, type SoftwareTpm } from '../tpm/software-tpm.ts';
import { openLife } from './generation-fixture.ts';
import { CURRENT, PREVIOUS } from './state-archive-fixture.ts';

/** Generations counted by a real TPM, in software. */

const SUBJECT = '/state';

async function withTpm(
  work: (software: SoftwareTpm, counter: TpmGeneration) => Promise<void>,
): Promise<void> {
  await withSoftwareTpm((software) =>
    work(software, new TpmGeneration({ subject: SUBJECT }, { openTpm: () => software.open() })),
  );
}

/** Three segments stored, and the key changed once. */
async function stored(counter: TpmGeneration): Promise<SimulatedFiles> {
  const files = new SimulatedFiles();
  const life = await openLife(files, { counter });
  await life.archive.save(
    'feeders.json',
    Buffer.from(JSON.stringify({ version: 1, nextId: 1, feeders: [] })),
  );
  await life.archive.save('tokens.json', Buffer.from('tokens'));
  await life.store(1, 2, 3);
  await life.change();
  await life.close();
  return files;
}

function copyOf(files: SimulatedFiles): SimulatedFiles {
  return new SimulatedFiles(files.disk.clone());
}

testWhen(hasSwtpm)(
  'a counter counts to where it is told, once, and keeps its name over a reboot',
  async () => {
    await withTpm(async (software, counter) => {
      const { id, value } = await counter.read();
      await counter.advanceTo(value + 3);
      assert.is((await counter.read()).value, value + 3);
      await counter.advanceTo(value + 3);
      await counter.advanceTo(value);
      await software.reboot();
      assert.equal(await counter.read(), { id, value: value + 3 });
      await rejectsWith(counter.advanceTo(value + 20), 'tpm-protocol'); // that would wear it out
    });
  },
);

testWhen(hasSwtpm)(
  'an older copy opens nothing, lets nobody in, and is the state of the host from then on',
  async () => {
    await withTpm(async (_, counter) => {
      const files = await stored(counter);
      const life = await openLife(files, { counter });
      assert.equal(await life.give(), [1]);
      const copy = copyOf(files);
      await life.change();
      assert.equal(await life.giveAll(), [2, 3]);
      await life.close();

      const older = await openLife(copy, { counter });
      assert.equal(older.events.ids, ['state.older', 'cache.damaged']);
      assert.equal(await older.giveAll(), []);
      assert.is(older.archive.document('tokens.json'), undefined);
      assert.is(decodeRecoveryNotes(older.archive.document(RECOVERY_NOTES)).recovered, 'older-copy');
      await older.change();
      await older.store(4);
      await older.close();
      const again = await openLife(copy, { counter });
      assert.equal([again.events.ids, await again.giveAll()], [[], [4]]);
      await replaceFile(copy, CURRENT, (await readWhole(copy, PREVIOUS, 1 << 25))!);
      assert.equal((await openLife(copy, { counter })).events.ids, [], 'and so is the archive before it');
    });
  },
);

testWhen(hasSwtpm)(
  'whoever takes the counter away makes the state look older, and never an older one good',
  async () => {
    await withTpm(async (software, counter) => {
      const files = await stored(counter);
      await software.use((tpm) => tpm.withStorageRoot({}, (root) => tpm.counter(SUBJECT).undefine(root)));
      const life = await openLife(files, { counter });
      assert.equal([life.events.ids[0], await life.giveAll()], ['state.older', []]);
    });
  },
);

testWhen(hasSwtpm)(
  'another TPM, to which only the recovery key led: the caches go on, and are bound to it',
  async () => {
    await withTpm(async (software, counter) => {
      const files = await stored(counter);
      await software.replace();
      const life = await openLife(files, { counter });
      assert.equal(life.events.ids, []);
      const generation = await life.change();
      assert.is((await counter.read()).value, generation);
      assert.equal(await life.giveAll(), [1, 2, 3]);
    });
  },
);

testWhen(hasSwtpm)('a TPM that does not answer: the caches are held back, and stay as they are', async () => {
  await withTpm(async (software, counter) => {
    const files = await stored(counter);
    await software.powerOff();
    const archive = (await openLife(copyOf(files))).archive;
    const events = new EventLog();
    const before = readCacheKeys({ archive });
    const clock = new FakeClock();
    const heldBack = await settleOlderCopy({ archive, counter, random: seededSource(), clock, events });
    assert.equal([heldBack?.code, events.ids], ['tpm-absent', ['cache.generation.unknown']]);
    assert.equal(readCacheKeys({ archive }), before);
    await software.powerOn();
    assert.equal(await (await openLife(files, { counter })).giveAll(), [1, 2, 3]);
  });
});

testWhen(hasSwtpm)(
  'a TPM that fails within a change costs nothing: the next change skips the number',
  async () => {
    await withTpm(async (software, counter) => {
      const files = await stored(counter);
      const { value } = await counter.read();
      const failing = {
        read: () => counter.read(),
        advanceTo: async () => {
          await software.powerOff();
          await counter.advanceTo(value + 1);
        },
      };
      const life = await openLife(files, { counter: failing });
      await life.change().then(
        () => assert.unreachable('the TPM is off'),
        () => undefined,
      );
      assert.equal(await life.give(), [1]);
      await life.close();
      const during = copyOf(files);
      await software.powerOn();
      const next = await openLife(files, { counter });
      assert.is(await next.change(), value + 2);
      assert.equal(await next.giveAll(), [2, 3]);
      assert.equal(
        await (await openLife(during, { counter })).giveAll(),
        [],
        'a copy from the failed change is old',
      );
    });
  },
);

test('an older copy that cannot even be written is refused: nobody in it is let in', async () => {
  const files = new SimulatedFiles();
  const life = await openLife(files);
  await life.archive.save('tokens.json', Buffer.from('tokens'));
  await life.change();
  const { archive } = life;
  const counter = {
    read: async () => {
      const { counterId, generation } = readCacheKeys({ archive })!;
      return Promise.resolve({ id: counterId, value: generation + 1 });
    },
    advanceTo: () => Promise.resolve(),
  };
  const events = new EventLog();
  files.fault = (operation) =>
    operation === 'sync' ? new EntropyError('state-unwritable', 'EROFS') : undefined;
  await settleOlderCopy({ archive, counter, random: seededSource(), clock: new FakeClock(), events });
  assert.equal([archive.refused?.code, archive.documentNames()], ['state-unwritable', []]);
  assert.equal(events.ids, ['state.older']);
});

test.run();
