import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { isEntropyError } from '../../src/base/errors.ts';
import { replaceFile } from '../../src/durable/atomic-file.ts';
import { readWhole, type DurableFiles } from '../../src/durable/durable-files.ts';
import { ArchivePair } from '../../src/state/archive-pair.ts';
import { unwrapByRecovery } from '../../src/state/recovery-wrapping.ts';
import { Bootbank } from '../../src/state/bootbank.ts';
import { NoneWrapping, type KeyWrapping } from '../../src/state/root-key.ts';
import { StateArchive } from '../../src/state/state-archive.ts';
import { count } from '../counts.ts';
import { seededRandom, superfluousSyncs, type CrashScenario } from '../durable/crash-simulator.ts';
import { failing, SimulatedFiles, type Fault } from '../durable/simulated-files.ts';
import { seededSource } from '../fakes/seeded-stream.ts';
import { isA, rejectsWith, throwsWith } from '../rejects.ts';

const CURRENT = 'bootbank/state.tgz';
const PREVIOUS = 'bootbank/state.previous.tgz';
const random = seededSource();

function openArchive(files: DurableFiles, wrappings?: readonly KeyWrapping[]): Promise<StateArchive> {
  return StateArchive.open(
    { mode: 'NONE' },
    { files, random, wrappings: wrappings ?? [new NoneWrapping({ random })] },
  );
}

function textOf(archive: StateArchive, name: string): string | undefined {
  return archive.document(name)?.toString();
}

async function bytesOf(files: DurableFiles, path = CURRENT): Promise<Buffer> {
  return (await readWhole(files, path, 1 << 25)) ?? Buffer.alloc(0);
}

/** Files on which the archive holds `a` = one, then two. */
async function filesWithTwoVersions(): Promise<SimulatedFiles> {
  const files = new SimulatedFiles();
  const archive = await openArchive(files);
  await archive.save('a', Buffer.from('one'));
  await archive.save('a', Buffer.from('two'));
  await archive.close();
  return files;
}

test('a missing archive is a new one; nothing is on disk before the first save', async () => {
  const files = new SimulatedFiles();
  const archive = await openArchive(files);
  assert.equal([archive.refused, archive.mode, archive.documentNames()], [undefined, 'NONE', []]);
  assert.equal(files.operations, []);
});

test('a first save that fails at its last step leaves nothing that a restart could find', async () => {
  const files = new SimulatedFiles();
  const archive = await openArchive(files);
  files.fault = once(failing('sync', 'bootbank'));
  await rejectsWith(archive.save('a', Buffer.from('refused')), 'state-unwritable');
  assert.equal((await openArchive(files)).documentNames(), []);
  await archive.save('a', Buffer.from('taken'));
  assert.is(textOf(await openArchive(files), 'a'), 'taken');
});

test('no more documents are taken than can be read back', async () => {
  const files = new SimulatedFiles();
  const archive = await openArchive(files);
  const saves = Array.from({ length: 256 }, (_, n) => archive.save(`document-${n}`, Buffer.of(1)));
  await Promise.all(saves);
  const refused = await archive.save('one-more', Buffer.of(1)).then(
    () => undefined,
    (error: unknown) => error,
  );
  assert.instance(refused, RangeError);
  assert.is((await openArchive(files)).documentNames().length, 256);
});

test('documents are saved, replaced, removed, and are there after a reopening', async () => {
  const files = new SimulatedFiles();
  const archive = await openArchive(files);
  await archive.save('a', Buffer.from('one'));
  await archive.save('b', Buffer.from('two'));
  await archive.save('a', Buffer.from('three'));
  const reopened = await openArchive(files);
  assert.equal([textOf(reopened, 'a'), textOf(reopened, 'b')], ['three', 'two']);
  await reopened.save('a', undefined);
  assert.equal((await openArchive(files)).documentNames(), ['b']);
});

test('what is given and taken are copies', async () => {
  const archive = await openArchive(new SimulatedFiles());
  const bytes = Buffer.from('one');
  const saved = archive.save('a', bytes);
  bytes.fill(0);
  await saved;
  archive.document('a')?.fill(0);
  assert.is(textOf(archive, 'a'), 'one');
});

test('saves that come while one is written are written together', async () => {
  const files = new SimulatedFiles();
  const archive = await openArchive(files);
  await archive.save('a', Buffer.from('0'));
  const before = files.syncs;
  await archive.backup();
  const syncsOfOne = files.syncs - before;
  await Promise.all([
    archive.save('a', Buffer.from('1')),
    archive.save('b', Buffer.from('2')),
    archive.backup(),
  ]);
  assert.is(files.syncs - before, 2 * syncsOfOne);
  assert.equal([textOf(archive, 'a'), textOf(archive, 'b')], ['1', '2']);
});

test('a document is seen once it is durable, not before', async () => {
  const archive = await openArchive(new SimulatedFiles());
  const saved = archive.save('a', Buffer.from('one'));
  assert.is(textOf(archive, 'a'), undefined);
  await saved;
  assert.is(textOf(archive, 'a'), 'one');
});

test('nothing of it lies on disk in the clear, and two saves of the same have nothing in common', async () => {
  const files = new SimulatedFiles();
  const archive = await openArchive(files);
  await archive.save('secret-name', Buffer.from('secret-content'));
  const first = await bytesOf(files);
  await archive.backup();
  const second = await bytesOf(files);
  for (const bytes of [first, second]) {
    assert.not(bytes.includes('secret-name') || bytes.includes('secret-content'));
  }
  const CIPHERTEXT = [700, 1300] as const; // within local.tgz.ve, the first file
  assert.not.equal(first.subarray(...CIPHERTEXT), second.subarray(...CIPHERTEXT));
});

test('the previous archive is kept, and opens', async () => {
  const files = await filesWithTwoVersions();
  await replaceFile(files, CURRENT, await bytesOf(files, PREVIOUS));
  assert.is(textOf(await openArchive(files), 'a'), 'one');
  assert.ok((await new Bootbank({ files }).loadPrevious()) !== undefined);
});

test('a name that is none, and more than an archive holds, are refused before anything is written', async () => {
  const files = new SimulatedFiles();
  const archive = await openArchive(files);
  for (const name of ['', '..', 'A', 'a/b', 'x'.repeat(65)]) {
    assert.throws(() => archive.save(name, Buffer.alloc(1)), isA(RangeError));
  }
  await archive.save('large', Buffer.alloc(16 << 20)).then(
    () => assert.unreachable(),
    (error: unknown) => assert.instance(error, RangeError),
  );
  assert.equal([files.operations.length, archive.documentNames()], [0, []]);
  await archive.save('small', Buffer.from('goes on'));
});

test('damaged: refused with its code, changes too, and the file stays as it is', async () => {
  const files = await filesWithTwoVersions();
  const damaged = await bytesOf(files);
  damaged.writeUInt8(damaged.readUInt8(700) ^ 1, 700);
  await replaceFile(files, CURRENT, damaged);
  const archive = await openArchive(files);
  assert.is(archive.refused?.code, 'state-damaged');
  assert.is(archive.document('a'), undefined);
  await rejectsWith(archive.save('a', Buffer.from('three')), 'state-damaged');
  await rejectsWith(archive.backup(), 'state-damaged');
  await archive.close();
  assert.equal(await bytesOf(files), damaged);
});

test('an archive of a mode that this version does not know is refused as newer', async () => {
  const files = new SimulatedFiles();
  const none = new NoneWrapping({ random });
  const future: KeyWrapping = {
    mode: 'FUTURE',
    wrap: (key) => none.wrap(key),
    unwrap: (info) => none.unwrap(info),
  };
  const archive = await StateArchive.open({ mode: 'FUTURE' }, { files, random, wrappings: [none, future] });
  await archive.save('a', Buffer.from('one'));
  assert.is((await openArchive(files)).refused?.code, 'state-version-newer');
  const knowing = await openArchive(files, [none, future]);
  assert.equal([textOf(knowing, 'a'), knowing.mode], ['one', 'FUTURE'], 'it keeps its mode');
});

test('two archives have different keys: the envelope of one does not open with the info of the other', async () => {
  const [files, others] = [await filesWithTwoVersions(), await filesWithTwoVersions()];
  const [own, other] = [await new Bootbank({ files }).load(), await new Bootbank({ files: others }).load()];
  await new Bootbank({ files }).save({ info: other!.info, envelope: own!.envelope });
  assert.is((await openArchive(files)).refused?.code, 'state-damaged');
});

test('any flipped bits at all: always refused, never a wrong value, and the previous one still opens', async () => {
  const files = await filesWithTwoVersions();
  const [sound, previous] = [await bytesOf(files), await bytesOf(files, PREVIOUS)];
  const next = seededRandom(7);
  for (let flip = 0; flip < count(500, 10_000); flip++) {
    const damaged = Buffer.from(sound);
    const flips = 1 + Math.floor(next() * 4);
    for (let index = 0; index < flips; index++) {
      const offset = Math.floor(next() * damaged.length);
      damaged.writeUInt8(damaged.readUInt8(offset) ^ (1 << Math.floor(next() * 8)), offset);
    }
    if (damaged.equals(sound)) continue;
    const disk = new SimulatedFiles();
    await disk.makeDirectory('bootbank');
    await (await disk.create(CURRENT)).write(0, damaged);
    await (await disk.create(PREVIOUS)).write(0, previous);
    const archive = await openArchive(disk);
    assert.ok(archive.refused !== undefined && archive.documentNames().length === 0);
    assert.ok((await new Bootbank({ files: disk }).loadPrevious()) !== undefined);
  }
});

for (const operation of ['create', 'write', 'rename', 'sync']) {
  test(`when ${operation} fails, the save is refused and the old value stays, here and on disk`, async () => {
    const files = new SimulatedFiles();
    const archive = await openArchive(files);
    await archive.save('a', Buffer.from('old'));
    files.fault = failing(operation);
    await rejectsWith(archive.save('a', Buffer.from('new')), 'state-unwritable');
    files.fault = undefined;
    assert.is(textOf(archive, 'a'), 'old');
    assert.is(textOf(await openArchive(files), 'a'), 'old');
    await archive.save('b', Buffer.from('goes on'));
    assert.is(textOf(await openArchive(files), 'a'), 'old');
  });
}

test('a save that fails at its very last sync is taken back on disk', async () => {
  const files = new SimulatedFiles();
  const archive = await openArchive(files);
  await archive.save('a', Buffer.from('old'));
  files.fault = once(failing('sync', 'bootbank'));
  await rejectsWith(archive.save('a', Buffer.from('new')), 'state-unwritable');
  assert.is(textOf(await openArchive(files), 'a'), 'old');
});

test('a disk that cannot be read is refused, not taken for a new one', async () => {
  const files = await filesWithTwoVersions();
  files.fault = failing('open');
  const archive = await openArchive(files);
  assert.ok(isEntropyError(archive.refused));
  files.fault = undefined;
  await rejectsWith(archive.save('a', Buffer.from('three')), 'state-unwritable');
  assert.is(textOf(await openArchive(files), 'a'), 'two');
});

test('a disk that can be read but not written gives its documents, and refuses saves', async () => {
  const files = await filesWithTwoVersions();
  files.fault = (operation, path) => failing('sync')(operation, path) ?? failing('create')(operation, path);
  const archive = await openArchive(files);
  assert.equal([archive.refused, textOf(archive, 'a')], [undefined, 'two']);
  await rejectsWith(archive.save('a', Buffer.from('three')), 'state-unwritable');
});

test('close wipes key and documents, and nothing is saved after it', async () => {
  const none = new NoneWrapping({ random });
  let secret: Uint8Array = Buffer.alloc(0);
  const observing: KeyWrapping = {
    mode: 'NONE',
    wrap: (key) => {
      secret = key.secret;
      return none.wrap(key);
    },
    unwrap: (info) => none.unwrap(info),
  };
  const archive = await openArchive(new SimulatedFiles(), [observing]);
  const saved = archive.save('a', Buffer.from('one'));
  await archive.close();
  assert.equal(secret, Buffer.alloc(32), 'the very bytes of the key');
  await saved;
  assert.equal([archive.document('a'), archive.documentNames()], [undefined, []]);
  await rejectsWith(archive.save('a', Buffer.from('two')), 'state-unwritable');
});

test('crash: the archive is whole at every moment, the last saved once it resolved; every sync is needed', async () => {
  const scenario: CrashScenario<string> = {
    run: async (files, mark) => {
      const archive = await openArchive(files);
      for (const value of ['1', '2', '3']) {
        await archive.save('a', Buffer.from(value));
        mark(value);
      }
    },
    check: async (files, stop) => {
      const archive = await openArchive(files);
      assert.is(archive.refused, undefined);
      const value = Number(textOf(archive, 'a') ?? '0');
      const saved = stop.completed.size;
      assert.ok(value === saved || value === saved + 1, `${value} after ${saved} was saved`);
      const previous = await new Bootbank({ files }).loadPrevious();
      assert.ok(previous !== undefined || saved < 2, 'the previous one is there');
      return `${value}`;
    },
    recheck: async (files, _, seen) => assert.is(textOf(await openArchive(files), 'a') ?? '0', seen),
  };
  assert.equal(await superfluousSyncs(scenario), []);
});

test('an archive made before there were recovery keys opens, and gets one at its next write', async () => {
  const files = await filesWithTwoVersions();
  const bank = new Bootbank({ files });
  const sealed = await bank.load();
  const fields = [...sealed!.info.fields].filter(([name]) => !name.startsWith('recovery.'));
  await bank.save({ ...sealed!, info: { ...sealed!.info, fields: new Map(fields) } });
  const archive = await openArchive(files);
  assert.is(textOf(archive, 'a'), 'two');
  await archive.save('a', Buffer.from('three'));
  const { info } = (await bank.load())!;
  assert.equal(unwrapByRecovery(info, (await archive.recoveryKey()).secret).length, 32);
  assert.equal(info.keyId, sealed!.info.keyId, 'under the same key');
});

test('the recovery key can be had before anything was saved, and is then on disk', async () => {
  const files = new SimulatedFiles();
  const archive = await openArchive(files);
  const { secret } = await archive.recoveryKey();
  assert.is(unwrapByRecovery((await new Bootbank({ files }).load())!.info, secret).length, 32);
  assert.equal((await archive.recoveryKey()).secret, secret, 'and stays the same');
});

test('after a rotation the old keys open nothing on disk, and both archives keep their documents', async () => {
  const files = await filesWithTwoVersions();
  const archive = await openArchive(files);
  const before = await archive.recoveryKey();
  await archive.rotate();
  const after = await archive.recoveryKey();
  assert.not.equal([after.id, after.secret], [before.id, before.secret]);
  for (const sealed of [await new Bootbank({ files }).load(), await new Bootbank({ files }).loadPrevious()]) {
    throwsWith(() => unwrapByRecovery(sealed!.info, before.secret), 'recovery-key-wrong');
    assert.is(unwrapByRecovery(sealed!.info, after.secret).length, 32);
  }
  await archive.save('b', Buffer.from('goes on'));
  await replaceFile(files, PREVIOUS, await bytesOf(files, PREVIOUS));
  const reopened = await openArchive(files);
  assert.equal([textOf(reopened, 'a'), textOf(reopened, 'b')], ['two', 'goes on']);
});

test('a rotation keeps the older documents of the previous archive, and replaces one that is damaged', async () => {
  const files = await filesWithTwoVersions();
  await (await openArchive(files)).rotate();
  const current = await bytesOf(files);
  await replaceFile(files, CURRENT, await bytesOf(files, PREVIOUS));
  assert.is(textOf(await openArchive(files), 'a'), 'one');
  await replaceFile(files, CURRENT, current);
  await replaceFile(files, PREVIOUS, Buffer.from('damaged'));
  await (await openArchive(files)).rotate();
  await replaceFile(files, CURRENT, await bytesOf(files, PREVIOUS));
  assert.is(textOf(await openArchive(files), 'a'), 'two');
});

test('another mode is a rotation; the mode is told once both archives are its own', async () => {
  const files = await filesWithTwoVersions();
  const none = new NoneWrapping({ random });
  const settled: string[] = [];
  const other: KeyWrapping = {
    mode: 'OTHER',
    wrap: (key) => none.wrap(key),
    unwrap: (info) => none.unwrap(info),
    settle: async (info) => {
      const previous = await new Bootbank({ files }).loadPrevious();
      settled.push(`${info.mode} ${previous?.info.mode}`);
    },
  };
  const archive = await openArchive(files, [none, other]);
  await archive.rotate({ mode: 'OTHER' });
  assert.equal([archive.mode, settled], ['OTHER', ['OTHER OTHER']]);
  await openArchive(files, [none, other]);
  assert.is(settled.length, 2, 'and again at each start');
});

test('wrapped again, both archives open by the same recovery key', async () => {
  const files = await filesWithTwoVersions();
  const archive = await openArchive(files);
  const [before, { secret }] = [(await new Bootbank({ files }).load())!.info, await archive.recoveryKey()];
  await archive.rewrap();
  for (const sealed of [await new Bootbank({ files }).load(), await new Bootbank({ files }).loadPrevious()]) {
    assert.not.equal(sealed!.info.fields.get('none.inputs'), before.fields.get('none.inputs'));
    assert.is(unwrapByRecovery(sealed!.info, secret).length, 32);
  }
});

for (const operation of ['create', 'write', 'rename', 'sync']) {
  test(`when ${operation} fails, a rotation is refused, and the old recovery key still opens`, async () => {
    for (let nth = 0; nth < 3; nth++) {
      const files = await filesWithTwoVersions();
      const archive = await openArchive(files);
      const { secret } = await archive.recoveryKey();
      let seen = 0;
      const fault = failing(operation);
      files.fault = (...call) => {
        const error = fault(...call);
        return error !== undefined && seen++ === nth ? error : undefined;
      };
      const outcome = await archive.rotate().catch((error: unknown) => error);
      files.fault = undefined;
      if (outcome === undefined) continue; // So often it is not called.
      assert.ok(isEntropyError(outcome, 'state-unwritable'), `${operation} ${nth}`);
      assert.equal((await archive.recoveryKey()).secret, secret);
      await archive.save('b', Buffer.from('goes on'));
      assert.is(unwrapByRecovery((await new Bootbank({ files }).load())!.info, secret).length, 32);
      assert.is(textOf(await openArchive(files), 'a'), 'two');
    }
  });
}

test('crash during rotations: both archives open at every moment; once it resolved, not by the old key', async () => {
  let first: Buffer = Buffer.alloc(0);
  const scenario: CrashScenario<string> = {
    setup: async (files) => {
      const archive = await openArchive(files);
      await archive.save('a', Buffer.from('one'));
      await archive.save('a', Buffer.from('two'));
      first = (await archive.recoveryKey()).secret;
    },
    run: async (files, mark) => {
      const archive = await openArchive(files);
      await archive.rotate();
      mark('rotated');
    },
    check: async (files, stop) => {
      const archive = await openArchive(files);
      assert.equal([archive.refused, textOf(archive, 'a')], [undefined, 'two']);
      const bank = new Bootbank({ files });
      const infos = [(await bank.load())!.info, (await bank.loadPrevious())!.info];
      if (stop.completed.has('rotated')) {
        for (const info of infos) throwsWith(() => unwrapByRecovery(info, first), 'recovery-key-wrong');
      }
      await new ArchivePair({ bootbank: bank, random, wrappings: [new NoneWrapping({ random })] }).open(
        (await bank.loadPrevious())!,
      );
      return (await archive.recoveryKey()).secret.toString('hex');
    },
    recheck: async (files, _, seen) =>
      assert.is((await (await openArchive(files)).recoveryKey()).secret.toString('hex'), seen),
  };
  // Not needed here: the directory's at opening, since setup left nothing unsynced, and between the two renames.
  const superfluous = await superfluousSyncs(scenario);
  assert.equal(superfluous, ['run: sync 0', 'run: sync 2', 'reopening: sync 0', 'reopening: sync 1']);
});

function once(fault: Fault): Fault {
  let failed = false;
  return (operation, path) => {
    const error = failed ? undefined : fault(operation, path);
    failed ||= error !== undefined;
    return error;
  };
}

test.run();
