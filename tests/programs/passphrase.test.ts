import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { EXIT } from '../../src/base/errors.ts';
import { DaemonProcess, ROOT, type DaemonProcessOptions } from './daemon-process.ts';

/** The real entropyd in mode NONE with a passphrase joined in. */

const ENCRYPTION = ['system', 'settings', 'encryption'] as const;

class Host {
  readonly directory = mkdtempSync(path.join(tmpdir(), 'passphrase-host-'));

  /** A file with a passphrase, or another secret. */
  file(name: string, content: string): string {
    const file = path.join(this.directory, name);
    writeFileSync(file, content, { mode: 0o600 });
    return file;
  }

  async run(
    options: Pick<DaemonProcessOptions, 'arguments' | 'environment'>,
    look: (daemon: DaemonProcess) => void | Promise<void>,
  ): Promise<void> {
    const daemon = new DaemonProcess({ ...options, directory: path.join(this.directory, 'daemon') });
    try {
      await daemon.ready();
      await look(daemon);
    } finally {
      await daemon.stop();
    }
  }
}

async function withHost(work: (host: Host) => Promise<void>): Promise<void> {
  const host = new Host();
  try {
    await work(host);
  } finally {
    rmSync(host.directory, { recursive: true, force: true });
  }
}

function maskOf(daemon: DaemonProcess): string {
  return /entropySources +(\d+)/.exec(daemon.control('mixer', 'config', 'list').stdout)?.[1] ?? '';
}

function recover(host: Host, key: string, ...args: readonly string[]) {
  const state = `--state-dir=${path.join(host.directory, 'daemon', 'state')}`;
  return entropyd('recover', `--recovery-key-file=${host.file('recovery-key', key)}`, state, ...args);
}

/** A run of it that ends by itself. */
function entropyd(...words: readonly string[]) {
  const { status, stderr } = spawnSync(process.execPath, [path.join(ROOT, 'out', 'entropyd.js'), ...words], {
    encoding: 'utf8',
  });
  return { status, stderr };
}

test('set, restart with and without, lost and recovered, removed', async () => {
  await withHost(async (host) => {
    const [first, second] = [host.file('first', 'correct horse\n'), host.file('second', 'battery staple')];
    const plain = path.join(host.directory, 'plain');
    let recoveryKey = '';
    await host.run({}, (daemon) => {
      daemon.control('system', 'settings', 'kernel', 'set', '-s', 'entropySources', '-v', '1');
      assert.match(daemon.control(...ENCRYPTION, 'get').stdout, /Passphrase Joined: false/);
      cpSync(path.join(daemon.stateDirectory, 'bootbank'), plain, { recursive: true });
      const set = daemon.control(...ENCRYPTION, 'passphrase', 'set', '-f', first);
      assert.is(set.code, 0, set.stderr);
      assert.match(set.stderr, /not started with it \(passphrase-needed\)/);
      assert.match(daemon.control(...ENCRYPTION, 'get').stdout, /Mode: NONE\n[^]*Passphrase Joined: true/);
      const check = daemon.control('mixer', 'seal', 'check');
      assert.equal([check.code, check.stdout.includes('passphrase-needed')], [EXIT.stateRefused, true]);
      assert.match(daemon.control('mixer', 'status').stdout, /Recovery key: not backed up/);
      assert.is(daemon.control(...ENCRYPTION, 'recovery', 'rotate').code, 0);
      const { stdout } = daemon.control(...ENCRYPTION, 'recovery', 'list');
      recoveryKey = /[0-9]{6}(-[0-9]{6}){15}/.exec(stdout)?.[0] ?? '';
      assert.is(daemon.output.includes('correct horse'), false);
    });
    await host.run({ arguments: [`--passphrase-file=${first}`] }, (daemon) => {
      assert.is(maskOf(daemon), '1');
      assert.match(daemon.output, /recovery\.key\.not-backed-up/);
      assert.match(daemon.control('mixer', 'seal', 'check').stdout, /Opens Now: true/);
      assert.match(
        daemon.control(...ENCRYPTION, 'passphrase', 'set', '-f', first).stderr,
        /will open by it again/,
      );
      const { stdout } = daemon.control(...ENCRYPTION, 'recovery', 'list');
      recoveryKey = /[0-9]{6}(-[0-9]{6}){15}/.exec(stdout)?.[0] ?? '';
    });
    for (const [args, code] of [
      [[], 'passphrase-needed'],
      [[`--passphrase-file=${second}`], 'passphrase-wrong'],
      [[`--passphrase-file=${path.join(host.directory, 'none')}`], 'passphrase-unreadable'],
    ] as const)
      await host.run({ arguments: args }, async (daemon) => {
        assert.match(daemon.output, new RegExp(`state\\.sealed-away.*${code}`));
        assert.is((await daemon.status()).state.refused, code);
        assert.is(maskOf(daemon), '0', 'on defaults');
        assert.is(daemon.control(...ENCRYPTION, 'passphrase', 'set', '-f', second).code === 0, false);
      });
    const refused = recover(host, recoveryKey);
    assert.equal([refused.status, refused.stderr.includes('--to=none')], [EXIT.authentication, true]);
    const recovered = recover(host, recoveryKey, `--passphrase-file=${second}`);
    assert.is(recovered.status, 0, recovered.stderr);
    await host.run({ arguments: [`--passphrase-file=${second}`] }, async (daemon) => {
      assert.is(maskOf(daemon), '1', 'nothing was lost');
      const removed = daemon.control(...ENCRYPTION, 'passphrase', 'remove');
      assert.equal([removed.code, removed.stderr.includes('WARNING')], [0, true]);
      await daemon.says('configenc.passphrase.remove');
      assert.match(daemon.control(...ENCRYPTION, 'passphrase', 'remove').stderr, /none is joined/);
    });
    await host.run({}, (daemon) => assert.is(maskOf(daemon), '1'));
    cpSync(plain, path.join(host.directory, 'daemon', 'state', 'bootbank'), { recursive: true });
    await host.run({ arguments: [`--passphrase-file=${second}`] }, async (daemon) => {
      assert.match(daemon.output, /state\.refused.*passphrase-unjoined/);
      assert.is((await daemon.status()).gate.state, 'closed', 'somebody may have put it there');
    });
  });
});

test('a new state is joined from the first write on, by a systemd credential; an exposed file starts none', async () => {
  await withHost(async (host) => {
    const credentials = path.join(host.directory, 'credentials');
    mkdirSync(credentials);
    const credential = path.join(credentials, 'entropy-mixer.passphrase');
    // systemd puts an access list on it, which shows as the group's right to read.
    writeFileSync(credential, 'from the service manager', { mode: 0o440 });
    const environment = { CREDENTIALS_DIRECTORY: credentials };
    for (let start = 0; start < 2; start++)
      await host.run({ environment }, (daemon) =>
        assert.match(daemon.control(...ENCRYPTION, 'get').stdout, /Passphrase Joined: true/),
      );
    chmodSync(credential, 0o444);
    const directory = path.join(host.directory, 'another');
    const daemon = new DaemonProcess({ environment, directory });
    assert.is((await daemon.ended).code, EXIT.permission);
    assert.match(daemon.output, /key-file-exposed/);
  });
});

test('a scripted install joins it too: what is installed opens with it alone; a dry run writes nothing', async () => {
  await withHost(async (host) => {
    const passphrase = `--passphrase-file=${host.file('passphrase', 'correct horse\n')}`;
    const state = path.join(host.directory, 'daemon', 'state');
    mkdirSync(state, { recursive: true });
    const kickstart = `--kickstart=${host.file('ks.cfg', 'entropy --sources=4\n')}`;
    const install = ['install', kickstart, `--state-dir=${state}`];
    const short = entropyd(...install, `--passphrase-file=${host.file('short', 'short')}`, '--dry-run');
    assert.equal(
      [short.status, short.stderr.includes('passphrase-refused')],
      [EXIT.usage, true],
      short.stderr,
    );
    assert.is(entropyd(...install, passphrase, '--dry-run').status, 0);
    assert.not.ok(existsSync(path.join(state, 'bootbank')), 'nothing was written');
    const installed = entropyd(...install, passphrase);
    assert.is(installed.status, 0, installed.stderr);
    const again = entropyd(...install, passphrase, '--dry-run');
    assert.match(again.stderr, /install-refused/, 'it opens what it installed');
    await host.run({}, (daemon) => assert.match(daemon.output, /state\.sealed-away.*passphrase-needed/));
    await host.run({ arguments: [passphrase] }, (daemon) => assert.is(maskOf(daemon), '4'));
  });
});

test.run();
