import { spawnSync } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { EXIT } from '../../src/base/errors.ts';
import { count } from '../counts.ts';
import { seededRandom } from '../durable/crash-simulator.ts';
import { DaemonProcess, ROOT } from './daemon-process.ts';

/** The recovery key with the programs as they are shipped. */

const QUIET = ['--entropy-sources=1'];

async function stopped(daemon: DaemonProcess): Promise<void> {
  daemon.child.kill('SIGTERM');
  await daemon.ended;
}

async function started(directory?: string): Promise<DaemonProcess> {
  const daemon = new DaemonProcess({ arguments: QUIET, ...(directory !== undefined && { directory }) });
  await daemon.ready();
  return daemon;
}

function archiveOf(daemon: DaemonProcess, name = 'state.tgz'): string {
  return path.join(daemon.stateDirectory, 'bootbank', name);
}

/** entropyd recover, with the key on descriptor 0. */
function recover(daemon: DaemonProcess, key: string, ...args: readonly string[]) {
  const program = path.join(ROOT, 'bin', 'entropyd');
  const words = [program, 'recover', `--state-dir=${daemon.stateDirectory}`, ...args];
  const { status, stdout, stderr } = spawnSync(process.execPath, words, { input: key, encoding: 'utf8' });
  return { code: status, stdout, stderr };
}

/** The second column of the list. */
function keyIn(stdout: string): string {
  return stdout.split('\n')[2]?.split('  ')[1] ?? '';
}

test('list, rotate, back up, damage, recover the previous one, rotate: what an operator goes through', async () => {
  const first = await started();
  try {
    first.enroll('hsm-1', 'noise', '1');
    const token = path.join(first.directory, 'token');
    assert.is(first.control('mixer', 'token', 'create', 'watch', '-s', 'observe', '-o', token).code, EXIT.ok);
    const key = keyIn(first.control('system', 'settings', 'encryption', 'recovery', 'list').stdout);
    assert.match(key, /^[0-9]{6}(-[0-9]{6}){15}$/);
    assert.is(recover(first, key).code, EXIT.stateInUse, 'not while the daemon runs');
    assert.is(first.control('mixer', 'backup').code, EXIT.ok);
    await stopped(first);
    assert.not(first.output.includes(key.slice(0, 13)), 'the key is in no log');
    assert.match(first.output, /recovery\.key\.shown/);

    const bytes = readFileSync(archiveOf(first));
    bytes.writeUInt8(bytes.readUInt8(2000) ^ 1, 2000);
    writeFileSync(archiveOf(first), bytes);
    const refused = await started(first.directory);
    assert.is((await refused.status()).state.refused, 'state-damaged');
    assert.is(refused.control('mixer', 'status').code, EXIT.gateClosed);
    await stopped(refused);
    assert.equal(readFileSync(archiveOf(first)), bytes, 'nothing is overwritten');

    const wrong = recover(first, key.replace(/^.{6}/, '000001'), '--previous', '--recovery-key-fd=0');
    assert.equal([wrong.code, wrong.stderr.includes('group 1 malformed')], [EXIT.usage, true]);
    const outcome = recover(first, key, '--previous', '--recovery-key-fd=0');
    assert.equal([outcome.code, outcome.stderr], [EXIT.ok, '']);

    const again = await started(first.directory);
    assert.match(again.output, /state\.recovered/);
    assert.match(again.control('mixer', 'status').stdout, /recovered: restart, then rotate/);
    assert.match(again.control('mixer', 'feeder', 'list').stdout, /hsm-1 .* disabled/);
    assert.not.match(again.control('mixer', 'token', 'list').stdout, /watch/);
    assert.is(again.control('system', 'settings', 'encryption', 'recovery', 'rotate').code, EXIT.ok);
    assert.not(again.control('mixer', 'status').stdout.includes('recovered'));
    const rotated = keyIn(again.control('system', 'settings', 'encryption', 'recovery', 'list').stdout);
    assert.is.not(rotated, key);
    await stopped(again);
    assert.is(
      recover(first, key, '--recovery-key-fd=0').code,
      EXIT.authentication,
      'the old key opens nothing',
    );
  } finally {
    rmSync(first.directory, { recursive: true });
  }
});

test('flipped bits of state.tgz through the program: refused, gate closed, daemon up, the file as it was', async () => {
  const first = await started();
  try {
    await stopped(first);
    const sound = readFileSync(archiveOf(first));
    const next = seededRandom(5);
    for (let flip = 0; flip < count(2, 50); flip++) {
      const bytes = Buffer.from(sound);
      const offset = Math.floor(next() * bytes.length);
      bytes.writeUInt8(bytes.readUInt8(offset) ^ (1 << Math.floor(next() * 8)), offset);
      writeFileSync(archiveOf(first), bytes);
      const daemon = await started(first.directory);
      const { state, gate } = await daemon.status();
      assert.equal([state.refused !== '', gate.state], [true, 'closed'], `offset ${offset}`);
      await stopped(daemon);
      assert.equal(readFileSync(archiveOf(first)), bytes);
    }
  } finally {
    rmSync(first.directory, { recursive: true });
  }
});

test.run();
