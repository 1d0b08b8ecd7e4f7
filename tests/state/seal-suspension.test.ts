import { createHash } from 'node:crypto';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { SECURE_BOOT_PCR } from '../../src/base/names.ts';
import { INSTALLATION_PCR, parseSealFields } from '../../src/state/seal-fields.ts';
import { parseSuspension } from '../../src/state/seal-suspension.ts';
import { untilResetDigest } from '../../src/tpm/boot-policy.ts';
import { pcrPolicyDigest } from '../../src/tpm/pcr.ts';
import { isRefusal } from '../../src/tpm/response-code.ts';
import { failing } from '../durable/simulated-files.ts';
import { rejectsWith, throwsWith } from '../rejects.ts';
import { testWhen } from '../requirements.ts';
import { hasSwtpm, hasTpm2Tools } from '../tpm/software-tpm.ts';
import { withSealedHost, type SealedHost } from './sealed-host.ts';

const FIRMWARE = createHash('sha256').update('another firmware').digest();

/** Seals an archive, and suspends the seal for so many boots. */
async function suspend(host: SealedHost, boots: number): Promise<void> {
  const archive = await host.open();
  await archive.save('a', Buffer.from('kept'));
  await archive.rewrap({ prepare: () => host.wrapping.suspend(boots) });
  await archive.close();
}

testWhen(hasSwtpm)('while suspended another PCR 7 opens it, for so many boots and no more', async () => {
  await withSealedHost(async (host) => {
    await suspend(host, 2);
    assert.equal(host.wrapping.suspension, { bootsLeft: 2, opened: false });
    for (const bootsLeft of [1, 0]) {
      await host.boot(FIRMWARE);
      assert.is(await host.found(), 'kept');
      assert.equal(host.wrapping.suspension, { bootsLeft, opened: true });
      assert.equal(host.wrapping.pcrs, [SECURE_BOOT_PCR]);
    }
    await host.boot(FIRMWARE);
    const refused = (await host.open()).refused;
    assert.equal(
      [refused?.code, refused?.message],
      ['tpm-pcr-changed', 'PCR 7 changed; the suspension of the seal is over'],
    );
    await host.boot(undefined);
    assert.is(await host.found(), 'kept', 'as it was sealed');
    assert.equal(host.wrapping.suspension, { bootsLeft: -2, opened: false });
  });
});

testWhen(hasSwtpm)(
  'the TPM ends it, and not we: a later end in the file, or none, opens nothing',
  async () => {
    await withSealedHost(async (host) => {
      await suspend(host, 1);
      const suspended = parseSuspension(await host.info())!;
      await host.boot(FIRMWARE);
      await host.boot(FIRMWARE);
      const attempt = (untilReset: number | undefined): Promise<unknown> =>
        host.software.use((tpm) =>
          tpm.withStorageRoot({}, async (root) => {
            const end = untilReset === undefined ? {} : { untilReset };
            return tpm.unseal({ root, sealed: suspended, pcrs: [], ...end }).catch((error: unknown) => error);
          }),
        );
      assert.ok(isRefusal(await attempt(suspended.untilReset), 'POLICY'));
      assert.ok(isRefusal(await attempt(suspended.untilReset + 1), 'POLICY_FAIL'));
      assert.ok(isRefusal(await attempt(undefined), 'POLICY_FAIL'));
      await host.tamper({ 'tpm.suspended.untilReset': `${suspended.untilReset + 5}` });
      assert.is(await host.found(), 'tpm-pcr-changed');
    });
  },
);

testWhen(hasSwtpm)(
  'sealed anew to the new firmware it opens without the suspension, and after it',
  async () => {
    await withSealedHost(async (host) => {
      await suspend(host, 1);
      await host.boot(FIRMWARE);
      const archive = await host.open();
      await archive.rewrap();
      await archive.close();
      assert.ok(parseSuspension(await host.info()), 'an update may take another boot');
      assert.is(await host.found(), 'kept');
      assert.equal(host.wrapping.suspension, { bootsLeft: 0, opened: false });
      await host.boot(FIRMWARE);
      assert.is(await host.found(), 'kept');
      const after = await host.open();
      await after.rewrap({ prepare: () => host.wrapping.suspend(0) });
      await after.close();
      assert.is(parseSuspension(await host.info()), undefined);
      assert.is(await host.found(), 'kept');
    });
  },
);

testWhen(hasSwtpm)(
  'suspended, the PCRs to seal to anew are those that were, whatever the file says',
  async () => {
    await withSealedHost(async (host) => {
      await suspend(host, 1);
      await host.boot(FIRMWARE);
      await host.tamper({ 'tpm.pcrs': `4=${'00'.repeat(32)}` });
      assert.is(await host.found(), 'state-damaged');
    });
  },
);

testWhen(hasSwtpm)('a suspension lets no changed installation start', async () => {
  await withSealedHost(async (host) => {
    host.pcrs = [SECURE_BOOT_PCR, INSTALLATION_PCR];
    await suspend(host, 3);
    await host.boot(FIRMWARE);
    for (let restart = 0; restart < 2; restart++) assert.is(await host.found(), 'kept');
    host.installation = createHash('sha256').update('another signer').digest();
    assert.is(await host.found(), 'tpm-pcr-changed');
  });
});

testWhen(hasSwtpm)('a rotation takes it over to the new key, and the old one opens nothing', async () => {
  await withSealedHost(async (host) => {
    await suspend(host, 2);
    const archive = await host.open();
    await archive.rotate();
    await archive.close();
    await host.boot(FIRMWARE);
    assert.is(await host.found(), 'kept');
    assert.equal(host.wrapping.suspension, { bootsLeft: 1, opened: true });
  });
});

testWhen(hasSwtpm)('when the archive cannot be written nothing is suspended', async () => {
  await withSealedHost(async (host) => {
    await suspend(host, 0);
    const archive = await host.open();
    host.files.fault = failing('create');
    await rejectsWith(archive.rewrap({ prepare: () => host.wrapping.suspend(1) }), 'state-unwritable');
    host.files.fault = undefined;
    assert.is(host.wrapping.suspension, undefined);
    await archive.rewrap();
    await archive.close();
    assert.is(parseSuspension(await host.info()), undefined);
    await host.boot(FIRMWARE);
    assert.is(await host.found(), 'tpm-pcr-changed');
  });
});

testWhen(hasTpm2Tools)('the policy is the one that tpm2-tools make', async () => {
  await withSealedHost(({ software }) => {
    software.tool('tpm2_startauthsession', '-S', 'trial.ctx');
    software.tool('tpm2_policycountertimer', '-S', 'trial.ctx', '-L', 'policy', '--ule', 'resets=4711');
    software.tool('tpm2_flushcontext', 'trial.ctx');
    const made = software.tool('cat', 'policy');
    assert.equal(untilResetDigest(Buffer.alloc(32), 4711), made);
    assert.not.equal(untilResetDigest(pcrPolicyDigest(new Map()), 4711), made);
    return Promise.resolve();
  });
});

testWhen(hasSwtpm)('fields that are none are refused', async () => {
  await withSealedHost(async (host) => {
    await suspend(host, 1);
    const info = await host.info();
    for (const [field, value] of [
      ['tpm.suspended.untilReset', ''],
      ['tpm.suspended.untilReset', '-1'],
      ['tpm.suspended.untilReset', '4294967296'],
      ['tpm.suspended.public', 'AAEC'],
      ['tpm.suspended.private', ''],
      ['tpm.suspended.wrappedKey', '='],
    ] as const)
      throwsWith(
        () => parseSealFields({ ...info, fields: new Map([...info.fields, [field, value]]) }),
        'state-damaged',
      );
    const lacking = new Map([...info.fields].filter(([name]) => name !== 'tpm.suspended.private'));
    throwsWith(() => parseSealFields({ ...info, fields: lacking }), 'state-damaged');
    await rejectsWith(
      Promise.resolve().then(() => parseSuspension({ ...info, fields: lacking })),
      'state-damaged',
    );
  });
});

test.run();
