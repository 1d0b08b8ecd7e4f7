import { cpSync, rmSync } from 'node:fs';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { CACHE_KEYS, decodeCacheKeys } from '../../src/state/cache-key-ring.ts';
import { decodeRecoveryKey } from '../../src/state/recovery-key.ts';
import { hasAddon, isRoot, testWhen } from '../requirements.ts';
import { hasSwtpm } from '../tpm/software-tpm.ts';
import { keysOnDisk } from './archive-copy.ts';
import type { DaemonProcess } from './daemon-process.ts';
import { occurrencesIn } from './process-memory.ts';
import { withHost } from './tpm-host.ts';

/** The key of the caches and its generation with the real daemon on a software TPM. */

testWhen(hasSwtpm)(
  'an older copy of the state, put back on the same host: told, its caches set aside, nobody let in',
  async () => {
    await withHost(async (host) => {
      const state = path.join(host.directory, 'daemon', 'state');
      const kept = path.join(host.directory, 'kept');
      const options = host.options('tpm', { arguments: ['--entropy-sources=9'] });
      await host.run(options, async (daemon) => {
        await daemon.says('cache.key.changed');
        daemon.enroll('hsm-1', 'noise', '1');
      });
      cpSync(state, kept, { recursive: true });
      await host.run(options, async (daemon) => {
        await daemon.says('cache.key.changed');
        assert.not.match(daemon.output, /state\.older|cache\.damaged/, 'a restart is no copy');
        assert.match(daemon.control('mixer', 'feeder', 'list').stdout, /hsm-1 .* (enabled|lost|never)/);
      });
      rmSync(state, { recursive: true });
      cpSync(kept, state, { recursive: true });
      await host.run(options, async (daemon) => {
        assert.match(daemon.output, /state\.older/);
        assert.match(daemon.output, /cache\.damaged.*segments\.damaged keys\.damaged/);
        assert.match(daemon.control('mixer', 'feeder', 'list').stdout, /hsm-1 .* disabled/);
        assert.match(daemon.control('mixer', 'status').stdout, /older copy/);
        assert.is(daemon.control('mixer', 'feeder', 'enable', 'hsm-1').code, 0);
        await daemon.says('cache.key.changed');
      });
      await host.run(options, (daemon) => {
        assert.not.match(daemon.output, /state\.older/, 'from now on it is the state of this host');
        assert.is(daemon.control('system', 'settings', 'encryption', 'recovery', 'rotate').code, 0);
        assert.not.match(daemon.control('mixer', 'status').stdout, /older copy/);
      });
    });
  },
);

testWhen(hasSwtpm && hasAddon && isRoot)(
  'when the key of the caches has changed, the one before is neither in memory nor in an archive',
  async () => {
    await withHost(async (host) => {
      await host.run(host.options('tpm', { arguments: ['--entropy-sources=9'] }), async (daemon) => {
        await daemon.says('cache.key.changed');
        const before = await pageKeysOf(daemon);
        assert.is(daemon.control('system', 'settings', 'encryption', 'recovery', 'rotate').code, 0);
        await daemon.says('cache.key.changed', 2);
        const after = await pageKeysOf(daemon);
        assert.equal([before.length, after.length], [1, 1]);
        const wanted = new Map([
          ['before', before[0]!],
          ['after', after[0]!],
        ]);
        const found = occurrencesIn(daemon.child.pid!, wanted);
        assert.ok(found.get('after')! > 0, 'the search would find it');
        assert.is(found.get('before'), 0);
      });
    });
  },
);

/** The caches' key-encryption keys in the archive, by the recovery key. */
async function pageKeysOf(daemon: DaemonProcess): Promise<readonly Buffer[]> {
  const { stdout } = daemon.control('system', 'settings', 'encryption', 'recovery', 'list');
  const [digits = ''] = /[0-9]{6}(-[0-9]{6}){15}/.exec(stdout) ?? [];
  const { documents } = await keysOnDisk(daemon.stateDirectory, decodeRecoveryKey(Buffer.from(digits)));
  return decodeCacheKeys(documents.get(CACHE_KEYS)!).pageKeys;
}

test.run();
