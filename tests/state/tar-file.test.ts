import { spawnSync } from 'node:child_process';
import { pack, type Header } from 'tar-stream';

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { isEntropyError } from '../../src/base/errors.ts';
import { decodeTar, encodeTar, tarBytes } from '../../src/state/tar-file.ts';
import { hasProgram, testWhen } from '../requirements.ts';

const FILES = new Map([
  ['config.json', Buffer.from('{}')],
  ['empty', Buffer.alloc(0)],
  ['exact', Buffer.alloc(512, 'x')],
  ['large', Buffer.alloc(70_000, 'y')],
]);

type PartialHeader = Partial<Header> & { readonly name: string };

async function isRefused(tar: Buffer): Promise<boolean> {
  try {
    await decodeTar(tar, 'archive');
    return false;
  } catch (error) {
    assert.ok(isEntropyError(error, 'state-damaged'), String(error));
    assert.is(error.message, 'archive is not a sound archive');
    return true;
  }
}

async function tarOf(...entries: readonly (readonly [PartialHeader, string?])[]): Promise<Buffer> {
  const stream = pack();
  for (const [header, content] of entries)
    stream.entry({ mtime: new Date(0), mode: 0o600, ...header }, content ?? '');
  stream.finalize();
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

test('gives back the files, and always the same tar for them', async () => {
  const tar = await encodeTar(FILES);
  assert.equal(await decodeTar(tar, 'archive'), FILES);
  assert.equal(await encodeTar(FILES), tar);
  assert.is(tar.length, tarBytes([...FILES.values()].map(({ length }) => length)));
});

test('no files make a tar too', async () => {
  assert.equal(await decodeTar(await encodeTar(new Map()), 'archive'), new Map());
});

testWhen(hasProgram('tar'))('tar(1) lists it', async () => {
  const listed = spawnSync('tar', ['-tf', '-'], { input: await encodeTar(FILES), encoding: 'utf8' });
  assert.is(listed.stdout, [...FILES.keys()].map((name) => `${name}\n`).join(''));
});

test('a plain file by an allowed name is taken, whoever wrote the tar so', async () => {
  assert.equal(
    await decodeTar(await tarOf([{ name: 'a' }, 'content']), 'archive'),
    new Map([['a', Buffer.from('content')]]),
  );
});

for (const [what, entries] of Object.entries<(readonly [PartialHeader, string?])[]>({
  'a link': [[{ name: 'a', type: 'symlink', linkname: '/etc/passwd' }]],
  'a directory': [[{ name: 'a', type: 'directory' }]],
  'a device': [[{ name: 'a', type: 'character-device' }]],
  'a name that leads elsewhere': [[{ name: '../a' }]],
  'an absolute name': [[{ name: '/a' }]],
  'a name twice': [[{ name: 'a' }], [{ name: 'a' }]],
  'a name of 65 characters': [[{ name: 'a'.repeat(65) }]],
  'extended headers': [[{ name: 'a', pax: { comment: 'x' } }]],
  'another mode': [[{ name: 'a', mode: 0o644 }]],
  'another time': [[{ name: 'a', mtime: new Date(1000) }]],
  'more than 256 files': Array.from({ length: 257 }, (_, index) => [{ name: `f${index}` }] as const),
})) {
  test(`refused: ${what}`, async () => assert.ok(await isRefused(await tarOf(...entries))));
}

test('refused: every cut, a tail, an entry larger than the tar, no tar at all', async () => {
  const tar = await tarOf([{ name: 'a' }, 'content']);
  for (let length = 0; length < tar.length; length += 100)
    assert.ok(await isRefused(tar.subarray(0, length)), `${length}`);
  assert.ok(await isRefused(Buffer.concat([tar, Buffer.alloc(512)])));
  assert.ok(await isRefused(Buffer.alloc(2048, 'x')));
  const [header] = [tar.subarray(0, 512)];
  header.write('77777777777', 124, 'latin1');
  header.write('        ', 148, 'latin1');
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  assert.ok(await isRefused(tar));
});

test.run();
