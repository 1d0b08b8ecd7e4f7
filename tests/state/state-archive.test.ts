import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { replaceFile } from '../../src/durable/atomic-file.ts';
import { Bootbank } from '../../src/state/bootbank.ts';
import { NoneWrapping, type KeyWrapping } from '../../src/state/root-key.ts';
import { SimulatedFiles } from '../durable/simulated-files.ts';
import { isA, rejectsWith } from '../rejects.ts';
import {
  bytesOf,
  CURRENT,
  filesWithTwoVersions,
  openArchive,
  PREVIOUS,
  random,
  textOf,
} from './state-archive-fixture.ts';

/** What an archive keeps: documents, together, durable, sealed, and the archive before. */

test('a missing archive is a new one; nothing is on disk before the first save', async () => {
  const files = new SimulatedFiles();
  const archive = await openArchive(files);
  assert.equal([archive.refused, archive.mode, archive.documentNames()], [undefined, 'NONE', []]);
  assert.equal(files.operations, []);
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

test.run();
