import { spawnSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { appendFileSync, cpSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { EXIT } from '../../src/base/errors.ts';
import { testWhen } from '../requirements.ts';
import { hasSwtpm, hasTpm2Tools } from '../tpm/software-tpm.ts';
import { copyOfInstallation, DaemonProcess, ROOT, withDaemon } from './daemon-process.ts';
import { withHost } from './tpm-host.ts';

/** The real entropyd on a software TPM, with firmware variables of its own. */

const DIGEST = Buffer.alloc(32, 0xab);
const GET = ['system', 'settings', 'encryption', 'get'] as const;
const SET = ['system', 'settings', 'encryption', 'set'] as const;

function settings(daemon: DaemonProcess): string {
  return daemon.control(...GET).stdout.replaceAll(/^ +/gm, '');
}

/** What `get` says without a passphrase and without installed files required. */
function rows(mode: string, requireSecureBoot: boolean): string {
  return `Mode: ${mode}
Require Executables Only From Installed VIBs: false
Require Secure Boot: ${requireSecureBoot}
Passphrase Joined: false
`;
}

const [NONE, TPM, TPM_SB] = [rows('NONE', false), rows('TPM', false), rows('TPM', true)];

testWhen(hasTpm2Tools)(
  'seal, restart, unseal; PCR 7, cleared, replaced: refused, up, its gate as the mask allows',
  async () => {
    await withHost(async (host) => {
      let key = '';
      host.secureBoot(true);
      await host.run(host.options('auto'), (daemon) => {
        assert.is(settings(daemon), TPM_SB, 'the first start of the packaged unit seals');
        key = host.recoveryKey(daemon);
        assert.is(
          daemon.control('system', 'settings', 'kernel', 'set', '-s', 'entropySources', '-v', '1').code,
          0,
        );
      });
      await host.run(host.options('auto'), (daemon) => {
        assert.is(settings(daemon), TPM_SB);
        assert.match(daemon.control('mixer', 'config', 'list').stdout, /entropySources +1 /);
        assert.match(daemon.control('mixer', 'seal', 'check').stdout, /Opens Now: true/);
      });
      await host.software.use((tpm) => tpm.extendPcr(7, DIGEST));
      await host.run(host.options('auto'), async (daemon) => {
        assert.match(daemon.output, /state\.sealed-away.*tpm-pcr-changed/);
        const { state, mask } = await daemon.status();
        assert.equal([state.encryptionMode, state.refused], ['TPM', 'tpm-pcr-changed']);
        assert.is(mask.configured, 0, 'on defaults');
        assert.not.match(daemon.output, /state\.refused/);
        const check = daemon.control('mixer', 'seal', 'check');
        assert.equal([check.code, check.stdout.includes('PCR 7 changed')], [EXIT.stateRefused, true]);
      });
      await host.software.reboot();
      await host.run(host.options('none'), (daemon) => {
        assert.match(
          daemon.control('mixer', 'config', 'list').stdout,
          /entropySources +1 /,
          'nothing was lost',
        );
      });
      host.software.tool('tpm2_clear');
      await host.run(host.options('auto'), (daemon) =>
        assert.match(daemon.output, /sealed-away.*tpm-cleared/),
      );
      await host.software.replace();
      await host.run(host.options('auto'), (daemon) =>
        assert.match(daemon.output, /sealed-away.*tpm-replaced/),
      );
      assert.equal(host.recover(key), { code: EXIT.ok, stderr: '' });
      await host.run(host.options('auto'), (daemon) => {
        assert.match(daemon.control('mixer', 'config', 'list').stdout, /entropySources +1 /);
        assert.is(settings(daemon), TPM_SB, 'sealed to the new TPM');
      });
    });
  },
);

testWhen(hasSwtpm)('a state that was installed before any start gets its mode at the first one', async () => {
  await withHost(async (host) => {
    const state = path.join(host.directory, 'daemon', 'state');
    const kickstart = path.join(host.directory, 'install.ks');
    writeFileSync(kickstart, 'entropy --sources=4\n', { mode: 0o600 });
    const install = (): void => {
      const args = ['install', `--kickstart=${kickstart}`, `--state-dir=${state}`];
      const { status, stderr } = spawnSync(
        process.execPath,
        [path.join(ROOT, 'out', 'entropyd.js'), ...args],
        { encoding: 'utf8' },
      );
      assert.is(status, EXIT.ok, stderr);
    };
    install();
    const prepared = path.join(host.directory, 'prepared');
    cpSync(state, prepared, { recursive: true });
    await host.run(host.options('auto'), (daemon) => {
      assert.match(daemon.output, /configenc\.tpm\.enable/);
      assert.is(settings(daemon), TPM);
      assert.match(daemon.control('mixer', 'config', 'list').stdout, /entropySources +4 /);
    });
    rmSync(state, { recursive: true });
    cpSync(prepared, state, { recursive: true });
    await host.software.replace();
    for (const mode of ['none', 'auto'] as const)
      await host.run(host.options(mode), (daemon) =>
        assert.is(settings(daemon), NONE, 'a start with none has chosen, and no later one chooses again'),
      );
  });
});

testWhen(hasSwtpm)('from NONE to TPM by command; what the host cannot satisfy changes nothing', async () => {
  await withHost(async (host) => {
    const bootbank = path.join(host.directory, 'daemon', 'state', 'bootbank');
    const kept = path.join(host.directory, 'kept');
    await host.run(host.options('none'), async (daemon) => {
      daemon.control('system', 'settings', 'kernel', 'set', '-s', 'entropySources', '-v', '1');
      assert.is(settings(daemon), NONE);
      cpSync(bootbank, kept, { recursive: true });
      const refused = daemon.control(...SET, '--mode=TPM', '--require-secure-boot=T');
      assert.equal([refused.code, settings(daemon)], [EXIT.failed, NONE]);
      assert.match(refused.stderr, /encryption-unsatisfied/);
      assert.match(refused.stderr, /Secure Boot: it is off/);
      assert.match(daemon.control(...SET, '--require-secure-boot=F').stderr, /mode NONE/);
      assert.is(daemon.control(...SET, '--mode=TPM').code, 0);
      assert.is(settings(daemon), TPM);
      const again = daemon.control(...SET, '--mode=NONE');
      assert.equal([again.code, settings(daemon)], [EXIT.failed, TPM]);
      assert.match(again.stderr, /encryption-irreversible/);
      const installed = daemon.control(...SET, '--require-exec-installed-only=True');
      assert.match(installed.stderr, /needs --require-secure-boot=T/);
      await daemon.says('cache.key.changed');
      assert.match(daemon.control('mixer', 'external', 'get').stdout, /Key Generation: [0-9]+/);
    });
    await host.run(host.options('auto'), (daemon) => assert.is(settings(daemon), TPM));
    cpSync(kept, bootbank, { recursive: true });
    await host.run(host.options('auto'), async (daemon) => {
      assert.match(daemon.output, /state\.refused.*state-downgraded/);
      assert.is((await daemon.status()).gate.state, 'closed');
    });
  });
});

/** Signs what stands there, as the build does at its end with ENTROPY_MIXER_RELEASE_KEY. */
function sign(root: string, key: string): void {
  const program = path.join(root, 'scripts', 'manifest.mjs');
  mkdirSync(path.dirname(program), { recursive: true });
  cpSync(path.join(ROOT, 'scripts', 'manifest.mjs'), program);
  const env = { PATH: process.env.PATH, ENTROPY_MIXER_RELEASE_KEY: key };
  assert.is(spawnSync(process.execPath, [program], { env }).status, 0);
}

function releaseKey(file: string): string {
  const { privateKey } = generateKeyPairSync('ed25519');
  writeFileSync(file, privateKey.export({ type: 'pkcs8', format: 'pem' }));
  return file;
}

testWhen(hasSwtpm)(
  'installed files only: three restarts in one boot, an upgrade by the same key; no other signer, and a changed file does not start',
  async () => {
    await withHost(async (host) => {
      host.secureBoot(true);
      const root = copyOfInstallation();
      const engine = path.join(root, 'out', 'engine-thread.js');
      const options = host.options('auto', { root });
      const opens = (daemon: DaemonProcess): void => assert.match(settings(daemon), /Installed VIBs: true/);
      try {
        const ours = releaseKey(path.join(host.directory, 'ours.pem'));
        sign(root, ours);
        await host.run(options, (daemon) => {
          assert.is(daemon.control(...SET, '--require-exec-installed-only=T').code, 0);
          opens(daemon);
          assert.match(
            daemon.control('mixer', 'seal', 'check').stdout,
            /Installation Signer: sha256:[0-9a-f]{64}/,
          );
        });
        for (let restart = 0; restart < 3; restart++) await host.run(options, opens);
        appendFileSync(engine, '\n// an upgrade\n');
        sign(root, ours);
        await host.run(options, opens);
        sign(root, releaseKey(path.join(host.directory, 'theirs.pem')));
        await host.run(options, (daemon) =>
          assert.match(daemon.output, /state\.sealed-away.*tpm-pcr-changed.*PCR 23/),
        );
        sign(root, ours);
        appendFileSync(engine, '\n// changed\n');
        const altered = new DaemonProcess(options);
        const { code } = await altered.ended;
        assert.is(code, EXIT.integrity);
        assert.match(altered.output, /installation-altered: out\/engine-thread\.js was changed/);
      } finally {
        rmSync(root, { recursive: true, force: true });
      }
    });
  },
);

testWhen(hasSwtpm)(
  'suspended before a firmware update: opens once more, is sealed to what it finds, and the TPM ends it',
  async () => {
    await withHost(async (host) => {
      host.secureBoot(true);
      host.secureBootKeys('before');
      const suspend = ['mixer', 'seal', 'suspend', '--boots'] as const;
      await host.run(host.options('auto'), (daemon) => {
        assert.match(daemon.control('mixer', 'seal', 'check').stdout, /Secure Boot Keys: same since boot/);
        host.secureBootKeys('after');
        const check = daemon.control('mixer', 'seal', 'check');
        assert.equal([check.code, check.stdout.includes('changed since boot')], [EXIT.degraded, true]);
        assert.match(check.stderr, /seal suspend --boots 1/);
        assert.is(daemon.control(...suspend, '2').code, 0);
        assert.match(daemon.control('mixer', 'status').stdout, /Seal: suspended for this boot and 2 more/);
        assert.is(daemon.control(...suspend, '0').code, 0);
        assert.not.match(daemon.control('mixer', 'status').stdout, /suspended/);
        assert.is(daemon.control(...suspend, '1').code, 0);
        const after = daemon.control('mixer', 'seal', 'check');
        assert.equal([after.code, after.stdout.includes('Suspension: for 1 more boot')], [EXIT.ok, true]);
      });
      await host.software.reboot();
      await host.software.use((tpm) => tpm.extendPcr(7, DIGEST));
      host.secureBoot(false);
      await host.run(host.options('auto'), (daemon) =>
        assert.match(daemon.output, /seal\.suspended.*pcrsChanged.*sealedAnew.*false.*Secure Boot is not on/),
      );
      host.secureBoot(true);
      await host.run(host.options('auto'), (daemon) => {
        assert.match(daemon.output, /seal\.suspended.*bootsLeft.*0.*sealedAnew.*true/);
        assert.match(daemon.control('mixer', 'seal', 'check').stdout, /Suspension: for this boot alone/);
      });
      await host.software.reboot();
      await host.software.use((tpm) => tpm.extendPcr(7, DIGEST));
      await host.run(host.options('auto'), (daemon) => {
        assert.match(daemon.output, /seal\.resume.*the TPM/);
        assert.match(daemon.control('mixer', 'seal', 'check').stdout, /Opens Now: true[^]*Suspension: none/);
      });
      await host.software.reboot();
      await host.run(host.options('auto'), (daemon) =>
        assert.match(daemon.output, /sealed-away.*tpm-pcr-changed/, 'the firmware of before'),
      );
    });
  },
);

test('without a TPM: auto says so and goes on in mode NONE, tpm does not start, none is silent', async () => {
  const tpm = '--tpm=swtpm:/nonexistent/tpm';
  await withDaemon({ arguments: ['--encryption-mode=auto', tpm] }, (daemon) => {
    assert.match(daemon.output, /encryption\.mode\.none.*tpm-absent/);
    assert.is(settings(daemon), NONE);
    const refused = daemon.control(...SET, '--mode=TPM');
    assert.match(refused.stderr, /tpm-absent/);
  });
  const daemon = new DaemonProcess({ arguments: ['--encryption-mode=tpm', tpm] });
  assert.is((await daemon.ended).code, EXIT.failed);
  assert.match(daemon.output, /tpm-absent/);
  await daemon.discard();
});

test('--verify-installation: what was built starts, what was changed does not', async () => {
  await withDaemon({ arguments: ['--verify-installation'] }, (daemon) =>
    daemon.says('installation.verified'),
  );
  const root = copyOfInstallation();
  appendFileSync(path.join(root, 'build', 'mixer.scalar.wasm'), '\0');
  const daemon = new DaemonProcess({ root, arguments: ['--verify-installation'] });
  assert.is((await daemon.ended).code, EXIT.integrity);
  assert.match(daemon.output, /build\/mixer\.scalar\.wasm was changed/);
  await daemon.discard();
  rmSync(root, { recursive: true, force: true });
});

test.run();
