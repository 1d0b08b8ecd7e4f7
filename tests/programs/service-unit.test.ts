import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { EXIT } from '../../src/base/errors.ts';
import { INSTALL_FILE } from '../../src/daemon/install-file.ts';
import { parseCommandLine } from '../../src/daemon/options.ts';
import { PASSPHRASE_CREDENTIAL } from '../../src/daemon/passphrase-place.ts';
import { hasProgram, testWhen } from '../requirements.ts';
import { ROOT } from './daemon-process.ts';

const UNIT = readFileSync(path.join(ROOT, 'packaging', 'systemd', 'entropy-mixer.service'), 'utf8');

function valueOf(key: string): string {
  const [, value] = new RegExp(`^#?${key}=(.*)$`, 'm').exec(UNIT) ?? [];
  assert.type(value, 'string', key);
  return value!;
}

test('entropyd understands what the unit starts it with, and its credential has the name that is looked for', () => {
  const [program, ...args] = valueOf('ExecStart').split(' ');
  assert.is(program, '/usr/lib/entropy-mixer/bin/entropyd');
  const invocation = parseCommandLine(args, {}, 990, () => undefined);
  if (invocation.kind !== 'run') return assert.unreachable(invocation.kind);
  assert.is(invocation.options.encryption.mode, 'auto');
  assert.is(invocation.options.installFile, INSTALL_FILE);
  assert.is(valueOf('LoadCredentialEncrypted').split(':')[0], PASSPHRASE_CREDENTIAL);
});

test('what a person has to decide is not tried again and again', () => {
  assert.equal(valueOf('RestartPreventExitStatus').split(' ').map(Number), [
    EXIT.stateRefused,
    EXIT.integrity,
    EXIT.zeroized,
  ]);
});

testWhen(hasProgram('systemd-analyze'))('systemd takes the unit, and calls it little exposed', () => {
  const directory = mkdtempSync(path.join(tmpdir(), 'unit-'));
  try {
    const file = path.join(directory, 'entropy-mixer.service');
    writeFileSync(file, UNIT.replaceAll('/usr/lib/entropy-mixer', ROOT));
    const analyze = (...args: readonly string[]) =>
      spawnSync('systemd-analyze', [...args, file], { encoding: 'utf8' });
    const { status, stderr } = analyze('verify', '--man=no');
    assert.is(status, 0, stderr);
    assert.not.match(stderr, 'entropy-mixer.service', 'no line of it is ignored');
    const exposure = analyze('security', '--offline=yes', '--threshold=40');
    assert.is(exposure.status, 0, exposure.stdout);
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test.run();
