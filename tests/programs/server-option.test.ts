import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { EXIT } from '../../src/base/errors.ts';
import { ROOT, withDaemon, type DaemonProcess } from './daemon-process.ts';

/** `entropyctl --server`: the control command over TCP, by a token, as it is shipped. */

function control(...args: readonly string[]) {
  return controlUnder({}, ...args);
}

function controlUnder(environment: Readonly<Record<string, string>>, ...args: readonly string[]) {
  const program = path.join(ROOT, 'bin', 'entropyctl');
  const env = { ...process.env, ...environment };
  const options = { encoding: 'utf8', env } as const;
  const { status, stdout, stderr } = spawnSync(process.execPath, [program, ...args], options);
  return { status, stdout, stderr };
}

function addressOf(daemon: DaemonProcess): string {
  return readFileSync(path.join(daemon.runtimeDirectory, 'address'), 'utf8').trim();
}

function tokenOf(daemon: DaemonProcess, name: string, scope: string): string {
  const file = path.join(daemon.directory, `${name}.token`);
  const { code, stderr } = daemon.control(
    'mixer',
    'token',
    'create',
    name,
    '--scope',
    scope,
    '--output',
    file,
  );
  assert.is(code, 0, stderr);
  return file;
}

test('on the loopback: what the scopes of the token allow, each refusal by its code', async () => {
  await withDaemon({}, (daemon) => {
    const server = `--server=http://${addressOf(daemon)}`;
    const observe = `--token-file=${tokenOf(daemon, 'watch', 'observe')}`;
    const config = `--token-file=${tokenOf(daemon, 'tune', 'observe,config')}`;
    const list = control(server, observe, 'mixer', 'source', 'list', '--formatter=json');
    assert.is(list.status, EXIT.ok, list.stderr);
    assert.ok((JSON.parse(list.stdout) as { Name: string }[]).some(({ Name }) => Name === 'interrupts'));

    const set = ['system', 'entropyd', 'set', '--memory-cache-size=612'];
    const denied = control(server, observe, ...set);
    assert.is(denied.status, EXIT.permission);
    assert.match(denied.stderr, '(scope-missing)');
    assert.equal(control(server, config, ...set), { status: EXIT.ok, stdout: '', stderr: '' });
    assert.match(daemon.control('system', 'entropyd', 'get').stdout, 'Memory Cache Size Kibibytes: 612\n');

    const nobody = control(server, 'mixer', 'status');
    assert.is(nobody.status, EXIT.authentication);
    assert.match(nobody.stderr, '(credential-missing)');
    const wrong = path.join(daemon.directory, 'wrong.token');
    writeFileSync(wrong, 'not-a-token\n', { mode: 0o600 });
    assert.match(control(server, `--token-file=${wrong}`, 'mixer', 'status').stderr, '(credential-wrong)');
    chmodSync(wrong, 0o644);
    assert.match(control(server, `--token-file=${wrong}`, 'mixer', 'status').stderr, '(key-file-exposed)');
  });
});

test('over TLS: a host that the authorities vouch for is asked, another is told nothing', async () => {
  const directory = mkdtempSync(path.join(tmpdir(), 'server-'));
  const [cert, key] = [path.join(directory, 'cert.pem'), path.join(directory, 'key.pem')];
  const made = control('mixer', 'tls', 'self-signed', '--cert', cert, '--key', key, '--name', '127.0.0.1');
  assert.is(made.status, 0, made.stderr);
  await withDaemon({ arguments: [`--tls-cert=${cert}`, `--tls-key=${key}`] }, (daemon) => {
    const token = `--token-file=${tokenOf(daemon, 'watch', 'observe')}`;
    const server = `--server=https://${addressOf(daemon)}`;
    const asked = control(
      server,
      token,
      `--ca=${cert}`,
      'system',
      'settings',
      'kernel',
      'list',
      '--formatter=csv',
    );
    assert.is(asked.status, EXIT.ok, asked.stderr);
    assert.match(asked.stdout, /^Name,Type,Description,Configured,Runtime,Default\nentropySources,/);
    for (const environment of [{}, { NODE_TLS_REJECT_UNAUTHORIZED: '0' }]) {
      const stranger = controlUnder(environment, server, token, 'mixer', 'status');
      assert.match(stranger.stderr, '(tls-untrusted)', 'no variable of the environment makes it trusted');
      assert.not.match(
        stranger.stderr,
        readFileSync(path.join(daemon.directory, 'watch.token'), 'utf8').trim(),
      );
    }
  });
  rmSync(directory, { recursive: true });
});

test('a token does not go where it could be read on the way, nor two places at once', () => {
  for (const [args, told] of [
    [['--server=http://192.0.2.1:8740'], 'a token would go unprotected'],
    [['--server=http://localhost.example:8740'], 'a token would go unprotected'],
    [['--server=ftp://127.0.0.1'], '--server takes https://HOST:PORT'],
    [['--server=https://user:word@192.0.2.1'], '--server takes https://HOST:PORT'],
    [['--server=https://192.0.2.1/path'], '--server takes https://HOST:PORT'],
    [['--server=http://127.0.0.1:1', '--runtime-dir=/run/x'], 'name two daemons'],
    [['--server=http://127.0.0.1:1', '--ca=/none'], '/none'],
    [['--token-file=/none'], 'belong to --server'],
  ] as const) {
    const { status, stderr } = control(...args, 'mixer', 'status');
    assert.is.not(status, EXIT.ok);
    assert.match(stderr, told, args.join(' '));
  }
  const absent = control('--server=http://127.0.0.1:1', 'mixer', 'status');
  assert.is(absent.status, EXIT.noDaemon);
  assert.match(absent.stderr, 'No daemon answers on http://127.0.0.1:1 (ECONNREFUSED)');
});

test.run();
