import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { EXIT } from '../../src/base/errors.ts';
import type { LedgerReport } from '../../src/contract/outputs.ts';
import { count } from '../counts.ts';
import { hasAddon, hasKernelWriter, hasRdseed, isRoot, testWhen } from '../requirements.ts';
import { copyOfInstallation, DaemonProcess, ROOT, withDaemon } from './daemon-process.ts';

/** The daemon as it is shipped, on this kernel. */
const NOBODY = 65_534;
const asNobody = ['setpriv', `--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups'];

function entropyd(...args: readonly string[]) {
  const program = path.join(ROOT, 'bin', 'entropyd');
  return spawnSync(process.execPath, [program, ...args], { encoding: 'utf8', timeout: 20_000 });
}

testWhen(hasRdseed)('on defaults: READY, a first feed, an open gate, and an orderly end', async () => {
  await withDaemon({}, async (daemon) => {
    await daemon.says('kernel.fed');
    const status = await daemon.status();
    assert.is(status.gate.state, 'open');
    assert.equal(status.mask, { configured: 0, running: 4, honoured: 4 });
    assert.is(status.kernel.lastFeed?.bytes, 64);
    assert.is(status.kernel.lastFeed?.creditAskedBits, 0);
    assert.is(status.kernel.lastFeed?.creditedBits.rdseed, 640);
    assert.equal(await daemon.stop(), { code: EXIT.ok, signal: null });
    assert.match(daemon.output, 'daemon.stop');
    assert.not.ok(existsSync(path.join(daemon.runtimeDirectory, 'control.sock')));
  });
});

testWhen(hasRdseed)(
  'a second SIGINT while it stops changes nothing: Ctrl-C under npm arrives twice',
  async () => {
    await withDaemon({}, async (daemon) => {
      daemon.child.kill('SIGINT');
      daemon.child.kill('SIGINT');
      assert.equal(await daemon.ended, { code: EXIT.ok, signal: null });
    });
  },
);

testWhen(hasRdseed)(
  'the interval counts: feeds come for as long as it runs, and the ledger has each of them',
  async () => {
    await withDaemon(
      { arguments: ['--feed-interval=1', '--feed-bytes=4096', '--log-level=debug'] },
      async (daemon) => {
        await daemon.says('kernel.fed', 4);
        const { body } = await daemon.request('GET', '/v1/ledger?limit=100');
        const ledger = body as LedgerReport;
        assert.ok(ledger.totals.feeds >= 3);
        assert.is(ledger.totals.bytes, 4096 * ledger.totals.feeds);
        assert.equal(
          ledger.records.map((record) => record.sequence),
          ledger.records.map((_, n) => ledger.totals.feeds - n),
        );
      },
    );
  },
);

testWhen(hasRdseed && isRoot && hasKernelWriter)(
  'as root the kernel is fed by RNDADDENTROPY and reseeded',
  async () => {
    await withDaemon({}, async (daemon) => {
      await daemon.says('kernel.fed');
      const { kernel } = await daemon.status();
      assert.is(kernel.path, 'ioctl');
      assert.is(kernel.lastFeed?.reseed, 'done');
    });
  },
);

testWhen(hasRdseed && isRoot && hasKernelWriter)(
  'opting in asks credit, and what the kernel made of it is told',
  async () => {
    await withDaemon({ arguments: ['--credit-cpu-to-kernel=true'] }, async (daemon) => {
      await daemon.says('kernel.fed');
      const { kernel } = await daemon.status();
      assert.is(kernel.lastFeed?.creditAskedBits, 512);
      assert.is(kernel.lastFeed?.creditEffectiveBits, 0, 'this kernel was initialised at boot');
    });
  },
);

testWhen(hasRdseed && isRoot)('as an ordinary user it feeds uncredited, and says so once', async () => {
  const directory = mkdtempSync(path.join(tmpdir(), 'entropyd-'));
  spawnSync('chown', [String(NOBODY), directory]);
  const root = copyOfInstallation();
  spawnSync('chmod', ['-R', 'a+rX', root]);
  await withDaemon(
    { directory, root, wrapper: asNobody, arguments: ['--feed-interval=1'] },
    async (daemon) => {
      await daemon.says('kernel.fed', 1);
      const { kernel } = await daemon.status();
      assert.is(kernel.path, 'write');
      assert.is(kernel.lastFeed?.creditAskedBits, 0);
      assert.is(daemon.output.split('daemon.uncredited').length, 2);
    },
  );
  rmSync(root, { recursive: true });
});

testWhen(hasAddon && isRoot)(
  'the kernel vouches for the peer: its group reads, root changes, others cannot connect',
  async () => {
    await withDaemon({}, (daemon) => {
      chmodSync(daemon.directory, 0o755);
      const inGroup = ['setpriv', `--reuid=${NOBODY}`, '--regid=0', '--clear-groups'];
      const change = ['system', 'settings', 'kernel', 'set', '-s', 'entropySources', '-v', '2'];
      assert.is(daemon.controlAs(inGroup, 'mixer', 'ledger', 'list').code, EXIT.ok);
      const refused = daemon.controlAs(inGroup, ...change);
      assert.is(refused.code, EXIT.permission);
      assert.match(refused.stderr, 'permission-denied');
      assert.is(daemon.controlAs(asNobody, 'mixer', 'ledger', 'list').code, EXIT.permission);
      assert.is(daemon.control(...change).code, EXIT.ok);
      assert.match(
        daemon.control('system', 'settings', 'kernel', 'list').stdout,
        /entropySources .* 2 +0 +0/,
      );
    });
  },
);

test('without the native part: up and READY, the gate closed, and it says why', async () => {
  const root = copyOfInstallation(['build/native']);
  await withDaemon({ root }, async (daemon) => {
    await daemon.says('source.unavailable', 2);
    const status = await daemon.status();
    assert.is(status.gate.reason, 'no-source');
    assert.equal(status.mask, { configured: 0, running: 3, honoured: 0 });
    assert.is(daemon.output.split('daemon.without-addon').length, 2);
    assert.is(statSync(path.join(daemon.runtimeDirectory, 'control.sock')).mode & 0o777, 0o600);
    const second = new DaemonProcess({ root, directory: daemon.directory });
    assert.is((await second.ended).code, EXIT.stateInUse, 'the abstract socket locks the state');
  });
  rmSync(root, { recursive: true });
});

test('a second daemon on the same state is refused, and the first goes on', async () => {
  await withDaemon({}, async (daemon) => {
    const second = new DaemonProcess({ directory: daemon.directory });
    const { code } = await second.ended;
    assert.is(code, EXIT.stateInUse);
    assert.match(second.output, 'state-in-use');
    assert.ok((await daemon.status()).version.length > 0);
  });
});

testWhen(hasRdseed)(`kill -9 at any moment leaves a state that opens, ${count(5, 50)} times`, async () => {
  const directory = mkdtempSync(path.join(tmpdir(), 'entropyd-'));
  let feeds = 0;
  for (let round = 0; round < count(5, 50); round++) {
    const daemon = new DaemonProcess({ directory, arguments: ['--feed-interval=1'] });
    await daemon.says('kernel.fed');
    await daemon.ready();
    const { body } = await daemon.request('GET', '/v1/ledger');
    const { totals } = body as LedgerReport;
    assert.ok(totals.feeds >= feeds, `round ${round}: ${totals.feeds} feeds, ${feeds} before`);
    feeds = totals.feeds;
    await daemon.stop('SIGKILL');
  }
  rmSync(directory, { recursive: true });
});

test('a change of configuration survives kill -9, and is in force at the next start', async () => {
  const daemon = new DaemonProcess();
  await daemon.ready();
  const changed = await daemon.request('PATCH', '/v1/config', { entropySources: 2, feedIntervalSeconds: 7 });
  assert.is(changed.status, 200);
  const before = await daemon.status();
  assert.is(before.kernel.intervalSeconds, 7, 'the interval is live');
  assert.is(before.mask.configured, 0, 'the mask waits for the next start');
  await daemon.stop('SIGKILL');
  await withDaemon({ directory: daemon.directory }, async (again) => {
    const { mask, kernel } = await again.status();
    assert.is(mask.running, 2);
    assert.is(kernel.intervalSeconds, 7);
  });
});

test('a flag wins over the store', async () => {
  const daemon = new DaemonProcess();
  await daemon.ready();
  await daemon.request('PATCH', '/v1/config', { entropySources: 2 });
  await daemon.stop();
  await withDaemon({ directory: daemon.directory, arguments: ['--entropy-sources=1'] }, async (again) => {
    assert.is((await again.status()).mask.running, 1);
  });
});

test('a damaged archive: up and READY, gate held closed, changes refused, the file left as it is', async () => {
  const daemon = new DaemonProcess();
  await daemon.ready();
  await daemon.request('PATCH', '/v1/config', { feedIntervalSeconds: 7 });
  await daemon.stop();
  const archive = path.join(daemon.stateDirectory, 'bootbank', 'state.tgz');
  const bytes = readFileSync(archive);
  bytes[bytes.length >> 1]! ^= 1;
  writeFileSync(archive, bytes);
  await withDaemon({ directory: daemon.directory }, async (again) => {
    const status = await again.status();
    assert.is(status.gate.state, 'closed');
    assert.is(status.state.refused, 'state-damaged');
    assert.is(status.kernel.feedsSinceStart, 0);
    const change = await again.request('PATCH', '/v1/config', { feedIntervalSeconds: 8 });
    assert.is((change.body as { code: string }).code, 'state-damaged');
    assert.is(again.control('mixer', 'status').code, EXIT.gateClosed);
    await again.stop();
    assert.equal(readFileSync(archive), bytes);
  });
});

test('an altered module is not run: integrity exit code, its name, what to do', async () => {
  const root = copyOfInstallation();
  for (const name of ['mixer.simd.wasm', 'mixer.scalar.wasm']) {
    const file = path.join(root, 'build', name);
    const bytes = readFileSync(file);
    bytes[bytes.length - 1]! ^= 1;
    writeFileSync(file, bytes);
  }
  const daemon = new DaemonProcess({ root });
  assert.is((await daemon.ended).code, EXIT.integrity);
  assert.match(daemon.output, 'module-digest-mismatch');
  await daemon.discard();
  rmSync(root, { recursive: true });
});

testWhen(hasRdseed && isRoot && hasKernelWriter)(
  'a kernel-writer that is killed is told, and the next feed has another',
  async () => {
    await withDaemon({ arguments: ['--feed-interval=1', '--log-level=debug'] }, async (daemon) => {
      await daemon.says('kernel.fed');
      const children = spawnSync('pgrep', ['-P', String(daemon.child.pid), '-x', 'kernel-writer'], {
        encoding: 'utf8',
      });
      const [writer] = children.stdout.trim().split('\n');
      assert.ok(Number(writer) > 1, children.stdout);
      process.kill(Number(writer), 'SIGKILL');
      await daemon.says('kernel.writer.lost');
      const feedsThen = daemon.output.split('kernel.fed').length - 1;
      await daemon.says('kernel.fed', feedsThen + 1);
      assert.is((await daemon.status()).kernel.path, 'ioctl');
    });
  },
);

testWhen(hasRdseed)('the scalar build can be forced, and status says which is in use', async () => {
  await withDaemon({ environment: { ENTROPY_MIXER_WASM: 'scalar' } }, async (daemon) => {
    assert.is((await daemon.status()).mixer.build, 'scalar');
  });
});

test('nothing but the archive, the ledger and the lock stands in the state directory, closed to others', async () => {
  await withDaemon({}, async (daemon) => {
    await daemon.request('PATCH', '/v1/config', { feedIntervalSeconds: 9 });
    assert.is(statSync(daemon.stateDirectory).mode & 0o777, 0o700);
    assert.equal(readdirSync(daemon.stateDirectory).sort(), ['bootbank', 'feed-ledger', 'lock']);
    assert.equal(readdirSync(path.join(daemon.stateDirectory, 'bootbank')), ['state.tgz']);
  });
});

test('a state directory that others can write is refused', async () => {
  const daemon = new DaemonProcess();
  await daemon.ready();
  await daemon.stop();
  chmodSync(daemon.stateDirectory, 0o777);
  const again = new DaemonProcess({ directory: daemon.directory });
  assert.is((await again.ended).code, EXIT.stateRefused);
  assert.match(again.output, 'runtime-dir-unusable');
  await again.discard();
});

test('a place where nobody can make a folder is refused at once', () => {
  const directory = mkdtempSync(path.join(tmpdir(), 'entropyd-'));
  const { status, stderr } = entropyd('--state-dir=/proc/no/such', `--runtime-dir=${directory}/run`);
  assert.is(status, EXIT.stateRefused);
  assert.match(stderr, 'runtime-dir-unusable');
});

test('an answer that cannot be written is a failure, a reader that goes away is none', async () => {
  await withDaemon({}, (daemon) => {
    const command = `"$0" "$1" --runtime-dir "$2" mixer explain`;
    const args = [process.execPath, path.join(ROOT, 'bin', 'entropyctl'), daemon.runtimeDirectory];
    const full = spawnSync('sh', ['-c', `${command} > /dev/full`, ...args], { encoding: 'utf8' });
    assert.is(full.status, EXIT.failed);
    assert.match(full.stderr, 'could not be written');
    assert.is(spawnSync('sh', ['-c', `${command} | true`, ...args]).status, 0);
  });
});

test('an engine that cannot start is heard, however long the state takes to open', async () => {
  const root = copyOfInstallation(['build/mixer.digests.json']);
  const daemon = new DaemonProcess({ root });
  assert.is((await daemon.ended).code, EXIT.integrity);
  assert.match(daemon.output, 'module-missing');
  await daemon.discard();
  rmSync(root, { recursive: true });
});

test('command line: help, version, and each mistake with its exit code', () => {
  assert.match(entropyd('--help').stdout, '--entropy-sources=<0 to 15>');
  assert.match(entropyd('--version').stdout, /^entropyd \d+\.\d+\.\d+\n$/);
  for (const args of [
    ['--nonsense'],
    ['--entropy-sources=16'],
    ['--feed-bytes=33'],
    ['--log-format=xml'],
    ['extra'],
  ]) {
    const { status, stderr } = entropyd(...args);
    assert.is(status, EXIT.usage, args.join(' '));
    assert.match(stderr, /^entropyd: (usage|parameter-invalid): /);
  }
  const long = `/tmp/${'d'.repeat(120)}`;
  const directory = mkdtempSync(path.join(tmpdir(), 'entropyd-'));
  const { status, stderr } = entropyd(`--state-dir=${directory}/state`, `--runtime-dir=${long}`);
  assert.is(status, EXIT.usage);
  assert.match(stderr, 'socket-path-too-long');
  assert.not.ok(existsSync(long));
});

test.run();
