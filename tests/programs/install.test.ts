import { spawnSync } from 'node:child_process';
import { randomFillSync } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { EXIT } from '../../src/base/errors.ts';
import type { ExternalReport } from '../../src/contract/external.ts';
import type { InstallSeedReport } from '../../src/contract/install-seed.ts';
import { DaemonProcess, ROOT } from './daemon-process.ts';

/** A scripted install with the programs as they are shipped: entropy-feed, entropyd install, entropyd, entropyctl. */

const SEED_BYTES = 512_000;
/** A block takes 3,277 bytes of the seed: it is used up within seconds. */
const RATE = '0.09765625';
/** Draws 128 blocks a second, with nearly all that is stored in memory. */
const GREEDY = [
  '--feed-interval=1',
  '--feed-bytes=4096',
  '--memory-cache-size=512',
  '--memory-cache-low-watermark=99',
];
const BLOCK_BYTES = 3_277;

async function withFolder(use: (directory: string) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(path.join(tmpdir(), 'install-'));
  try {
    await use(directory);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function run(program: string, ...args: readonly string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [path.join(ROOT, 'bin', program), ...args], {
    encoding: 'utf8',
    timeout: 20_000,
  });
  return { code: status, stdout, stderr };
}

async function seedOf(daemon: DaemonProcess): Promise<InstallSeedReport> {
  return (await daemon.request('GET', '/v1/install-seed')).body as InstallSeedReport;
}

async function externalOf(daemon: DaemonProcess): Promise<ExternalReport> {
  return (await daemon.request('GET', '/v1/external')).body as ExternalReport;
}

/** A kickstart with a seed, as entropy-feed makes it; gives the fingerprint that it told. */
function madeKickstart(
  directory: string,
  sources: number,
): { readonly file: string; readonly fingerprint: string } {
  const [recorded, file] = [path.join(directory, 'recorded'), path.join(directory, 'seed.ks')];
  writeFileSync(recorded, randomFillSync(Buffer.alloc(SEED_BYTES + 10)));
  const words = ['--kickstart', file, '--bytes', String(SEED_BYTES), '--sources', String(sources)];
  const { code, stdout, stderr } = run('entropy-feed', 'file', recorded, ...words);
  assert.is(code, EXIT.ok, stderr);
  return { file, fingerprint: /fingerprint (\S+)$/m.exec(stdout)?.[1] ?? 'none' };
}

test('from a device’s bytes to the kernel: the seed opens the gate without a feeder, is used first, and never again', () =>
  withFolder(async (directory) => {
    const { file, fingerprint } = madeKickstart(directory, 8);
    const stateDirectory = path.join(directory, 'state');
    const install = ['install', '--kickstart', file, '--state-dir', stateDirectory, `--seed-rate=${RATE}`];
    const installed = run('entropyd', ...install);
    assert.is(installed.code, EXIT.ok, installed.stderr);
    assert.match(
      installed.stdout,
      `512000 bytes at ${RATE} bit per byte, worth 50000 bits; fingerprint ${fingerprint}`,
    );
    assert.match(installed.stdout, `warning: delete ${file}: it holds the seed`);
    const again = run('entropyd', ...install);
    assert.is(again.code, EXIT.failed);
    assert.match(
      again.stderr,
      `install-refused: the state is not new: the seed ${fingerprint} was installed`,
    );

    let left = 0;
    await withDaemonIn(directory, [], async (daemon) => {
      await daemon.says('kernel.fed');
      assert.is((await daemon.status()).gate.state, 'open');
      const show = daemon.control('mixer', 'install-seed', 'show').stdout;
      assert.match(show, 'State: in-use');
      assert.match(show, `Fingerprint: ${fingerprint}`);
      const locked = run('entropyd', ...install);
      assert.is(locked.code, EXIT.stateInUse, locked.stderr);

      const key = daemon.enroll('trng', 'full-entropy', '8', '--certificate', 'E1 of a test');
      const fed = daemon.feed(key, ['--once', '--total', '4096', 'file', path.join(directory, 'recorded')]);
      assert.is((await fed.ended).code, EXIT.ok, fed.stderr);
      const { storedBytes, memoryBytes, installSeedBytes } = await externalOf(daemon);
      assert.is(storedBytes, 4096, 'what a feeder gives goes to storage while there is a seed');
      left = (await seedOf(daemon)).leftBytes ?? 0;
      assert.ok(left < SEED_BYTES && memoryBytes <= installSeedBytes, 'memory holds the seed alone');
      await daemon.stop();
    });
    await withDaemonIn(directory, [], async (daemon) => {
      const report = await seedOf(daemon);
      const usedBytes = left - (report.leftBytes ?? 0);
      assert.ok(usedBytes >= 0 && usedBytes <= 4 * BLOCK_BYTES, `${usedBytes} bytes were used since`);
      await daemon.stop();
    });
    await withDaemonIn(directory, GREEDY, async (daemon) => {
      await daemon.says('install.seed.used');
      const { state, leftBytes } = await seedOf(daemon);
      assert.equal([state, leftBytes], ['used-up', 0]);
      await daemon.says('entropy.data.exhausted');
      await daemon.stop();
    });
    await withDaemonIn(directory, [], async (daemon) => {
      assert.equal(readdirSync(path.join(stateDirectory, 'cache', 'install-seed')), [], 'its area is gone');
      assert.match(daemon.control('mixer', 'install-seed', 'show').stdout, 'State: used-up');
      assert.is((await externalOf(daemon)).level, 'exhausted');
    });
    const third = run('entropyd', ...install);
    assert.is(third.code, EXIT.failed, 'a used seed leaves no new state');
  }));

async function withDaemonIn(
  directory: string,
  args: readonly string[],
  use: (daemon: DaemonProcess) => Promise<void>,
): Promise<void> {
  const daemon = new DaemonProcess({
    directory,
    arguments: ['--storage-cache-size=1024', ...args],
  });
  try {
    await daemon.ready();
    await use(daemon);
  } finally {
    // The folder is the test's: the next daemon goes on with it.
    if (daemon.child.exitCode === null && daemon.child.signalCode === null) await daemon.stop('SIGKILL');
  }
}

test('an install file is applied at the first start, once; without bit 8 its seed is kept', () =>
  withFolder(async (directory) => {
    const { file, fingerprint } = madeKickstart(directory, 4);
    const option = `--install-kickstart=${file}`;
    await withDaemonIn(directory, [option], async (daemon) => {
      assert.match(
        daemon.output,
        new RegExp(`install\\.applied.*sources=4 seedBytes=512000.*${fingerprint}`),
      );
      assert.match(daemon.output, /install\.seed\.kept.*leftBytes=512000/);
      const { state, sources, leftBytes } = await seedOf(daemon);
      assert.equal([state, sources, leftBytes], ['kept', 4, SEED_BYTES]);
      assert.is((await daemon.status()).mask.configured, 4);
      await daemon.stop();
    });
    await withDaemonIn(directory, [option], async (daemon) => {
      assert.match(daemon.output, /install\.file-left.*the state was installed before/);
      assert.is((await seedOf(daemon)).leftBytes, SEED_BYTES);
      await daemon.stop();
    });
    await withDaemonIn(directory, ['--entropy-sources=12'], async (daemon) => {
      assert.is((await seedOf(daemon)).state, 'in-use', 'with bit 8 it is used after all');
    });
  }));

test('an install file that cannot be taken ends the start, and says why: nothing was installed', () =>
  withFolder(async (directory) => {
    const file = path.join(directory, 'install.ks');
    const start = async (): Promise<{ code: number | null; output: string }> => {
      const daemon = new DaemonProcess({ directory, arguments: [`--install-kickstart=${file}`] });
      return { code: (await daemon.ended).code, output: daemon.output };
    };
    writeFileSync(file, 'vmaccepteula\nentropy --sources=16\n');
    const wrong = await start();
    assert.is(wrong.code, EXIT.input);
    assert.match(
      wrong.output,
      `kickstart-invalid: ${file}, line 2: \`entropy\` has --sources that is no whole number`,
    );
    writeFileSync(
      file,
      `entropy --sources=8 --data=${Buffer.alloc(SEED_BYTES, 'abcdefgh').toString('base64')}`,
    );
    const stuck = await start();
    assert.is(stuck.code, EXIT.input);
    assert.match(stuck.output, 'line 1: `entropy` has --data that fails the health tests');
    chmodSync(file, 0o666);
    assert.match((await start()).output, 'key-file-exposed');
    rmSync(file);
    await withDaemonIn(directory, [`--install-kickstart=${file}`], async (daemon) => {
      assert.is((await seedOf(daemon)).state, 'none');
    });
  }));

test('a dry run says what would be, and makes nothing', () =>
  withFolder(async (directory) => {
    const { file } = madeKickstart(directory, 12);
    const stateDirectory = path.join(directory, 'state');
    writeFileSync(
      file,
      `${readFileSync(file, 'latin1')}%firstboot\nesxcli system entropyd set --memory-cache-size=612\n`,
    );
    const { code, stdout } = run(
      'entropyd',
      'install',
      '--kickstart',
      file,
      '--state-dir',
      stateDirectory,
      '--dry-run',
    );
    assert.is(code, EXIT.ok);
    assert.match(stdout, 'Nothing was written (dry run).');
    assert.match(stdout, 'entropySources  12 (rdseed, external)');
    assert.match(stdout, 'not run: line 3, %firstboot: esxcli system entropyd set --memory-cache-size=612');
    assert.not.ok(existsSync(stateDirectory));
    await Promise.resolve();
  }));

test.run();
