import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { EntropyError, isEntropyError } from '../../src/base/errors.ts';
import { replaceFile } from '../../src/durable/atomic-file.ts';
import type { DurableFiles } from '../../src/durable/durable-files.ts';
import { Bootbank } from '../../src/state/bootbank.ts';
import {
  encodeEncryptionInfo,
  parseEncryptionInfo,
  type EncryptionInfo,
} from '../../src/state/encryption-info.ts';
import { Enrolment } from '../../src/state/enrolment.ts';
import { recoverArchive } from '../../src/state/recover-archive.ts';
import { decodeRecoveryNotes, RECOVERY_NOTES } from '../../src/state/recovery-notes.ts';
import { unwrapByRecovery } from '../../src/state/recovery-wrapping.ts';
import { NoneWrapping, type KeyWrapping } from '../../src/state/root-key.ts';
import { StateArchive } from '../../src/state/state-archive.ts';
import { count } from '../counts.ts';
import { exploreCrashes, seededRandom } from '../durable/crash-simulator.ts';
import { SimulatedFiles } from '../durable/simulated-files.ts';
import { FakeClock } from '../fakes/fake-clock.ts';
import { seededSource } from '../fakes/seeded-stream.ts';
import { rejectsWith } from '../rejects.ts';
import { bytesOf, CURRENT, PREVIOUS } from './state-archive-fixture.ts';

const random = seededSource();
const clock = new FakeClock();
const none = new NoneWrapping({ random });

/** A mode whose key is bound to a machine: what one machine wrapped another does not open, as with a TPM. */
function machine(name: string): KeyWrapping {
  return {
    mode: 'BOUND',
    wrap: async (key) => new Map([...(await none.wrap(key)), ['machine', name]]),
    unwrap: (info) => {
      if (info.fields.get('machine') === name) return none.unwrap(info);
      throw new EntropyError('state-damaged', 'sealed to another machine');
    },
  };
}

const [first, second] = [machine('first'), machine('second')];

function openOn(files: DurableFiles, ...wrappings: readonly KeyWrapping[]): Promise<StateArchive> {
  return StateArchive.open({ mode: wrappings[0]?.mode ?? '' }, { files, random, wrappings });
}

function textOf(archive: StateArchive, name = 'config.json'): string | undefined {
  return archive.document(name)?.toString();
}

/** Two versions of a configuration, written on the first machine, and the recovery key of both. */
async function written(
  files: DurableFiles = new SimulatedFiles(),
): Promise<{ files: DurableFiles; secret: Buffer }> {
  const archive = await openOn(files, first);
  await archive.save('config.json', Buffer.from('one'));
  await archive.save('config.json', Buffer.from('two'));
  const { secret } = await archive.recoveryKey();
  await archive.close();
  return { files, secret };
}

function recover(
  files: DurableFiles,
  options: Partial<Parameters<typeof recoverArchive>[0]>,
  ...wrappings: readonly KeyWrapping[]
) {
  return recoverArchive(
    { from: 'current', recoverySecret: undefined, mode: undefined, ...options },
    { files, random, clock, wrappings },
  );
}

test('another machine refuses the archive, and opens both by the recovery key; it says so until the keys are rotated', async () => {
  const { files, secret } = await written();
  assert.ok((await openOn(files, second)).refused !== undefined);
  const { id } = await recover(files, { recoverySecret: secret }, second);
  const archive = await openOn(files, second);
  assert.equal([archive.refused, textOf(archive), archive.recoveryId], [undefined, 'two', id]);
  const notes = decodeRecoveryNotes(archive.document(RECOVERY_NOTES));
  assert.equal([notes.recovered, notes.recoveredMs], ['by-recovery-key', clock.wallMs()]);
  await archive.close();
  await replaceFile(files, CURRENT, await bytesOf(files, PREVIOUS));
  assert.is(textOf(await openOn(files, second)), 'one', 'the one before keeps its documents');
});

test('a wrong key changes nothing', async () => {
  const [{ files }, { secret: other }] = [await written(), await written()];
  const before = [await bytesOf(files), await bytesOf(files, PREVIOUS)];
  await rejectsWith(recover(files, { recoverySecret: other }, second), 'recovery-key-wrong');
  assert.equal([await bytesOf(files), await bytesOf(files, PREVIOUS)], before);
});

test('without an archive there is nothing to recover', async () => {
  const files = new SimulatedFiles();
  await rejectsWith(recover(files, { recoverySecret: Buffer.alloc(32) }, first), 'recovery-nothing');
  await rejectsWith(recover(files, { from: 'previous' }, first), 'recovery-nothing');
});

test('where there is no machine to bind to any more, another mode takes the key', async () => {
  const { files, secret } = await written();
  assert.is((await recover(files, { recoverySecret: secret, mode: 'NONE' }, none, second)).mode, 'NONE');
  assert.equal([(await openOn(files, none)).mode, textOf(await openOn(files, none))], ['NONE', 'two']);
});

test('damaged: the previous archive takes its place, with nobody let in, and the damaged one is kept', async () => {
  const files = new SimulatedFiles();
  const archive = await openOn(files, first);
  const enrolment = Enrolment.open({ archive, random, clock });
  const terms = {
    class: 'noise',
    rateUnits: 512,
    certificate: '',
    maximumBytesPerSecond: undefined,
    weight: 1,
  } as const;
  await enrolment.enroll('hsm-1', terms);
  const { nextId } = JSON.parse(archive.document('feeders.json')!.toString()) as { nextId: number };
  await archive.save('tokens.json', Buffer.from('tokens'));
  await archive.save('accounts.json', Buffer.from('accounts'));
  await archive.backup();
  const { secret } = await archive.recoveryKey();
  const damaged = Buffer.from('damaged');
  for (const options of [{}, { recoverySecret: secret }]) {
    await replaceFile(files, CURRENT, damaged);
    await rejectsWith(recover(files, { recoverySecret: secret }, first), 'state-damaged');
    await recover(files, { from: 'previous', ...options }, first);
    assert.equal(await bytesOf(files, 'bootbank/state.damaged.tgz'), damaged);
    const recovered = await openOn(files, first);
    assert.equal(
      Enrolment.open({ archive: recovered, random, clock })
        .list()
        .map(({ name, state }) => [name, state]),
      [['hsm-1', 'disabled']],
    );
    const register = JSON.parse(recovered.document('feeders.json')!.toString()) as { nextId: number };
    assert.ok(register.nextId > nextId, 'no id that the lost archive may have given is given again');
    assert.not(recovered.documentNames().some((name) => ['tokens.json', 'accounts.json'].includes(name)));
    assert.is(decodeRecoveryNotes(recovered.document(RECOVERY_NOTES)).recovered, 'from-previous');
    await recovered.close();
  }
  await (await openOn(files, first)).rotate();
  assert.is((await bytesOf(files, 'bootbank/state.damaged.tgz')).length, 0, 'a rotation ends it, too');
});

test('a document of which it is not known whom it lets in stops a rollback', async () => {
  const { files } = await written();
  const archive = await openOn(files, first);
  await archive.save('badges', Buffer.from('?'));
  await archive.backup();
  await rejectsWith(recover(files, { from: 'previous' }, first), 'state-version-newer');
});

test('crash while it recovers: both archives open by the recovery key at every moment', async () => {
  for (const from of ['current', 'previous'] as const) {
    let secret: Buffer = Buffer.alloc(0);
    const exploration = await exploreCrashes({
      setup: async (files) => {
        ({ secret } = await written(files));
        if (from === 'previous') await replaceFile(files, CURRENT, Buffer.from('damaged'));
      },
      run: async (files, mark) => {
        await recover(files, { from, recoverySecret: secret }, second);
        mark('recovered');
      },
      check: async (files, stop) => {
        const bank = new Bootbank({ files });
        const previous = (await bank.loadPrevious())!;
        assert.is(unwrapByRecovery(previous.info, secret).length, 32);
        if (stop.completed.has('recovered')) assert.is((await openOn(files, second)).refused, undefined);
        // Whatever is left, the same command ends it well.
        await recover(files, { from, recoverySecret: secret }, second);
        assert.is(textOf(await openOn(files, second)), from === 'current' ? 'two' : 'one');
      },
    });
    assert.ok(exploration.disks > 10);
  }
});

/** Bits of the text of encryption.info as it stands in the archive, where no checksum sees them. */
function flipped(info: EncryptionInfo, next: () => number): EncryptionInfo | undefined {
  const text = encodeEncryptionInfo(info);
  const bits = 1 + Math.floor(next() * 4);
  for (let bit = 0; bit < bits; bit++) {
    const offset = Math.floor(next() * text.length);
    text.writeUInt8(text.readUInt8(offset) ^ (1 << Math.floor(next() * 8)), offset);
  }
  if (text.equals(encodeEncryptionInfo(info))) return undefined;
  try {
    return parseEncryptionInfo(text);
  } catch (error) {
    if (!isEntropyError(error)) throw error;
    return undefined;
  }
}

test('any flipped bits of encryption.info: refused, never another key, and the previous archive still opens', async () => {
  const files = new SimulatedFiles();
  const archive = await openOn(files, none);
  await archive.save('config.json', Buffer.from('one'));
  await archive.save('config.json', Buffer.from('two'));
  const { secret } = await archive.recoveryKey();
  const [sound, previous] = [(await new Bootbank({ files }).load())!, await bytesOf(files, PREVIOUS)];
  const next = seededRandom(11);
  let parsed = 0;
  for (let flip = 0; flip < count(500, 10_000); flip++) {
    const info = flipped(sound.info, next);
    if (info === undefined) continue;
    parsed++;
    const disk = new SimulatedFiles();
    await new Bootbank({ files: disk }).save({ ...sound, info });
    await (await disk.create(PREVIOUS)).write(0, previous);
    const opened = await openOn(disk, none);
    assert.ok(
      opened.refused !== undefined && opened.documentNames().length === 0,
      JSON.stringify([...info.fields]),
    );
    // The recovery key opens what its own fields still say, or is refused; it never gives another value.
    const outcome = await recover(disk, { recoverySecret: secret }, none).catch((error: unknown) => error);
    if (isEntropyError(outcome)) assert.equal(await bytesOf(disk, PREVIOUS), previous);
    else assert.is(textOf(await openOn(disk, none)), 'two');
  }
  assert.ok(parsed > 0, 'some flips leave a text that reads');
});

test.run();
