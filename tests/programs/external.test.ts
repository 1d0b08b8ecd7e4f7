import { randomFillSync } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { EXIT } from '../../src/base/errors.ts';
import type { ExternalReport } from '../../src/contract/external.ts';
import type { LedgerReport } from '../../src/contract/outputs.ts';
import { hasRdseed, testWhen } from '../requirements.ts';
import { DaemonProcess, withDaemon } from './daemon-process.ts';
import { hasSoftHsm, softHsmToken } from './soft-hsm.ts';

/** External entropy with the programs as they are shipped: entropyd, entropyctl, entropy-feed. */

const SMALL = ['--memory-cache-size=64', '--storage-cache-size=256'];
const MASK_8 = ['--entropy-sources=8', ...SMALL, '--log-level=debug'];

/** A file of random bytes, in a folder that goes when the test has used it. */
async function withEntropyFile(bytes: number, use: (file: string) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(path.join(tmpdir(), 'entropy-file-'));
  const file = path.join(directory, 'entropy.bin');
  writeFileSync(file, randomFillSync(Buffer.alloc(bytes)));
  try {
    await use(file);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

async function ledgerOf(daemon: DaemonProcess): Promise<LedgerReport> {
  return (await daemon.request('GET', '/v1/ledger?limit=100')).body as LedgerReport;
}

async function externalOf(daemon: DaemonProcess): Promise<ExternalReport> {
  return (await daemon.request('GET', '/v1/external')).body as ExternalReport;
}

/** Positions of the first occurrence of each event in the log, for their order. */
function orderOf(output: string, from: number, events: readonly string[]): number[] {
  return events.map((event) => output.indexOf(event, from));
}

test('mask 8 without a feeder: READY all the same, the gate closed as exhausted', async () => {
  await withDaemon({ arguments: MASK_8 }, async (daemon) => {
    await daemon.says('entropy.rbg.failure');
    const status = await daemon.status();
    assert.is(status.gate.reason, 'exhausted');
    assert.is(status.external.level, 'exhausted');
    assert.is(daemon.control('mixer', 'status').code, EXIT.gateClosed);
    const { status: code } = await daemon.request('GET', '/v1/random?bytes=32');
    assert.is(code, 503);
  });
});

testWhen(hasSoftHsm)(
  'mask 8: SoftHSM2 feeds the kernel through entropy-feed pkcs11, then a file does',
  async () => {
    const token = softHsmToken();
    try {
      await withDaemon({ arguments: [...MASK_8, '--feed-interval=1'] }, async (daemon) => {
        const hsm = daemon.enroll('hsm', 'drbg', '1/32');
        const feeder = daemon.feed(
          hsm,
          ['--chunk=16384', 'pkcs11', '--module', token.module, '--token', token.label],
          token.environment,
        );
        await daemon.says('kernel.fed', 2);
        assert.is((await daemon.status()).gate.state, 'open');
        assert.ok((await ledgerOf(daemon)).totals.creditedBits.external >= 320);
        assert.equal(await feeder.stop(), { code: EXIT.ok, signal: null }, feeder.stderr);
        assert.match(daemon.output, /entropy\.data\.received.*subject=hsm/);

        await withEntropyFile(64 * 1024, async (file) => {
          const second = daemon.enroll('file', 'full-entropy', '8', '--certificate', 'E1 of a test');
          const fed = daemon.feed(second, ['--once', 'file', file]);
          assert.equal(await fed.ended, { code: EXIT.ok, signal: null }, fed.stderr);
        });
        assert.ok((await externalOf(daemon)).creditedBits > 0);
      });
    } finally {
      token.remove();
    }
  },
);

test('full entropy under mask 8: 256 bits are asked for each block, and running dry closes the gate step by step', async () => {
  await withEntropyFile(48 * 1024, async (file) => {
    await withDaemon({ arguments: [...MASK_8, '--feed-interval=1', '--feed-bytes=4096'] }, async (daemon) => {
      const key = daemon.enroll('trng', 'full-entropy', '8', '--certificate', 'E1 of a test');
      const first = daemon.feed(key, ['--once', 'file', file]);
      assert.equal(await first.ended, { code: EXIT.ok, signal: null }, first.stderr);
      await daemon.says('gate.open');
      const opened = daemon.output.indexOf('gate.open');
      await daemon.says('gate.closed', 2);
      const fall = [
        'entropy.watermark.below',
        'entropy.memory.exhausted',
        'entropy.data.exhausted',
        'gate.closed',
      ];
      const order = orderOf(daemon.output, opened, fall);
      assert.ok(
        order.every((at) => at > 0),
        daemon.output,
      );
      assert.equal(
        order,
        [...order].sort((a, b) => a - b),
      );
      const { records } = await ledgerOf(daemon);
      for (const record of records) {
        assert.is(record.creditAskedBits % 256, 0);
        if (record.path === 'ioctl') assert.is(record.creditAskedBits, 8 * record.bytes);
      }
      const again = daemon.feed(key, ['--once', 'file', file]);
      assert.equal(await again.ended, { code: EXIT.ok, signal: null }, again.stderr);
      assert.match(daemon.output, 'feeder.duplicate', 'the same file again is a stuck feeder');
      assert.is((await daemon.status()).gate.state, 'closed', 'and opens nothing');
      writeFileSync(file, randomFillSync(Buffer.alloc(48 * 1024)));
      const fresh = daemon.feed(key, ['--once', 'file', file]);
      assert.equal(await fresh.ended, { code: EXIT.ok, signal: null }, fresh.stderr);
      await daemon.says('gate.open', 2);
    });
  });
});

testWhen(hasRdseed)('mask 12 without a feeder stays open, degraded', async () => {
  await withDaemon({ arguments: ['--entropy-sources=12', ...SMALL] }, async (daemon) => {
    await daemon.says('gate.open');
    const status = await daemon.status();
    assert.is(status.gate.state, 'open');
    assert.is(status.gate.degraded, true);
    assert.is(daemon.control('mixer', 'status').code, EXIT.degraded);
  });
});

test('with bit 8 off entropy-feed ends with its own code and says how to enable it', async () => {
  await withDaemon({ arguments: ['--entropy-sources=4'] }, async (daemon) => {
    const key = daemon.enroll('hsm', 'drbg', '1/32');
    const fed = daemon.feed(key, ['--once', 'file', '/bin/sh']);
    assert.equal(await fed.ended, { code: EXIT.externalDisabled, signal: null });
    assert.match(fed.stderr, 'entropyctl system settings kernel set -s entropySources');
  });
});

test('an orderly restart keeps the credit: the gate opens from storage without a feeder', async () => {
  await withEntropyFile(128 * 1024, async (file) => {
    const first = new DaemonProcess({ arguments: [...MASK_8, '--feed-interval=3600'] });
    try {
      await first.ready();
      const key = first.enroll('trng', 'full-entropy', '8', '--certificate', 'E1 of a test');
      assert.equal(await first.feed(key, ['--once', 'file', file]).ended, { code: EXIT.ok, signal: null });
      await first.says('gate.open');
      const before = await externalOf(first);
      assert.equal(await first.stop(), { code: EXIT.ok, signal: null });
      const second = new DaemonProcess({
        arguments: [...MASK_8, '--feed-interval=3600'],
        directory: first.directory,
      });
      await second.ready();
      await second.says('gate.open');
      const after = await externalOf(second);
      // Two blocks were fed to the kernel since, and two seeded the DRBG for the daemon's own keys.
      assert.ok(
        after.creditedBits >= before.creditedBits - 4 * 320,
        `${before.creditedBits - after.creditedBits}`,
      );
      assert.ok(after.creditedBits < before.creditedBits);
      await second.stop();
    } finally {
      await first.discard();
    }
  });
});

test.run();
