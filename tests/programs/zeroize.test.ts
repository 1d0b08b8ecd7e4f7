import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { EXIT } from '../../src/base/errors.ts';
import { testWhen } from '../requirements.ts';
import { hasTpm2Tools, SoftwareTpm } from '../tpm/software-tpm.ts';
import { DaemonProcess, ROOT, type DaemonProcessOptions } from './daemon-process.ts';

/** The real programs destroy a real state. */

const PLANTED = 'planted-feeder-7f3a';

const running: DaemonProcess[] = [];

function started(options: DaemonProcessOptions): DaemonProcess {
  const daemon = new DaemonProcess(options);
  running.push(daemon);
  return daemon;
}

/** One that a failed test left behind would keep this program from ending. */
test.after.each(() => {
  for (const daemon of running.splice(0)) daemon.child.kill('SIGKILL');
});

/** Everything below a directory: the paths, and whether a text stands in any file. */
function found(directory: string, text: string): { readonly names: string[]; readonly holdsText: boolean } {
  const names = readdirSync(directory, { recursive: true, encoding: 'utf8' }).sort();
  const files = names.map((name) => path.join(directory, name));
  const holdsText = files.some((file) => {
    try {
      return readFileSync(file).includes(text);
    } catch {
      return false;
    }
  });
  return { names, holdsText };
}

function offline(directory: string, host: string, ...more: readonly string[]) {
  const words = ['zeroize', '--yes-destroy', host, `--state-dir=${directory}`, ...more];
  return spawnSync(process.execPath, [path.join(ROOT, 'out', 'entropyd.js'), ...words], { encoding: 'utf8' });
}

testWhen(hasTpm2Tools)(
  'state, caches and the mark in the TPM are gone, the daemon ends, and none begins anew',
  async () => {
    const software = await SoftwareTpm.start();
    const directory = mkdtempSync(path.join(tmpdir(), 'zeroize-'));
    const tpm = [`--tpm=${software.path}`, `--efi-variables=${directory}`];
    const options = {
      directory: path.join(directory, 'daemon'),
      arguments: ['--encryption-mode=tpm', '--entropy-sources=12', ...tpm],
    };
    try {
      const daemon = started(options);
      await daemon.ready();
      const state = daemon.stateDirectory;
      daemon.enroll(PLANTED, 'drbg', '1/32');
      writeFileSync(path.join(state, 'not-ours'), PLANTED);
      const before = found(state, PLANTED).names;
      assert.ok(before.includes('bootbank/state.tgz') && before.includes('cache'));
      assert.match(software.tool('tpm2_getcap', 'handles-nv-index').toString(), /0x1[89ab]/i);

      const refused = daemon.control('mixer', 'zeroize', '--yes-destroy', `${hostname()}x`);
      assert.equal([refused.code, refused.stderr.includes('zeroize-unconfirmed')], [EXIT.usage, true]);
      assert.equal(found(state, PLANTED).names, before, 'nothing was touched');

      const done = daemon.control('mixer', 'zeroize', '--yes-destroy', hostname());
      assert.is(done.code, 0, done.stderr);
      assert.match(done.stdout, /bootbank +destroyed/);
      assert.match(done.stdout, /NV index in the TPM, 0x1\w+ +destroyed/);
      assert.is((await daemon.ended).code, EXIT.zeroized);
      assert.match(daemon.output, /state\.zeroize\.begun[^]*state\.zeroized/);
      assert.equal(found(state, 'x').names, ['ZEROIZED', 'lock', 'not-ours']);
      assert.is(software.tool('tpm2_getcap', 'handles-nv-index').toString().trim(), '');

      const again = started(options);
      assert.is((await again.ended).code, EXIT.zeroized);
      assert.match(again.output, /state-zeroized/);
      assert.is(existsSync(path.join(state, 'bootbank')), false, 'nothing was begun anew');
    } finally {
      await software.remove();
      rmSync(directory, { recursive: true, force: true });
    }
  },
);

testWhen(hasTpm2Tools)(
  'a TPM that is gone: told, not zero, and the rest is done when it is back',
  async () => {
    const software = await SoftwareTpm.start();
    const directory = mkdtempSync(path.join(tmpdir(), 'zeroize-'));
    const tpm = [`--tpm=${software.path}`, `--efi-variables=${directory}`];
    try {
      const daemon = started({
        directory: path.join(directory, 'daemon'),
        arguments: ['--encryption-mode=tpm', ...tpm],
      });
      await daemon.ready();
      const state = daemon.stateDirectory;
      assert.is(offline(state, hostname(), ...tpm).status, EXIT.stateInUse, 'the daemon runs');
      await software.powerOff();
      const partly = daemon.control('mixer', 'zeroize', '--yes-destroy', hostname());
      assert.is(partly.code, EXIT.failed);
      assert.match(partly.stdout, /NV index in the TPM +failed +.*tpm-absent/);
      assert.match(partly.stderr, /NOT ALL/);
      assert.is((await daemon.ended).code, EXIT.zeroized);
      assert.is(existsSync(path.join(state, 'bootbank')), false, 'what could be destroyed was');
      await software.powerOn();
      assert.is(offline(state, 'another-host', ...tpm).status, EXIT.usage);
      const rest = offline(state, hostname(), ...tpm);
      assert.equal([rest.status, /destroyed +NV index/.test(rest.stdout)], [0, true], rest.stderr);
      assert.is(software.tool('tpm2_getcap', 'handles-nv-index').toString().trim(), '');
    } finally {
      await software.remove();
      rmSync(directory, { recursive: true, force: true });
    }
  },
);

test('offline, an archive that does not open is destroyed as well, and no link is followed', () => {
  const directory = mkdtempSync(path.join(tmpdir(), 'zeroize-'));
  try {
    const outside = path.join(directory, 'outside');
    const state = path.join(directory, 'state');
    spawnSync('sh', [
      '-c',
      'mkdir -p "$1/bootbank" "$1/cache" && echo damaged > "$1/bootbank/state.tgz" && echo kept > "$2" && ln -s "$2" "$1/cache/link"',
      'sh',
      state,
      outside,
    ]);
    const { status, stdout, stderr } = offline(state, hostname());
    assert.is(status, 0, stderr);
    assert.match(stdout, /destroyed {2}bootbank\ndestroyed {2}cache\nabsent {5}counters\n/);
    assert.equal(found(state, 'damaged').names, ['ZEROIZED', 'lock']);
    assert.is(readFileSync(outside, 'utf8'), 'kept\n');
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});

test.run();
