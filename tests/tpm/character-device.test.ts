import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { SystemClock } from '../../src/base/clock.ts';
import { pcrPolicyDigest } from '../../src/tpm/pcr.ts';
import { Tpm } from '../../src/tpm/tpm.ts';
import { seededSource } from '../fakes/seeded-stream.ts';
import { hasProgram, testWhen } from '../requirements.ts';
import { hasSwtpm, SoftwareTpm } from './software-tpm.ts';

/** The way to /dev/tpmrm0: where the kernel has no vtpm_proxy, a pseudo-terminal stands for the character device. */

const BRIDGE = fileURLToPath(new URL('python/character_device.py', import.meta.url));

testWhen(hasSwtpm && hasProgram('python3'))(
  'over a character device one write is a command, and one read its response',
  async () => {
    const software = await SoftwareTpm.start();
    const bridge = spawn('python3', [BRIDGE, software.socket], { stdio: ['ignore', 'pipe', 'inherit'] });
    const ended = once(bridge, 'exit');
    try {
      const [device] = (await once(bridge.stdout, 'data')) as [Buffer];
      const random = seededSource('character device');
      const tpm = await Tpm.open(device.toString().trim(), { clock: new SystemClock(), random });
      assert.is((await tpm.identify()).manufacturer, 'IBM');
      const secret = Buffer.from('thirty-two bytes of wrapping key');
      await tpm.withStorageRoot({}, async (root) => {
        const policyDigest = pcrPolicyDigest(await tpm.readPcrs([7]));
        const sealed = await tpm.seal({ root, secret, policyDigest });
        assert.equal(await tpm.unseal({ root, sealed, pcrs: [7] }), secret);
      });
      await tpm.close();
    } finally {
      bridge.kill();
      await ended;
      await software.remove();
    }
  },
);

test.run();
