import { spawnSync } from 'node:child_process';
import { randomFillSync } from 'node:crypto';
import { copyFileSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { EXIT } from '../../src/base/errors.ts';
import { hasProgram, testWhen } from '../requirements.ts';
import { DaemonProcess, FeedProcess, withDaemon } from './daemon-process.ts';

/** TLS with the programs as they are shipped: a private authority, a pinned key, certificates that change while feeders are connected. */

const MASK_8 = ['--entropy-sources=8', '--memory-cache-size=64', '--storage-cache-size=256'];
let directory: string;

test.before(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'tls-programs-'));
  writeFileSync(inDirectory('entropy.bin'), randomFillSync(Buffer.alloc(16 * 1024)));
});
test.after(() => {
  rmSync(directory, { recursive: true });
});

function inDirectory(name: string): string {
  return path.join(directory, name);
}

function openssl(...words: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync('openssl', words, { encoding: 'utf8', cwd: directory });
  if (status !== 0) throw new Error(`openssl ${words.join(' ')}: ${stderr}`);
  return stdout;
}

/** An authority of this test in ca.pem. */
function makeAuthority(): void {
  openssl(
    'req',
    '-x509',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:P-256',
    '-nodes',
    '-subj',
    '/CN=test authority',
    '-days',
    '2',
    '-keyout',
    'ca.key',
    '-out',
    'ca.pem',
  );
}

/** A certificate of the authority, in NAME.pem and NAME.key. */
function issue(name: string, subjectAltName: string): void {
  openssl(
    'req',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:P-256',
    '-nodes',
    '-subj',
    `/CN=${name}`,
    '-addext',
    `subjectAltName=${subjectAltName}`,
    '-keyout',
    `${name}.key`,
    '-out',
    `${name}.csr`,
  );
  openssl(
    'x509',
    '-req',
    '-in',
    `${name}.csr`,
    '-CA',
    'ca.pem',
    '-CAkey',
    'ca.key',
    '-days',
    '2',
    '-copy_extensions',
    'copy',
    '-out',
    `${name}.pem`,
  );
}

/** Copies a pair to where the daemon reads it. */
function install(name: string): void {
  for (const kind of ['pem', 'key']) {
    copyFileSync(inDirectory(`${name}.${kind}`), inDirectory(`served.${kind}.new`));
    renameSync(inDirectory(`served.${kind}.new`), inDirectory(`served.${kind}`));
  }
}

function pinOf(name: string): string {
  const script = `openssl x509 -in ${name}.pem -noout -pubkey | openssl pkey -pubin -outform DER | openssl dgst -sha256 -r`;
  return spawnSync('sh', ['-c', script], { encoding: 'utf8', cwd: directory }).stdout.slice(0, 64);
}

function withTls(...more: readonly string[]): readonly string[] {
  return [
    ...MASK_8,
    `--tls-cert=${inDirectory('served.pem')}`,
    `--tls-key=${inDirectory('served.key')}`,
    ...more,
  ];
}

/** Feeds the file once; a payload may come only once, so each time it is another. */
async function feedOnce(
  daemon: DaemonProcess,
  key: string,
  ...options: readonly string[]
): Promise<FeedProcess> {
  writeFileSync(inDirectory('entropy.bin'), randomFillSync(Buffer.alloc(16 * 1024)));
  const fed = daemon.feed(key, ['--once', ...options, 'file', inDirectory('entropy.bin')]);
  await fed.ended;
  return fed;
}

testWhen(hasProgram('openssl'))(
  'a feeder over wss: by a private authority, by a pin, by both; and who is not recognised gets nothing',
  async () => {
    makeAuthority();
    issue('first', 'IP:127.0.0.1');
    install('first');
    await withDaemon({ arguments: withTls() }, async (daemon) => {
      const key = daemon.enroll('hsm', 'noise', '1');
      assert.match(readFileSync(key, 'latin1'), 'wss://127.0.0.1:', 'the enrolment names the scheme');
      const ca = ['--ca', inDirectory('ca.pem')];
      const pin = pinOf('first');
      for (const trust of [
        ca,
        ['--pin', pin],
        [...ca, '--pin', pin],
        ['--pin', `sha256//${Buffer.from(pin, 'hex').toString('base64')}`],
      ]) {
        const fed = await feedOnce(daemon, key, ...trust);
        assert.is(fed.child.exitCode, EXIT.ok, `${trust.join(' ')}: ${fed.stderr}`);
      }
      for (const [trust, code] of [
        [[], 'tls-untrusted'],
        [['--pin', pin.replace(/^./, (digit) => (digit === '0' ? '1' : '0'))], 'tls-pin-mismatched'],
        [[...ca, '--pin', '00'.repeat(32)], 'tls-pin-mismatched'],
        [[...ca, '--url', daemon.feedUrl.replace('ws://127.0.0.1', 'wss://localhost')], 'tls-untrusted'],
      ] as const) {
        const fed = await feedOnce(daemon, key, ...trust);
        assert.is(fed.child.exitCode, EXIT.authentication, `${trust.join(' ')}: ${fed.stderr}`);
        assert.match(fed.stderr, code);
      }
      const plain = await feedOnce(daemon, key, '--url', daemon.feedUrl);
      assert.is(plain.child.exitCode, EXIT.connection, plain.stderr);
      const misplaced = await feedOnce(daemon, key, '--pin', pin, '--url', daemon.feedUrl);
      assert.is(misplaced.child.exitCode, EXIT.usage, misplaced.stderr);
    });
  },
);

testWhen(hasProgram('openssl'))(
  'SIGHUP: another certificate for who comes, nothing lost for who is there; a bad one changes nothing',
  async () => {
    makeAuthority();
    issue('first', 'DNS:localhost,IP:127.0.0.1');
    issue('second', 'DNS:localhost,IP:127.0.0.1');
    install('first');
    await withDaemon({ arguments: withTls() }, async (daemon) => {
      const key = daemon.enroll('steady', 'noise', '1');
      const other = daemon.enroll('other', 'noise', '1');
      // 32 seconds of it at this rate: more than the test takes.
      writeFileSync(inDirectory('steady.bin'), randomFillSync(Buffer.alloc(128 * 1024)));
      const steady = new FeedProcess(
        ['--key', key, '--pin', pinOf('first'), '--rate', '4096', 'file', inDirectory('steady.bin')],
        {},
      );
      await daemon.says('feeder.connected');
      writeFileSync(inDirectory('served.key'), 'torn');
      daemon.child.kill('SIGHUP');
      await daemon.says('tls.certificate.kept');
      assert.match(daemon.output, /code=tls-file-invalid/);
      assert.is((await feedOnce(daemon, other, '--pin', pinOf('first'))).child.exitCode, EXIT.ok);

      install('second');
      daemon.child.kill('SIGHUP');
      await daemon.says('tls.certificate.loaded', 2);
      const fed = await feedOnce(daemon, other, '--pin', pinOf('second'));
      assert.is(fed.child.exitCode, EXIT.ok, fed.stderr);
      assert.is((await feedOnce(daemon, other, '--pin', pinOf('first'))).child.exitCode, EXIT.authentication);
      assert.not.match(
        daemon.output,
        /feeder\.disconnected.*feeder=steady/,
        'the one that was there still is',
      );
      assert.equal(await steady.stop(), { code: EXIT.ok, signal: null }, steady.stderr);
      assert.equal(await daemon.stop(), { code: EXIT.ok, signal: null });
    });
  },
);

testWhen(hasProgram('openssl') && hasProgram('curl'))(
  'client certificates, a foreign Host and a foreign Origin, as curl sees them',
  async () => {
    makeAuthority();
    issue('first', 'DNS:localhost,DNS:feed.example,IP:127.0.0.1');
    issue('client', 'DNS:feeder.example');
    install('first');
    await withDaemon({ arguments: withTls(`--tls-client-ca=${inDirectory('ca.pem')}`) }, async (daemon) => {
      const address = daemon.feedUrl.slice('ws://'.length).replace('/v1/feed', '');
      const curl = (...words: readonly string[]): string => {
        const common = [
          '-s',
          '-o',
          '/dev/null',
          '-w',
          '%{http_code}',
          '--cacert',
          'ca.pem',
          '--max-time',
          '10',
        ];
        return spawnSync('curl', [...common, ...words, `https://${address}/v1/feed`], {
          encoding: 'utf8',
          cwd: directory,
        }).stdout;
      };
      const own = ['--cert', 'client.pem', '--key', 'client.key'];
      assert.is(curl(), '000', 'without a certificate there is no answer');
      const known = curl(...own);
      assert.is.not(known, '403');
      assert.is.not(known, '000');
      assert.is(curl(...own, '-H', 'Host: feed.example'), known);
      assert.is(curl(...own, '-H', 'Host: attacker.example'), '403');
      assert.is(curl(...own, '-H', 'Origin: https://attacker.example'), '403');

      const key = daemon.enroll('hsm', 'noise', '1');
      const ca = ['--ca', inDirectory('ca.pem')];
      assert.is((await feedOnce(daemon, key, ...ca)).child.exitCode, EXIT.connection);
      const shown = ['--tls-cert', inDirectory('client.pem'), '--tls-key', inDirectory('client.key')];
      const fed = await feedOnce(daemon, key, ...ca, ...shown);
      assert.is(fed.child.exitCode, EXIT.ok, fed.stderr);
    });
  },
);

test('off the loopback without TLS, or with files that cannot be used: the daemon does not start, and says why', async () => {
  const certificateFile = inDirectory('none.pem');
  for (const [args, code, exit] of [
    [['--listen=0.0.0.0:0'], 'listen-needs-tls', EXIT.usage],
    [[`--tls-cert=${certificateFile}`, `--tls-key=${certificateFile}`], 'tls-file-unreadable', EXIT.input],
    [[`--tls-cert=${certificateFile}`], 'usage', EXIT.usage],
  ] as const) {
    const daemon = new DaemonProcess({ arguments: args });
    try {
      assert.equal(await daemon.ended, { code: exit, signal: null }, daemon.output);
      assert.match(daemon.output, `entropyd: ${code}: `);
    } finally {
      await daemon.discard();
    }
  }
});

test('without TLS SIGHUP ends the daemon in order, as SIGTERM does', async () => {
  await withDaemon({ arguments: ['--entropy-sources=4'] }, async (daemon) => {
    assert.equal(await daemon.stop('SIGHUP'), { code: EXIT.ok, signal: null });
    assert.match(daemon.output, 'daemon.stop');
  });
});

test.run();
