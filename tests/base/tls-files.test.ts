import { spawnSync } from 'node:child_process';
import { createHash, createPublicKey, generateKeyPairSync } from 'node:crypto';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { pinOf, readAuthorities, readTlsPair, type TlsPairFiles } from '../../src/base/tls-files.ts';
import { hasProgram, isRoot, testWhen } from '../requirements.ts';
import { throwsWith } from '../rejects.ts';
import { DAY_MS, writePair } from './tls-pair.ts';

let directory: string;
let files: TlsPairFiles;
const nowMs = Date.now();

test.before.each(async () => {
  directory = mkdtempSync(path.join(tmpdir(), 'tls-files-'));
  files = await writePair(directory, 'a');
});
test.after.each(() => {
  rmSync(directory, { recursive: true });
});

function file(name: string, content: string | Buffer, mode = 0o600): string {
  const place = path.join(directory, name);
  writeFileSync(place, content);
  chmodSync(place, mode);
  return place;
}

test('a pair that belongs together is read, through symbolic links too', () => {
  const linked = path.join(directory, 'live.pem');
  symlinkSync(files.certificateFile, linked);
  const pair = readTlsPair({ ...files, certificateFile: linked }, nowMs);
  assert.equal(pair.certificates, readFileSync(files.certificateFile));
  assert.equal(pair.key, readFileSync(files.keyFile));
});

test('the pin is the SHA-256 of the public key in DER', () => {
  const { leaf, key } = readTlsPair(files, nowMs);
  const spki = createPublicKey(key.toString('latin1')).export({ type: 'spki', format: 'der' });
  assert.equal(pinOf(leaf), createHash('sha256').update(spki).digest());
});

test('what cannot be read is told as that', () => {
  throwsWith(() => readTlsPair({ ...files, keyFile: `${directory}/none` }, nowMs), 'tls-file-unreadable');
  throwsWith(
    () => readTlsPair({ ...files, certificateFile: `${directory}/none` }, nowMs),
    'tls-file-unreadable',
  );
  mkdirSync(path.join(directory, 'folder'));
  throwsWith(() => readAuthorities(`${directory}/folder`), 'tls-file-unreadable');
});

test('what does not hold what it should is told as that, and no content is quoted', () => {
  const nonsense = file('nonsense', 'hunter2 is my secret');
  const cut = file('cut', readFileSync(files.certificateFile, 'latin1').replace(/.{40}\n/, '\n'));
  for (const wrong of [nonsense, cut, files.keyFile])
    throwsWith(() => readTlsPair({ ...files, certificateFile: wrong }, nowMs), 'tls-file-invalid');
  try {
    readTlsPair({ ...files, keyFile: nonsense }, nowMs);
    assert.unreachable();
  } catch (error) {
    assert.not.match(String(error), 'hunter2');
  }
  throwsWith(
    () => readTlsPair({ ...files, keyFile: file('c', readFileSync(files.certificateFile)) }, nowMs),
    'tls-file-invalid',
  );
  throwsWith(() => readAuthorities(nonsense), 'tls-file-invalid');
  throwsWith(() => readAuthorities(file('long', Buffer.alloc(1024 * 1024 + 1))), 'tls-file-invalid');
});

test('an encrypted key is refused with what to do', () => {
  const { privateKey } = generateKeyPairSync('ec', {
    namedCurve: 'P-256',
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'x' },
  });
  const keyFile = file('encrypted', privateKey);
  assert.throws(() => readTlsPair({ ...files, keyFile }, nowMs), /encrypted: store it without a passphrase/);
});

testWhen(hasProgram('openssl'))(
  'a key too small for OpenSSL is refused here, not at the first connection',
  () => {
    const certificateFile = path.join(directory, 'small.cert.pem');
    const keyFile = path.join(directory, 'small.key.pem');
    const words = [
      'req',
      '-x509',
      '-newkey',
      'rsa:512',
      '-nodes',
      '-subj',
      '/CN=x',
      '-keyout',
      keyFile,
      '-out',
      certificateFile,
    ];
    assert.is(spawnSync('openssl', words).status, 0);
    throwsWith(() => readTlsPair({ certificateFile, keyFile }, nowMs + 1000), 'tls-file-invalid');
  },
);

test('a key of another certificate does not go with it', async () => {
  const other = await writePair(directory, 'b');
  throwsWith(() => readTlsPair({ ...files, keyFile: other.keyFile }, nowMs), 'tls-pair-mismatched');
});

test('a certificate is taken from its first to before its last moment', async () => {
  const notBeforeMs = Math.floor(nowMs / 1000) * 1000;
  const short = await writePair(directory, 'short', { notBeforeMs, notAfterMs: notBeforeMs + DAY_MS });
  throwsWith(() => readTlsPair(short, notBeforeMs - 1), 'tls-certificate-expired');
  readTlsPair(short, notBeforeMs);
  readTlsPair(short, notBeforeMs + DAY_MS - 1);
  throwsWith(() => readTlsPair(short, notBeforeMs + DAY_MS), 'tls-certificate-expired');
});

test('a key that others can get at is refused', () => {
  for (const mode of [0o604, 0o602, 0o601, 0o620, 0o610, 0o666]) {
    chmodSync(files.keyFile, mode);
    throwsWith(() => readTlsPair(files, nowMs), 'key-file-exposed');
  }
  chmodSync(files.keyFile, 0o400);
  readTlsPair(files, nowMs);
});

testWhen(isRoot)('a group may read a key that root owns', () => {
  chmodSync(files.keyFile, 0o640);
  readTlsPair(files, nowMs);
});

test.run();
