import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { isEntropyError } from '../../src/base/errors.ts';
import { replaceFile } from '../../src/durable/atomic-file.ts';
import { ArchivePair } from '../../src/state/archive-pair.ts';
import { Bootbank } from '../../src/state/bootbank.ts';
import { unwrapByRecovery } from '../../src/state/recovery-wrapping.ts';
import { NoneWrapping, type KeyWrapping } from '../../src/state/root-key.ts';
import { superfluousSyncs, type CrashScenario } from '../durable/crash-simulator.ts';
import { failing, SimulatedFiles } from '../durable/simulated-files.ts';
import { throwsWith } from '../rejects.ts';
import {
  bytesOf,
  CURRENT,
  filesWithTwoVersions,
  openArchive,
  PREVIOUS,
  random,
  textOf,
} from './state-archive-fixture.ts';

/** Another key, another mode, another wrapping for both archives; and the recovery key, which opens them all. */

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

test.run();
