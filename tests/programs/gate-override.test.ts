import { readFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { EXIT } from '../../src/base/errors.ts';
import type { LedgerReport, Problem } from '../../src/contract/outputs.ts';
import { hasAddon, testWhen } from '../requirements.ts';
import { DaemonProcess, withDaemon } from './daemon-process.ts';

/** The break-glass as it is shipped: a host that must live on its HSM, and whose HSM is gone. */
const hasRdseed = hasAddon && /\brdseed\b/.test(readFileSync('/proc/cpuinfo', 'utf8'));
const options = { arguments: ['--entropy-sources=8', '--feed-interval=1'] };
const override = ['mixer', 'gate', 'override', '--mask', '4', '--reason', 'HSM moved', '--for'];

testWhen(hasRdseed)(
  'mask 8 without a feeder: an override opens the gate for ten seconds, loudly',
  async () => {
    await withDaemon(options, async (daemon) => {
      await daemon.says('gate.closed');
      assert.is(daemon.control('mixer', 'status').code, EXIT.gateClosed);
      assert.is(daemon.control(...override, '10').code, EXIT.ok);
      await daemon.says('gate.overridden');
      await daemon.says('kernel.fed');
      const status = daemon.control('mixer', 'status');
      assert.is(status.code, EXIT.degraded);
      assert.match(status.stdout, /Gate: OVERRIDDEN until \S+Z \(mask 4, "HSM moved", by .+\)/);
      const ready = await daemon.request('GET', '/readyz');
      assert.is(ready.status, 503);
      assert.is((ready.body as Problem & { reason: string }).reason, 'overridden');

      await daemon.says('gate.override.ended');
      const { gate } = await daemon.status();
      assert.equal([gate.state, gate.reason, gate.override], ['closed', 'exhausted', null]);
      const { records } = (await daemon.request('GET', '/v1/ledger?limit=100')).body as LedgerReport;
      assert.ok(records.length > 0);
      assert.ok(records.every(({ creditAskedBits }) => creditAskedBits === 0));
      assert.ok(records.every(({ creditedBits }) => creditedBits.rdseed > 0 && creditedBits.external === 0));
    });
  },
);

testWhen(hasRdseed)('an operator ends it at once, and a restart does not bring it back', async () => {
  await withDaemon(options, async (daemon) => {
    assert.is(daemon.control(...override, '1h').code, EXIT.ok);
    assert.is((await daemon.status()).gate.state, 'overridden');
    assert.match(daemon.control('mixer', 'gate', 'restore').stdout, 'Gate: CLOSED');
    assert.is(daemon.control(...override, '1h').code, EXIT.ok);
    await daemon.stop();
    const next = new DaemonProcess({ ...options, directory: daemon.directory });
    await next.ready();
    await next.says('gate.closed');
    assert.is((await next.status()).gate.override, null);
    await next.stop();
  });
});

test.run();
