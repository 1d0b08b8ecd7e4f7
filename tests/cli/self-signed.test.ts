import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { EXIT } from '../../src/base/errors.ts';
import { readTlsPair } from '../../src/base/tls-files.ts';
import { hasProgram, testWhen } from '../requirements.ts';
import { runCommand } from './cli-bench.ts';

/** `mixer tls self-signed`, judged by openssl. */

let directory: string;

test.before.each(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'self-signed-'));
});
test.after.each(() => {
  rmSync(directory, { recursive: true });
});

function selfSigned(...more: readonly string[]) {
  const words = ['mixer', 'tls', 'self-signed', '--cert', 'cert.pem', '--key', 'key.pem', ...more];
  return runCommand(words, { workingDirectory: directory });
}

function openssl(...words: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync('openssl', words, { encoding: 'utf8', cwd: directory });
  assert.is(status, 0, stderr);
  return stdout;
}

testWhen(hasProgram('openssl'))(
  'openssl finds a certificate that signs itself, strictly, with the names and days asked for',
  async () => {
    const made = await selfSigned(
      ...['--name', 'lab.example', '--name', '10.0.0.7', '--name', 'fe80::1:2', '--days', '30'],
      '--formatter=json',
    );
    assert.is(made.exit, EXIT.ok, made.stderr);
    for (const check of [
      ['-verify_hostname', 'lab.example'],
      ['-verify_ip', '10.0.0.7'],
      ['-verify_ip', 'fe80:0::1:2'],
    ])
      openssl('verify', '-CAfile', 'cert.pem', '-x509_strict', '-purpose', 'sslserver', ...check, 'cert.pem');
    assert.match(openssl('pkey', '-in', 'key.pem', '-check', '-noout'), 'Key is valid');
    const der = spawnSync(
      'sh',
      [
        '-c',
        'openssl x509 -in cert.pem -noout -pubkey | openssl pkey -pubin -outform DER | openssl dgst -sha256',
      ],
      { encoding: 'utf8', cwd: directory },
    );
    const { Pin: pin, Names: names } = JSON.parse(made.stdout) as { Pin: string; Names: string };
    assert.match(der.stdout, pin, 'the pin is the SHA-256 of the public key as openssl writes it');
    assert.is(names, 'lab.example, 10.0.0.7, fe80::1:2');
    openssl('x509', '-in', 'cert.pem', '-noout', '-checkend', String(29 * 86_400));
    const { status } = spawnSync(
      'openssl',
      ['x509', '-in', 'cert.pem', '-noout', '-checkend', String(31 * 86_400)],
      { cwd: directory },
    );
    assert.is(status, 1);
  },
);

test('the key is its owner’s alone, and the daemon takes the pair', async () => {
  assert.is((await selfSigned()).exit, EXIT.ok);
  assert.is(statSync(path.join(directory, 'key.pem')).mode & 0o777, 0o600);
  const pair = readTlsPair(
    { certificateFile: path.join(directory, 'cert.pem'), keyFile: path.join(directory, 'key.pem') },
    Date.now(),
  );
  for (const name of ['localhost', '127.0.0.1', '::1'])
    assert.ok(pair.leaf.checkHost(name) ?? pair.leaf.checkIP(name), name);
  assert.not(pair.leaf.ca);
});

test('names that are none are refused, and nothing is written', async () => {
  for (const name of ['two words', 'a..b', '-a', '1.2.3', 'under_score', 'x'.repeat(64)]) {
    const { exit, stderr } = await selfSigned('--name', name);
    assert.is(exit, EXIT.usage, `${name}: ${stderr}`);
  }
  assert.not(existsSync(path.join(directory, 'key.pem')));
});

test('both files are written or none, and no file is overwritten', async () => {
  writeFileSync(path.join(directory, 'cert.pem'), 'mine');
  const { exit, stderr } = await selfSigned();
  assert.is(exit, EXIT.usage);
  assert.match(stderr, '(file-exists)');
  assert.is(readFileSync(path.join(directory, 'cert.pem'), 'latin1'), 'mine');
  assert.not(existsSync(path.join(directory, 'key.pem')));
});

test.run();
