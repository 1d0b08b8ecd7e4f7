import { spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { EXIT } from '../../src/base/errors.ts';
import type { FeederReport } from '../../src/contract/feeders.ts';
import { writePair } from '../base/tls-pair.ts';
import { hasProgram, testWhen } from '../requirements.ts';
import { ROOT, withDaemon, type DaemonProcess } from './daemon-process.ts';

/** A script made for vCenter against the real daemon: only the address is another. It needs Python's standard library alone. */

const CACHES = ['--memory-cache-size=64', '--storage-cache-size=256'];
const CAPACITY_BYTES = (64 + 256) * 1024;
const PASSWORD = 'correct horse';

interface Said {
  readonly room: number;
  readonly before: Readonly<Record<string, number | string>>;
  readonly after: Readonly<Record<string, number | string>>;
}

function addAccount(daemon: DaemonProcess, name: string): void {
  const file = path.join(daemon.directory, 'password');
  writeFileSync(file, `${PASSWORD}\n`);
  chmodSync(file, 0o600);
  for (const words of [
    ['system', 'account', 'add', '-i', name, '--password-file', file],
    ['system', 'permission', 'set', '-i', name, '-r', 'Admin'],
  ])
    assert.is(daemon.control(...words).code, EXIT.ok);
}

function script(daemon: DaemonProcess, ...more: readonly string[]): Promise<Said> {
  const address = new URL(daemon.feedUrl).host;
  const file = path.join(ROOT, 'tests', 'programs', 'python', 'vsphere_client.py');
  const child = spawn('python3', [file, address, 'qrng', ...more], { stdio: ['pipe', 'pipe', 'pipe'] });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (part: Buffer) => (stdout += part.toString()));
  child.stderr.on('data', (part: Buffer) => (stderr += part.toString()));
  child.stdin.end(`${PASSWORD}\n`);
  return new Promise((resolve, reject) => {
    child.on('close', (code) => {
      if (code === 0) resolve(JSON.parse(stdout) as Said);
      else reject(new Error(stderr));
    });
  });
}

testWhen(hasProgram('python3'))(
  'log in, list hosts, read, add with surplus, log out; the feeder’s class, link, credit and events are those of the feed',
  async () => {
    await withDaemon({ arguments: ['--entropy-sources=8', ...CACHES] }, async (daemon) => {
      const key = daemon.enroll('qrng', 'noise', '4');
      addAccount(daemon, 'qrng');
      const first = await script(daemon, '100000');
      assert.equal(first.before, {
        status: 'ENABLED',
        capacity: CAPACITY_BYTES,
        currently_available: 0,
        low_watermark: CAPACITY_BYTES / 5,
        inactive_source_timeout: 60,
      });
      assert.is(first.room, CAPACITY_BYTES);
      const taken = Number(first.after.currently_available);
      // The gate opened with it, and some blocks were drawn.
      assert.ok(taken > 99_000 && taken <= 100_000, String(taken));
      await daemon.says('gate.open');
      assert.match(daemon.output, /entropy\.data\.received.*subject=qrng object=127\.0\.0\.1/);

      const second = await script(daemon, '1000000');
      const full = Number(second.after.currently_available);
      assert.ok(full > CAPACITY_BYTES * 0.9 && full <= CAPACITY_BYTES, String(full));
      const [feeder] = (await daemon.request('GET', '/v1/feeders')).body as FeederReport[];
      assert.is(feeder!.link, 'connected');
      assert.is(feeder!.creditedBits, feeder!.acceptedBytes * 4, 'at the rate of the enrolment');
      assert.ok(feeder!.acceptedBytes >= full && feeder!.acceptedBytes <= CAPACITY_BYTES + 100_000);
      const { counters } = await daemon.status();
      assert.is(
        counters['pool.bytes.dropped'],
        1_100_000 - feeder!.acceptedBytes,
        'surplus is dropped, and counted',
      );

      // One session a feeder, whatever its door: the program takes the place of the polling client.
      const program = daemon.feed(key, ['file', '/bin/sh']);
      await daemon.says('reason=feeder-replaced');
      await program.stop();
    });
  },
);

testWhen(hasProgram('python3'))(
  'over TLS the same script needs the certificate of the authority, and nothing else',
  async () => {
    const directory = mkdtempSync(path.join(tmpdir(), 'vsphere-tls-'));
    try {
      const { certificateFile, keyFile } = await writePair(directory, 'lab');
      const tls = [`--tls-cert=${certificateFile}`, `--tls-key=${keyFile}`];
      await withDaemon({ arguments: ['--entropy-sources=8', ...CACHES, ...tls] }, async (daemon) => {
        daemon.enroll('qrng', 'noise', '4');
        addAccount(daemon, 'qrng');
        const { after } = await script(daemon, '4096', certificateFile);
        assert.ok(Number(after.currently_available) > 0);
      });
    } finally {
      rmSync(directory, { recursive: true });
    }
  },
);

test.run();
