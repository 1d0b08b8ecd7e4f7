import { spawnSync } from 'node:child_process';
import { generateKeyPairSync, randomFillSync } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { EXIT } from '../../src/base/errors.ts';
import type { LedgerReport } from '../../src/contract/outputs.ts';
import { NodeFiles } from '../../src/durable/node-files.ts';
import { Bootbank } from '../../src/state/bootbank.ts';
import { parseSealFields } from '../../src/state/seal-fields.ts';
import { TpmWriter } from '../../src/tpm/wire.ts';
import { hasAddon, hasProgram, isRoot, testWhen } from '../requirements.ts';
import { hasTpm2Tools } from '../tpm/software-tpm.ts';
import type { DaemonProcess } from './daemon-process.ts';
import { occurrencesIn } from './process-memory.ts';
import { withHost, type Host } from './tpm-host.ts';

/** What an operator goes through with a host that feeds from an HSM and is sealed to its TPM; the TPM and OpenSSL are the real ones. */

const MASK_8 = {
  arguments: [
    '--entropy-sources=8',
    '--memory-cache-size=64',
    '--storage-cache-size=256',
    '--feed-interval=1',
  ],
};
const RECOVERY = ['system', 'settings', 'encryption', 'recovery'] as const;

function mixerStatus(daemon: DaemonProcess): string {
  return daemon.control('mixer', 'status').stdout;
}

/** Feeds 48 KiB of full entropy, once. */
async function feed(daemon: DaemonProcess): Promise<void> {
  const file = path.join(daemon.directory, 'entropy');
  writeFileSync(file, randomFillSync(Buffer.alloc(48 * 1024)));
  const key = daemon.enroll('hsm', 'full-entropy', '8', '--certificate', 'E1 of a test');
  const feeder = daemon.feed(key, ['--once', 'file', file]);
  assert.is((await feeder.ended).code, EXIT.ok, feeder.stderr);
}

/** Where the private key is: stock OpenSSL opens what the host keeps. */
function opened(host: Host, privateKey: string): string {
  const file = path.join(host.directory, 'daemon', 'state', 'bootbank', 'recovery-key.oaep');
  const padding = ['rsa_padding_mode:oaep', 'rsa_oaep_md:sha256'].flatMap((option) => ['-pkeyopt', option]);
  const args = ['pkeyutl', '-decrypt', '-inkey', privateKey, ...padding, '-in', file];
  return spawnSync('openssl', args, { encoding: 'utf8' }).stdout.trim().split(' ')[1] ?? '';
}

/** The sealed object of the archive as tpm2-tools load it: opened by its policy, and by nothing else. */
async function assertSealedToPolicy({ software, directory }: Host): Promise<void> {
  const files = await NodeFiles.open({ root: path.join(directory, 'daemon', 'state') });
  const { publicArea, privatePart } = parseSealFields((await new Bootbank({ files }).load())!.info);
  writeFileSync(path.join(software.directory, 'pub'), new TpmWriter().sized(publicArea).bytes());
  writeFileSync(path.join(software.directory, 'priv'), new TpmWriter().sized(privatePart).bytes());
  software.tool('tpm2_load', '-C', '0x81000001', '-u', 'pub', '-r', 'priv', '-c', 'ctx');
  software.tool('tpm2_flushcontext', '-t');
  assert.is(software.tool('tpm2_unseal', '-c', 'ctx', '-p', 'pcr:sha256:7').length, 32);
  software.tool('tpm2_flushcontext', '-t');
  assert.throws(
    () => software.tool('tpm2_unseal', '-c', 'ctx'),
    /authValue or authPolicy is not available/,
    'no empty authorization',
  );
  software.tool('tpm2_flushcontext', '-t');
  software.tool('tpm2_flushcontext', '-s');
}

/** The key that the TPM gave at start, under which the archive's key is wrapped. */
async function assertNotInMemory({ software, directory }: Host, daemon: DaemonProcess): Promise<void> {
  const files = await NodeFiles.open({ root: path.join(directory, 'daemon', 'state') });
  const fields = parseSealFields((await new Bootbank({ files }).load())!.info);
  const secret = await software.use((tpm) =>
    tpm.withStorageRoot({}, (root) => tpm.unseal({ root, sealed: fields, pcrs: [7] })),
  );
  assert.is(secret.length, 32);
  assert.is(occurrencesIn(daemon.child.pid ?? 0, new Map([['wrapping key', secret]])).get('wrapping key'), 0);
}

testWhen(hasTpm2Tools && hasProgram('openssl'))(
  'alarm, escrow, rotation; a restart without the HSM; PCR 7 changed, recovered, sealed again, rotated',
  async () => {
    await withHost(async (host) => {
      const { publicKey, privateKey } = generateKeyPairSync('rsa', {
        modulusLength: 2048,
        publicKeyEncoding: { type: 'spki', format: 'pem' },
        privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
      });
      const [recipient, vault] = ['recipient.pem', 'vault.pem'].map((name) =>
        path.join(host.directory, name),
      ) as [string, string];
      writeFileSync(recipient, publicKey);
      writeFileSync(vault, privateKey);
      host.secureBoot(true);
      let first = '';

      await host.run(host.options('auto', MASK_8), async (daemon) => {
        assert.match(daemon.output, /recovery\.key\.not-backed-up/, 'the alarm sounds at start');
        assert.match(mixerStatus(daemon), /Recovery key: not backed up/);
        await feed(daemon);
        first = host.recoveryKey(daemon);
        assert.is(daemon.control(...RECOVERY, 'escrow', '--recipient', recipient).code, EXIT.ok);
        assert.is(opened(host, vault), first);
        assert.not.match(mixerStatus(daemon), /not backed up/, 'in escrow it is');
        assert.is(daemon.control(...RECOVERY, 'rotate').code, EXIT.ok);
      });
      const second = opened(host, vault);
      assert.match(second, /^[0-9]{6}(-[0-9]{6}){15}$/);
      assert.is.not(second, first, 'the rotation wrote the escrow anew');
      await assertSealedToPolicy(host);

      await host.software.reboot();
      await host.run(host.options('auto', MASK_8), async (daemon) => {
        await daemon.says('gate.open');
        await daemon.says('kernel.fed');
        const ledger = (await daemon.request('GET', '/v1/ledger?limit=10')).body as LedgerReport;
        assert.ok(ledger.totals.creditedBits.external >= 320, 'what was cached feeds the kernel');
        assert.match(daemon.control('mixer', 'feeder', 'list').stdout, /hsm .*enabled/);
        assert.not.match(daemon.output, /recovery\.key\.not-backed-up/);
        assert.is(host.recoveryKey(daemon), second);
        if (isRoot && hasAddon) await assertNotInMemory(host, daemon);
      });

      await host.software.use((tpm) => tpm.extendPcr(7, Buffer.alloc(32, 0xab)));
      const wrong = host.recover(first);
      assert.is(wrong.code, EXIT.authentication, 'the key before the rotation opens nothing');
      assert.match(wrong.stderr, /well-formed but does not open/);
      assert.equal(host.recover(second), { code: EXIT.ok, stderr: '' });
      await host.run(host.options('auto', MASK_8), (daemon) => {
        assert.match(mixerStatus(daemon), /recovered: restart, then rotate/);
        assert.match(daemon.control('mixer', 'feeder', 'list').stdout, /hsm .*enabled/);
        assert.is(daemon.control('system', 'settings', 'encryption', 'set', '--mode=TPM').code, EXIT.ok);
        assert.match(daemon.control('mixer', 'seal', 'check').stdout, /Opens Now: true/);
        assert.is(daemon.control(...RECOVERY, 'rotate').code, EXIT.ok);
        assert.not.match(mixerStatus(daemon), /recovered/);
      });
      assert.not.equal(opened(host, vault), second);
    });
  },
);

test.run();
