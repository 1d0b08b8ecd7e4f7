import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { replaceFile } from '../../src/durable/atomic-file.ts';
import { readWhole, type DurableFiles } from '../../src/durable/durable-files.ts';
import { recoverArchive } from '../../src/state/recover-archive.ts';
import { decodeRecoveryNotes, RECOVERY_NOTES } from '../../src/state/recovery-notes.ts';
import type { KeyWrapping } from '../../src/state/root-key.ts';
import {
  exploreCrashes,
  findViolation,
  type CrashScenario,
  type CrashStop,
} from '../durable/crash-simulator.ts';
import { FakeClock } from '../fakes/fake-clock.ts';
import { seededSource } from '../fakes/seeded-stream.ts';
import { COUNTER, modesOf, openArchive, openLife, type Life } from './generation-fixture.ts';
import { CURRENT, PREVIOUS } from './state-archive-fixture.ts';

/**
 * The life of a state in the crash simulator, with what the TPM counts as operations among those of the disk: backup, `encryption set`,
 * changes of the caches' key, `recovery rotate`, `recover --previous`. At every stop there is a valid archive, current and previous, that
 * opens all that was stored and nothing that was spent.
 */

const TAGS = [1, 2, 3];
type Mark = (name: string) => void;

async function give(life: Life, mark: Mark, tag: number): Promise<void> {
  mark(`opening ${tag}`);
  assert.equal(await life.give(), [tag]);
  mark(`given ${tag}`);
}

async function inModeNone(files: DurableFiles): Promise<void> {
  const life = await openLife(files, { modes: true });
  await life.archive.save('config.json', Buffer.from('one'));
  await life.archive.save('config.json', Buffer.from('two'));
  await life.store(...TAGS);
  await life.close();
}

/** A state of mode TPM, two keys old, with nothing spent. */
async function inModeTpm(files: DurableFiles): Promise<void> {
  await inModeNone(files);
  const life = await openLife(files, { modes: true });
  await life.archive.rotate({ mode: 'TPM' });
  await life.change();
  await life.archive.save('tokens.json', Buffer.from('tokens'));
  await life.change();
  await life.close();
}

async function assertState(life: Life, stop: CrashStop): Promise<void> {
  const { archive, events } = life;
  assert.is(archive.refused, undefined, 'the archive is lost');
  assert.is(archive.document('config.json')?.toString(), 'two');
  assert.equal(events.ids, [], 'a crash looks like no copy and no damage');
  const found = await life.giveAll();
  for (const tag of TAGS) {
    if (stop.completed.has(`given ${tag}`)) assert.not.ok(found.includes(tag), `${tag} is given out twice`);
    else if (!stop.completed.has(`opening ${tag}`)) assert.ok(found.includes(tag), `${tag} is lost`);
  }
}

/** What each start with a TPM does to a state of mode TPM. */
async function changeOf(life: Life): Promise<void> {
  if (life.archive.mode === 'TPM') await life.change();
}

const SEALING: CrashScenario = {
  setup: inModeNone,
  run: async (files, mark) => {
    const life = await openLife(files, { modes: true });
    await life.archive.backup();
    await life.archive.rotate({ mode: 'TPM' });
    mark('sealed');
    await life.change();
    await give(life, mark, 1);
    await life.archive.rotate();
    mark('rotated');
    await life.change();
    await give(life, mark, 2);
    await life.archive.backup();
  },
  check: async (files, stop) => {
    const life = await openLife(files, { modes: true });
    if (stop.completed.has('sealed')) assert.is(life.archive.mode, 'TPM');
    await assertState(life, stop);
    await changeOf(life);
  },
};

const SEALING_BY_PREVIOUS: CrashScenario = {
  ...SEALING,
  check: async (files, stop) => {
    await replaceFile(files, CURRENT, (await readWhole(files, PREVIOUS, 1 << 25))!);
    const archive = await openArchive(files, modesOf(files));
    if (archive.document('config.json')?.toString() === 'one') return; // from before anything ran
    await assertState(await openLife(files, { modes: true }), stop);
  },
};

test('backup, set, change, rotate, change: at every stop a valid archive, all that was stored, and nothing spent', async () => {
  const { operations, disks } = await exploreCrashes(SEALING);
  assert.ok(operations > 100 && disks > 300, `${operations} operations, ${disks} disks`);
});

test('the same by the archive before the current one', async () => {
  await exploreCrashes(SEALING_BY_PREVIOUS);
});

/** The mark before the archives are of its mode: a crash in between leaves one that is refused. */
function markedEarly(files: DurableFiles): KeyWrapping[] {
  const [none, tpm] = modesOf(files) as [KeyWrapping, KeyWrapping];
  return [
    none,
    {
      ...tpm,
      wrap: async (key) => {
        await files.counter(COUNTER).advance();
        return tpm.wrap(key);
      },
    },
  ];
}

test('the mark in the TPM before the archives are sealed is found out', async () => {
  const violation = await findViolation({
    ...SEALING,
    run: async (files) => {
      const archive = await openArchive(files, markedEarly(files));
      await archive.rotate({ mode: 'TPM' });
    },
  });
  assert.match(String(violation), /the TPM knows better/);
});

function recover(files: DurableFiles): Promise<unknown> {
  return recoverArchive(
    { from: 'previous', recoverySecret: undefined, mode: undefined },
    { files, random: seededSource('recover'), clock: new FakeClock(), wrappings: modesOf(files) },
  );
}

test('recover --previous of a damaged archive: its generation is good, its caches open, nobody is let in', async () => {
  const { disks } = await exploreCrashes({
    setup: async (files) => {
      await inModeTpm(files);
      await replaceFile(files, CURRENT, Buffer.from('damaged'));
    },
    run: async (files, mark) => {
      await recover(files);
      mark('recovered');
      const life = await openLife(files, { modes: true });
      await life.change();
      await give(life, mark, 1);
    },
    check: async (files, stop) => {
      if (!stop.completed.has('recovered')) await recover(files);
      const life = await openLife(files, { modes: true });
      assert.is(life.archive.document('tokens.json'), undefined);
      assert.is(decodeRecoveryNotes(life.archive.document(RECOVERY_NOTES)).recovered, 'from-previous');
      await assertState(life, stop);
    },
  });
  assert.ok(disks > 50, `${disks} disks`);
});

test.run();
