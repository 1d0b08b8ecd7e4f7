import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { hasPkcs11js, hasProgram } from '../requirements.ts';

const MODULES = ['/usr/lib/softhsm/libsofthsm2.so', '/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so'];

export const softHsmModule = MODULES.find((file) => existsSync(file));
export const hasSoftHsm = softHsmModule !== undefined && hasProgram('softhsm2-util') && hasPkcs11js;

export interface SoftHsmToken {
  readonly module: string;
  readonly label: string;
  /** What every process that uses the token must have in its environment. */
  readonly environment: Readonly<Record<string, string>>;
  remove(): void;
}

/** A token of Debian's SoftHSM2 in a folder of its own. */
export function softHsmToken(label = 'entropy'): SoftHsmToken {
  const directory = mkdtempSync(path.join(tmpdir(), 'softhsm-'));
  const configuration = path.join(directory, 'softhsm2.conf');
  mkdirSync(path.join(directory, 'tokens'));
  writeFileSync(
    configuration,
    `directories.tokendir = ${directory}/tokens\nobjectstore.backend = file\nlog.level = ERROR\nslots.removable = false\n`,
  );
  const environment = { SOFTHSM2_CONF: configuration };
  const made = spawnSync(
    'softhsm2-util',
    ['--init-token', '--free', '--label', label, '--so-pin', '12345678', '--pin', '1234'],
    { env: { ...process.env, ...environment }, encoding: 'utf8' },
  );
  if (made.status !== 0) throw new Error(`softhsm2-util: ${made.stderr}`);
  return {
    module: softHsmModule ?? '',
    label,
    environment,
    remove: () => rmSync(directory, { recursive: true, force: true }),
  };
}
