import { execFileSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { escrowed, recipientKey } from '../../src/state/recovery-escrow.ts';
import { throwsWith } from '../rejects.ts';
import { hasProgram, testWhen } from '../requirements.ts';

const PEM = { type: 'spki', format: 'pem' } as const;
const PRIVATE_PEM = { type: 'pkcs8', format: 'pem' } as const;
const rsa = generateKeyPairSync('rsa', {
  modulusLength: 2048,
  publicKeyEncoding: PEM,
  privateKeyEncoding: PRIVATE_PEM,
});
const LINE = Buffer.from(`{00112233-4455-4677-8899-AABBCCDDEEFF} ${'000000-'.repeat(15)}000000\n`);

testWhen(hasProgram('openssl'))(
  'stock openssl opens it with the documented command, to a key or a certificate',
  () => {
    const directory = mkdtempSync(path.join(tmpdir(), 'escrow-'));
    const at = (name: string): string => path.join(directory, name);
    const openssl = (...words: string[]): Buffer =>
      execFileSync('openssl', words, { cwd: directory, stdio: 'pipe' });
    try {
      openssl(
        'req',
        '-x509',
        '-newkey',
        'rsa:3072',
        '-nodes',
        '-subj',
        '/CN=vault',
        '-keyout',
        'key.pem',
        '-out',
        'cert.pem',
      );
      writeFileSync(at('pub.pem'), openssl('pkey', '-in', 'key.pem', '-pubout'));
      for (const recipient of ['pub.pem', 'cert.pem']) {
        writeFileSync(at('recovery-key.oaep'), escrowed(LINE, readFileSync(at(recipient), 'latin1')));
        const options = ['-pkeyopt', 'rsa_padding_mode:oaep', '-pkeyopt', 'rsa_oaep_md:sha256'];
        assert.equal(
          openssl('pkeyutl', '-decrypt', '-inkey', 'key.pem', ...options, '-in', 'recovery-key.oaep'),
          LINE,
        );
      }
    } finally {
      rmSync(directory, { recursive: true });
    }
  },
);

test('the same key is never encrypted to the same bytes', () => {
  assert.not.equal(escrowed(LINE, rsa.publicKey), escrowed(LINE, rsa.publicKey));
});

test('refused: what is no RSA public key of 2,048 to 8,192 bits, and above all a private key', () => {
  const weak = generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey.export(PEM).toString();
  const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export(PEM).toString();
  const cut = rsa.publicKey.replace(/[A-Za-z0-9+/]{20}\n/, '\n');
  for (const pem of [
    rsa.privateKey,
    rsa.privateKey + rsa.publicKey,
    weak,
    ec,
    cut,
    '',
    'PEM',
    rsa.publicKey.repeat(2),
  ]) {
    throwsWith(() => recipientKey(pem), 'recipient-refused');
  }
  assert.throws(() => recipientKey(rsa.privateKey), /private key/);
});

test.run();
