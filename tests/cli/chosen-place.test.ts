import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { EXIT } from '../../src/base/errors.ts';
import { runCommand, type Outcome } from './cli-bench.ts';

const directory = mkdtempSync(path.join(tmpdir(), 'place-'));
test.after(() => rmSync(directory, { recursive: true }));

/** Runs a command on a host whose daemon has this configuration file. */
function withFile(content: string, argv: readonly string[], mode = 0o644): Promise<Outcome> {
  const configurationFile = path.join(directory, 'entropyd.conf');
  writeFileSync(configurationFile, content);
  chmodSync(configurationFile, mode);
  const environment = { RUNTIME_DIRECTORY: '/run/of-systemd' };
  return runCommand(argv, { configurationFile, environment, uid: process.getuid?.() ?? 0 });
}

const STATUS = ['mixer', 'status'];

test('the socket is looked for where the option, the daemon’s file, or the environment has it, in that order', async () => {
  const file = 'runtime-dir = /srv/run\n';
  for (const [content, argv, socket] of [
    [file, [...STATUS, '--runtime-dir=/mine'], '/mine/control.sock'],
    [file, STATUS, '/srv/run/control.sock'],
    ['listen = 127.0.0.1:1\n', STATUS, '/run/of-systemd/control.sock'],
  ] as const) {
    const { exit, stderr } = await withFile(content, argv);
    assert.is(exit, EXIT.noDaemon);
    assert.match(stderr, `No daemon answers on ${socket} (ENOENT)`);
  }
});

test('a file that others could have written does not choose the daemon', async () => {
  const { exit, stderr } = await withFile('runtime-dir = /tmp/theirs\n', STATUS, 0o666);
  assert.is(exit, EXIT.stateRefused);
  assert.match(stderr, 'can be written by others than its owner (config-file-refused)');
});

test('a broken file is told by commands that need the daemon’s place, and by no others', async () => {
  const broken = 'runtime-dir\n';
  assert.match((await withFile(broken, STATUS)).stderr, '(config-file-invalid)');
  assert.is((await withFile(broken, [...STATUS, '--runtime-dir=/mine'])).exit, EXIT.noDaemon);
  assert.is((await withFile(broken, ['mixer', 'explain', 'gate-closed'])).exit, EXIT.ok);
});

test.run();
