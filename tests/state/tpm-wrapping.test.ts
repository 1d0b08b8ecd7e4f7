import { createHash, randomFillSync } from 'node:crypto';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { SystemClock } from '../../src/base/clock.ts';
import { EntropyError, type ErrorCode } from '../../src/base/errors.ts';
import { DowngradeGuard } from '../../src/state/downgrade-guard.ts';
import { Bootbank } from '../../src/state/bootbank.ts';
import { INSTALLATION_PCR, SECURE_BOOT_PCR } from '../../src/state/seal-fields.ts';
import { NoneWrapping } from '../../src/state/root-key.ts';
import { StateArchive } from '../../src/state/state-archive.ts';
import { TpmWrapping } from '../../src/state/tpm-wrapping.ts';
import { requireVendor, VENDOR_POLICY_NAMES, type VendorPolicy } from '../../src/state/tpm-vendor-policy.ts';
import { Tpm } from '../../src/tpm/tpm.ts';
import { count } from '../counts.ts';
import { SimulatedFiles } from '../durable/simulated-files.ts';
import { seededSource } from '../fakes/seeded-stream.ts';
import { rejectsWith, throwsWith } from '../rejects.ts';
import { testWhen } from '../requirements.ts';
import { hasSwtpm, hasTpm2Tools, SoftwareTpm } from '../tpm/software-tpm.ts';

const random = (target: Uint8Array): void => void randomFillSync(target);
const clock = new SystemClock();
const DIGEST = createHash('sha256').update('somebody else').digest();

/** A host with a software TPM and a disk, on which the archive is opened again and again. */
class Host {
  readonly files = new SimulatedFiles();
  readonly unmarked: string[] = [];
  readonly software: SoftwareTpm;
  installation = createHash('sha256').update('matched, signer A').digest();
  vendorPolicy: VendorPolicy = 'none';
  pcrs: readonly number[] = [SECURE_BOOT_PCR];
  wrapping: TpmWrapping;

  constructor(software: SoftwareTpm) {
    this.software = software;
    this.wrapping = this.#wrapping();
  }

  async open(mode: 'NONE' | 'TPM' = 'TPM'): Promise<StateArchive> {
    this.wrapping = this.#wrapping();
    this.wrapping.pcrs = this.pcrs;
    const inner = new NoneWrapping({ random });
    const guard = new DowngradeGuard({ subject: '/state' }, { inner, openTpm: () => this.#openTpm() });
    return StateArchive.open({ mode }, { files: this.files, random, wrappings: [guard, this.wrapping] });
  }

  /** What is found at a start: the document, or why the archive is refused. */
  async found(): Promise<string | undefined> {
    const archive = await this.open();
    const found = archive.refused?.code ?? archive.document('a')?.toString();
    await archive.close();
    return found;
  }

  async refusal(): Promise<EntropyError> {
    const { refused } = await this.open();
    if (refused === undefined) throw new Error('it is not refused');
    return refused;
  }

  #openTpm(): Promise<Tpm> {
    return Tpm.open(this.software.path, { clock, random });
  }

  #wrapping(): TpmWrapping {
    return new TpmWrapping(
      { subject: '/state', vendorPolicy: this.vendorPolicy },
      {
        openTpm: () => this.#openTpm(),
        random,
        measureInstallation: () => Promise.resolve(this.installation),
        onUnmarked: ({ code }) => this.unmarked.push(code),
      },
    );
  }
}

async function withHost(work: (host: Host) => Promise<void>): Promise<void> {
  const software = await SoftwareTpm.start();
  try {
    await work(new Host(software));
  } finally {
    await software.remove();
  }
}

async function sealed(host: Host): Promise<void> {
  const archive = await host.open();
  await archive.save('a', Buffer.from('kept'));
  await archive.close();
}

testWhen(hasSwtpm)(
  'what a host sealed it opens again, also after a reboot; changes need no new seal',
  async () => {
    await withHost(async (host) => {
      await sealed(host);
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
    await withHost(async (host) => {
      host.pcrs = [4, SECURE_BOOT_PCR];
      await sealed(host);
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
  await withHost(async (host) => {
    host.pcrs = [];
    await sealed(host);
    await host.software.use((tpm) => tpm.extendPcr(7, DIGEST));
    assert.is(await host.found(), 'kept');
  });
});

testWhen(hasSwtpm)(
  'from mode NONE to TPM: a new key; the old archive is a downgrade, and so is any other of mode NONE',
  async () => {
    await withHost(async (host) => {
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
      const empty = new Host(host.software);
      const fresh = await empty.open('NONE');
      await rejectsWith(fresh.save('a', Buffer.from('new')), 'state-downgraded');
      await fresh.close();
    });
  },
);

testWhen(hasTpm2Tools)('a new archive is marked from its first write on', async () => {
  await withHost(async (host) => {
    await sealed(host);
    assert.equal(host.unmarked, []);
    assert.match(host.software.tool('tpm2_getcap', 'handles-nv-index').toString(), /0x1[89ab]/i);
  });
});

testWhen(hasSwtpm)(
  'the installation in PCR 23: three restarts in one boot, an upgrade by the same signer, and no other',
  async () => {
    await withHost(async (host) => {
      host.pcrs = [SECURE_BOOT_PCR, INSTALLATION_PCR];
      await sealed(host);
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
    await withHost(async (host) => {
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
  await withHost(async (host) => {
    host.pcrs = [SECURE_BOOT_PCR];
    await sealed(host);
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
