import { createHash } from 'node:crypto';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { EntropyError, type ErrorCode } from '../../src/base/errors.ts';
import { Bootbank } from '../../src/state/bootbank.ts';
import { SECURE_BOOT_PCR } from '../../src/base/names.ts';
import { INSTALLATION_PCR } from '../../src/state/seal-fields.ts';
import { requireVendor, VENDOR_POLICY_NAMES } from '../../src/state/tpm-vendor-policy.ts';
import { count } from '../counts.ts';
import { seededSource } from '../fakes/seeded-stream.ts';
import { rejectsWith, throwsWith } from '../rejects.ts';
import { testWhen } from '../requirements.ts';
import { hasSwtpm, hasTpm2Tools } from '../tpm/software-tpm.ts';
import { SealedHost, withSealedHost } from './sealed-host.ts';

const DIGEST = createHash('sha256').update('somebody else').digest();

testWhen(hasSwtpm)(
  'what a host sealed it opens again, also after a reboot; changes need no new seal',
  async () => {
    await withSealedHost(async (host) => {
      await host.keep();
      const archive = await host.open();
      assert.equal([archive.mode, archive.document('a')?.toString()], ['TPM', 'kept']);
      assert.equal(host.wrapping.pcrs, [SECURE_BOOT_PCR]);
      await host.software.powerOff();
      await archive.save('a', Buffer.from('changed without the TPM'));
      await archive.close();
      await host.software.powerOn();
      assert.is(await host.found(), 'changed without the TPM');
    });
  },
);

testWhen(hasTpm2Tools)(
  'PCR extended, TPM cleared, TPM replaced, disk moved: each is refused with its own code',
  async () => {
    await withSealedHost(async (host) => {
      host.pcrs = [4, SECURE_BOOT_PCR];
      await host.keep();
      await host.software.use((tpm) => tpm.extendPcr(7, DIGEST));
      const { code, message } = await host.refusal();
      assert.equal([code, message], ['tpm-pcr-changed', 'PCR 7 changed']);
      await host.software.use((tpm) => tpm.extendPcr(4, DIGEST));
      assert.is((await host.refusal()).message, 'PCR 4, PCR 7 changed');
      await host.software.reboot();
      assert.is(await host.found(), 'kept', 'nothing is lost');
      host.software.tool('tpm2_clear');
      assert.is(await host.found(), 'tpm-cleared');
      await host.software.replace();
      assert.is(await host.found(), 'tpm-replaced');
      await host.software.powerOff();
      assert.is(await host.found(), 'tpm-absent');
    });
  },
);

testWhen(hasSwtpm)('without Secure Boot the key is bound to the TPM, and to no PCR', async () => {
  await withSealedHost(async (host) => {
    host.pcrs = [];
    await host.keep();
    await host.software.use((tpm) => tpm.extendPcr(7, DIGEST));
    assert.is(await host.found(), 'kept');
  });
});

testWhen(hasSwtpm)(
  'from mode NONE to TPM: a new key; the old archive is a downgrade, and so is any other of mode NONE',
  async () => {
    await withSealedHost(async (host) => {
      const before = await host.open('NONE');
      await before.save('a', Buffer.from('obfuscated'));
      const old = await new Bootbank({ files: host.files }).load();
      host.wrapping.pcrs = [];
      await before.rotate({ mode: 'TPM' });
      await before.close();
      assert.equal(host.unmarked, []);
      assert.is(await host.found(), 'obfuscated');
      const bootbank = new Bootbank({ files: host.files });
      assert.is((await bootbank.loadPrevious())?.info.mode, 'TPM', 'no archive under the old key is left');
      await bootbank.save(old!);
      assert.is(await host.found(), 'state-downgraded');
      const empty = new SealedHost(host.software);
      const fresh = await empty.open('NONE');
      await rejectsWith(fresh.save('a', Buffer.from('new')), 'state-downgraded');
      await fresh.close();
    });
  },
);

testWhen(hasTpm2Tools)('a new archive is marked from its first write on', async () => {
  await withSealedHost(async (host) => {
    await host.keep();
    assert.equal(host.unmarked, []);
    assert.match(host.software.tool('tpm2_getcap', 'handles-nv-index').toString(), /0x1[89ab]/i);
  });
});

testWhen(hasSwtpm)(
  'the installation in PCR 23: three restarts in one boot, an upgrade by the same signer, and no other',
  async () => {
    await withSealedHost(async (host) => {
      host.pcrs = [SECURE_BOOT_PCR, INSTALLATION_PCR];
      await host.keep();
      for (let restart = 0; restart < 3; restart++) assert.is(await host.found(), 'kept');
      await host.software.reboot();
      assert.is(await host.found(), 'kept');
      const signerA = host.installation;
      host.installation = createHash('sha256').update('matched, signer B').digest();
      const { code, message } = await host.refusal();
      assert.is(code, 'tpm-pcr-changed');
      assert.match(message, /PCR 23/);
      host.installation = signerA;
      assert.is(await host.found(), 'kept');
      const closed = await host.software.use((tpm) => tpm.readPcrs([INSTALLATION_PCR]));
      assert.not.equal(closed.get(INSTALLATION_PCR), Buffer.alloc(32), 'it is left closed');
    });
  },
);

testWhen(hasSwtpm)(
  'a TPM that the vendor policy does not use is refused before anything changes',
  async () => {
    await withSealedHost(async (host) => {
      await host.wrapping.assess([SECURE_BOOT_PCR]);
      assert.is(host.software.tool('tpm2_getcap', 'handles-persistent').toString(), '');
    });
    const infineon = { manufacturer: 'IFX', model: 'SLB9670', firmware: '7.85.4555.0' };
    const nationz = { manufacturer: 'NTZ', model: 'NTZTPM', firmware: '7.51.0.0' };
    const nuvoton = (model: string) => ({ manufacturer: 'NTC', model, firmware: '7.2.0.1' });
    throwsWith(() => requireVendor(infineon, 'esxi-7.0u2'), 'tpm-vendor-refused');
    throwsWith(() => requireVendor(nuvoton('NPCT75x'), 'esxi-7.0u2'), 'tpm-vendor-refused');
    requireVendor(nuvoton('rls NPCT65x'), 'esxi-7.0u2');
    requireVendor(infineon, 'esxi-7.0u3');
    throwsWith(() => requireVendor(nationz, 'esxi-7.0u3'), 'tpm-vendor-refused');
    requireVendor(nationz, 'none');
    assert.equal(VENDOR_POLICY_NAMES, ['none', 'esxi-7.0u2', 'esxi-7.0u3']);
  },
);

testWhen(hasSwtpm)('flips in the fields of encryption.info are refused, whatever they hit', async () => {
  await withSealedHost(async (host) => {
    host.pcrs = [SECURE_BOOT_PCR];
    await host.keep();
    const bootbank = new Bootbank({ files: host.files });
    const good = (await bootbank.load())!;
    const names = [...good.info.fields.keys()].filter((name) => name.startsWith('tpm.'));
    const choose = seededSource('flips');
    const bytes = Buffer.alloc(3);
    let refused = 0;
    for (let number = 0; number < count(40, 10_000); number++) {
      choose(bytes);
      const name = names[number % names.length]!;
      const value = Buffer.from(good.info.fields.get(name)!);
      const at = bytes.readUInt16BE() % value.length;
      value.writeUInt8(value.readUInt8(at) ^ (1 << (bytes.readUInt8(2) % 7)), at);
      const fields = new Map([...good.info.fields, [name, value.toString('latin1')]]);
      const outcome: unknown = await host.wrapping
        .unwrap({ ...good.info, fields })
        .catch((error: unknown) => error);
      // The values of PCRs and the endorsement key only explain; they open nothing.
      if (!(outcome instanceof Error)) assert.ok(['tpm.pcrs', 'tpm.endorsementName'].includes(name), name);
      else assert.ok(outcome instanceof EntropyError && EXPECTED.has(outcome.code), String(outcome));
      if (outcome instanceof Error) refused++;
    }
    assert.ok(refused > 20);
    assert.is(await host.found(), 'kept');
  });
});

const EXPECTED: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'state-damaged',
  'state-version-newer',
  'tpm-cleared',
  'tpm-replaced',
  'tpm-root-changed',
  'tpm-pcr-changed',
]);

test.run();
