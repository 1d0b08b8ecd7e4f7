import { generateKeyPairSync, sign, createHash, type KeyObject } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Installation, MANIFEST, RELEASE_KEY, SIGNATURE } from '../../src/state/installation.ts';
import { rejectsWith } from '../rejects.ts';

const root = mkdtempSync(path.join(tmpdir(), 'installation-'));
const installation = new Installation({ root });

function write(file: string, content: string | Buffer): void {
  mkdirSync(path.dirname(path.join(root, file)), { recursive: true });
  writeFileSync(path.join(root, file), content);
}

/** A build of two files, with the manifest that belongs to it. */
function build(content: string, signer?: { privateKey: KeyObject; publicKey: KeyObject }): void {
  for (const file of [SIGNATURE, RELEASE_KEY]) rmSync(path.join(root, file), { force: true });
  write('out/entropyd.js', content);
  write('build/native/kernel-writer', 'a program');
  const digest = (file: string) =>
    createHash('sha256')
      .update(readFileSync(path.join(root, file)))
      .digest('hex');
  const files = ['out/entropyd.js', 'build/native/kernel-writer'];
  const manifest = JSON.stringify({ format: 1, files: Object.fromEntries(files.map((f) => [f, digest(f)])) });
  write(MANIFEST, manifest);
  if (signer === undefined) return;
  write(SIGNATURE, sign(null, Buffer.from(manifest), signer.privateKey));
  write(RELEASE_KEY, signer.publicKey.export({ type: 'spki', format: 'pem' }));
}

async function measured(): Promise<string> {
  return (await installation.verify()).measurement.toString('hex');
}

test('a local build is its own identity: the same build measures the same, another one does not', async () => {
  build('one');
  const { signer, files } = await installation.verify();
  assert.equal([signer, files], ['local', 2]);
  const before = await measured();
  build('one');
  assert.is(await measured(), before);
  build('two');
  assert.not.equal(await measured(), before);
});

test('a signed release measures as its signer: an upgrade by the same key is the same, by another key it is not', async () => {
  const [ours, theirs] = [generateKeyPairSync('ed25519'), generateKeyPairSync('ed25519')];
  build('one', ours);
  const before = await measured();
  assert.match((await installation.verify()).signer, /^sha256:[0-9a-f]{64}$/);
  build('two', ours);
  assert.is(await measured(), before);
  build('two', theirs);
  assert.not.equal(await measured(), before);
  build('two');
  assert.not.equal(await measured(), before);
});

test('whatever is not as it was built is named', async () => {
  const keys = generateKeyPairSync('ed25519');
  const refused = async (change: () => void, message: RegExp): Promise<void> => {
    build('one', keys);
    change();
    assert.match((await rejectsWith(installation.verify(), 'installation-altered')).message, message);
  };
  const remove = (file: string): void => rmSync(path.join(root, file));
  await refused(() => write('out/entropyd.js', 'One'), /^out\/entropyd\.js was changed$/);
  await refused(() => remove('build/native/kernel-writer'), /^build\/native\/kernel-writer is missing$/);
  await refused(() => remove(MANIFEST), /manifest\.json is missing/);
  await refused(() => remove(SIGNATURE), /and not both/);
  await refused(() => remove(RELEASE_KEY), /and not both/);
  await refused(() => write(SIGNATURE, Buffer.alloc(64)), /does not hold/);
  await refused(() => write(SIGNATURE, ''), /does not hold/);
  await refused(() => write(RELEASE_KEY, 'no key'), /does not hold/);
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey;
  await refused(() => write(RELEASE_KEY, rsa.export({ type: 'spki', format: 'pem' })), /does not hold/);
  await refused(() => write(MANIFEST, '{"format":1,"files":{}}'), /does not hold/);
});

test('an unsigned manifest that is none is refused', async () => {
  const digest = 'a'.repeat(64);
  for (const manifest of [
    '',
    '[]',
    '{"format":2,"files":{"out/a.js":"' + digest + '"}}',
    '{"format":1,"files":{}}',
    '{"format":1,"files":{"../etc/passwd":"' + digest + '"}}',
    '{"format":1,"files":{"out/../../etc/passwd":"' + digest + '"}}',
    '{"format":1,"files":{"out/a.js":"A"}}',
    'null',
  ]) {
    build('one');
    write(MANIFEST, manifest);
    await rejectsWith(installation.verify(), 'installation-altered');
  }
});

test.after(() => rmSync(root, { recursive: true, force: true }));

test.run();
