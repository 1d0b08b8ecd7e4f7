import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { isEntropyError } from '../../src/base/errors.ts';
import { replaceFile } from '../../src/durable/atomic-file.ts';
import { Bootbank } from '../../src/state/bootbank.ts';
import { NoneWrapping, type KeyWrapping } from '../../src/state/root-key.ts';
import { StateArchive } from '../../src/state/state-archive.ts';
import { count } from '../counts.ts';
import { seededRandom, superfluousSyncs, type CrashScenario } from '../durable/crash-simulator.ts';
import { failing, SimulatedFiles, type Fault } from '../durable/simulated-files.ts';
import { rejectsWith } from '../rejects.ts';
import {
  bytesOf,
  CURRENT,
  filesWithTwoVersions,
  openArchive,
  PREVIOUS,
  random,
  textOf,
} from './state-archive-fixture.ts';

/** Archives that are damaged or foreign, disks that fail, and crashes: refused or as it was, never a wrong value. */

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

test('a first save that fails at its last step leaves nothing that a restart could find', async () => {
  const files = new SimulatedFiles();
  const archive = await openArchive(files);
  files.fault = once(failing('sync', 'bootbank'));
  await rejectsWith(archive.save('a', Buffer.from('refused')), 'state-unwritable');
  assert.equal((await openArchive(files)).documentNames(), []);
  await archive.save('a', Buffer.from('taken'));
  assert.is(textOf(await openArchive(files), 'a'), 'taken');
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

function once(fault: Fault): Fault {
  let failed = false;
  return (operation, path) => {
    const error = failed ? undefined : fault(operation, path);
    failed ||= error !== undefined;
    return error;
  };
}

test.run();
