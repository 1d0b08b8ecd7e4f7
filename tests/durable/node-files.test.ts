import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { removeLeftover, replaceFile } from '../../src/durable/atomic-file.ts';
import { readWhole, type DurableFiles } from '../../src/durable/durable-files.ts';
import { Journal } from '../../src/durable/journal.ts';
import { NodeFiles } from '../../src/durable/node-files.ts';
import { count } from '../counts.ts';
import { seededSource } from '../fakes/seeded-stream.ts';
import { isA, rejectsWith } from '../rejects.ts';
import { isRoot, testWhen } from '../requirements.ts';
import { SimulatedFiles } from './simulated-files.ts';

const scratch = mkdtempSync(path.join(os.tmpdir(), 'entropy-mixer-files-'));
let directories = 0;

function newRoot(): string {
  return path.join(scratch, `root-${directories++}`);
}

function fixture(name: string): string {
  return path.join(import.meta.dirname, 'fixtures', name);
}

async function contentOf(files: DurableFiles, name: string): Promise<string | undefined> {
  return (await readWhole(files, name, 1 << 20))?.toString();
}

/** The interface as both implementations keep it: the simulator is worth as much as it is like the real one. */
const implementations: Record<string, () => Promise<DurableFiles>> = {
  simulated: () => Promise.resolve(new SimulatedFiles()),
  real: () => NodeFiles.open({ root: newRoot() }),
};

for (const [name, make] of Object.entries(implementations)) {
  test(`${name}: content, ranges, gaps, sizes`, async () => {
    const files = await make();
    const file = await files.create('a');
    await file.write(0, Buffer.from('hello'));
    await file.write(8, Buffer.from('there'));
    assert.is(await file.sizeBytes(), 13);
    assert.equal(await file.read(0, 100), Buffer.from('hello\0\0\0there'));
    assert.equal(await file.read(3, 4), Buffer.from('lo\0\0'));
    assert.equal(await file.read(13, 4), Buffer.alloc(0));
    await file.truncate(4);
    await file.preallocate(70_000);
    await file.preallocate(10);
    assert.equal(await file.read(0, 70_001), Buffer.concat([Buffer.from('hell'), Buffer.alloc(69_996)]));
    await file.sync();
    await file.close();
  });

  test(`${name}: names, and files that outlive theirs`, async () => {
    const files = await make();
    assert.is(await files.open('a'), undefined);
    const first = await files.create('a');
    await first.write(0, Buffer.from('first'));
    await (await files.create('b')).close();
    await files.rename('a', 'b');
    assert.equal(await files.list(''), ['b']);
    assert.is(await contentOf(files, 'b'), 'first');
    assert.is(await files.remove('b'), true);
    assert.is(await files.remove('b'), false);
    assert.equal(await first.read(0, 9), Buffer.from('first'));
    await first.close();
    await files.syncDirectory('');
  });

  test(`${name}: directories`, async () => {
    const files = await make();
    assert.equal(await files.list('d'), []);
    assert.is(await files.makeDirectory('d'), true);
    assert.is(await files.makeDirectory('d'), false);
    await (await files.create('d/z')).close();
    await (await files.create('d/a')).close();
    assert.equal(await files.list('d'), ['a', 'z']);
    assert.equal(await files.list(''), ['d']);
    await files.syncDirectory('d');
    await rejectsWith(files.create('missing/a'), 'state-unwritable');
    await rejectsWith(files.syncDirectory('missing'), 'state-unwritable');
    await rejectsWith(files.rename('x', 'y'), 'state-unwritable');
  });

  test(`${name}: a name is taken once, and a counter counts`, async () => {
    const files = await make();
    await (await files.create('a')).close();
    await files.create('a').then(
      () => assert.unreachable(),
      (error: unknown) => assert.match(String(error), /broken invariant/),
    );
    const counter = files.counter('c');
    assert.equal([await counter.read(), await counter.advance(), await counter.advance()], [0, 1, 2]);
    assert.is(await files.counter('c').read(), 2);
  });

  test(`${name}: paths that lead elsewhere are refused before anything is done`, async () => {
    const files = await make();
    const bad = [
      '',
      '/',
      '/etc',
      '..',
      '.',
      'a/../b',
      '.hidden',
      'A',
      'a//b',
      'a/',
      'a\0',
      'a b',
      'ä',
      'a/b/c/d/e',
    ];
    for (const name of [...bad, 'x'.repeat(65)]) {
      for (const use of [
        () => files.open(name),
        () => files.create(name),
        () => files.remove(name),
        () => files.makeDirectory(name),
        () => files.rename('a', name),
      ]) {
        await use().then(
          () => assert.unreachable(name),
          (error: unknown) => assert.instance(error, RangeError, name),
        );
      }
    }
    await files.rename('a', 'd/a').then(
      () => assert.unreachable(),
      (error: unknown) => assert.instance(error, RangeError),
    );
  });

  test(`${name}: replacement, journal and leftovers`, async () => {
    const files = await make();
    await replaceFile(files, 'a', Buffer.from('old'));
    await replaceFile(files, 'a', Buffer.alloc(100_000, 'new'), { keepPreviousAs: 'p' });
    assert.equal(await readWhole(files, 'p', 10), Buffer.from('old'));
    assert.equal(await readWhole(files, 'a', 100_000), Buffer.alloc(100_000, 'new'));
    await rejectsWith(readWhole(files, 'a', 99_999), 'state-damaged');
    await (await files.create('a.new')).close();
    await removeLeftover(files, 'a');
    const options = { path: 'j', kind: 'test', maximumBytes: 1000 };
    const dependencies = { files, random: seededSource() };
    const { journal } = await Journal.open(options, dependencies);
    await Promise.all(['1', '2'].map((text) => journal.append(Buffer.from(text))));
    await journal.rotate([Buffer.from('1+2')]);
    await journal.append(Buffer.from('3'));
    await journal.close();
    const reopened = await Journal.open(options, dependencies);
    assert.equal(reopened.records.map(String), ['1+2', '3']);
    await reopened.journal.close();
    assert.equal(await files.list(''), ['a', 'j', 'p']);
  });
}

test('files are 0600 and directories 0700, whatever the umask', async () => {
  const before = process.umask(0);
  try {
    const root = path.join(newRoot(), 'deep');
    const files = await NodeFiles.open({ root });
    await (await files.create('a')).close();
    await files.makeDirectory('d');
    const modeOf = (name: string): number => statSync(path.join(root, name)).mode & 0o777;
    assert.equal([modeOf(''), modeOf('a'), modeOf('d')], [0o700, 0o600, 0o700]);
  } finally {
    process.umask(before);
  }
});

test('a root that is a file, or open to other writers, is refused; a link to a good one is followed', async () => {
  const root = newRoot();
  await NodeFiles.open({ root });
  writeFileSync(path.join(root, 'file'), '');
  await rejectsWith(NodeFiles.open({ root: path.join(root, 'file') }), 'runtime-dir-unusable');
  await rejectsWith(NodeFiles.open({ root: path.join(root, 'file', 'below') }), 'runtime-dir-unusable');
  symlinkSync(root, path.join(root, 'link'));
  assert.equal(await (await NodeFiles.open({ root: path.join(root, 'link') })).list(''), ['file', 'link']);
  const shared = newRoot();
  mkdirSync(shared);
  chmodSync(shared, 0o1777);
  symlinkSync(shared, path.join(root, 'away'));
  await rejectsWith(NodeFiles.open({ root: path.join(root, 'away') }), 'runtime-dir-unusable');
  await rejectsWith(NodeFiles.open({ root: shared }), 'runtime-dir-unusable');
});

test('a link in place of a file is not followed', async () => {
  const root = newRoot();
  const files = await NodeFiles.open({ root });
  writeFileSync(path.join(root, 'target'), 'kept');
  symlinkSync(path.join(root, 'target'), path.join(root, 'a'));
  await rejectsWith(files.open('a'), 'state-unreadable');
  await replaceFile(files, 'a', Buffer.from('new'));
  assert.is(readFileSync(path.join(root, 'target'), 'utf8'), 'kept');
});

test('transfers are bounded and offsets are whole numbers', async () => {
  const files = await NodeFiles.open({ root: newRoot() });
  const file = await files.create('a');
  assert.throws(() => file.read(0, 64 * 1024 * 1024 + 1), isA(RangeError));
  assert.throws(() => file.read(-1, 1), isA(RangeError));
  assert.throws(() => file.write(0.5, Buffer.alloc(1)), isA(RangeError));
  assert.throws(() => file.truncate(NaN), isA(RangeError));
  await file.close();
});

const canMount = spawnSync('unshare', ['-rm', 'true']).status === 0;

testWhen(canMount && isRoot)(
  'a full and a read-only disk: refused as state-unwritable, what is there can be read',
  () => {
    const root = newRoot();
    const script =
      'mkdir "$1" && mount -t tmpfs -o size=64k,mode=0700 tmpfs "$1" && exec "$2" --import tsx "$3" "$1"';
    const child = spawnSync(
      'unshare',
      ['-rm', 'sh', '-c', script, 'sh', root, process.execPath, fixture('full-disk.ts')],
      {
        encoding: 'utf8',
      },
    );
    assert.is(
      child.stdout,
      'full: state-unwritable\nkept: 1000\nread-only: state-unwritable\nread: 1000\n',
      child.stderr,
    );
  },
);

test('kill -9 while a file is replaced in a loop leaves a whole version', async () => {
  for (let round = 0; round < count(5, 50); round++) {
    const root = newRoot();
    const child = spawn(process.execPath, ['--import', 'tsx', fixture('replace-loop.ts'), root], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let replaced = 0;
    for await (const chunk of child.stdout) {
      replaced = Number(String(chunk).trim().split('\n').pop());
      if (replaced > (round % 8) * 4) break;
    }
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
    const bytes = await readWhole(await NodeFiles.open({ root }), 'a', 1 << 20);
    const version = bytes?.readUInt32BE(0) ?? 0;
    assert.ok(version >= replaced, `version ${version} after ${replaced} was done`);
    assert.ok(bytes?.equals(Buffer.alloc(10_000, bytes.subarray(0, 4))));
  }
});

test.after(() => rmSync(scratch, { recursive: true }));

test.run();
