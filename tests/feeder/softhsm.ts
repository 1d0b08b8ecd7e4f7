import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { writtenFile } from './temporary.ts';

/** Where Debian puts the module of its package softhsm2. */
export const SOFTHSM_MODULE = '/usr/lib/softhsm/libsofthsm2.so';
export const hasSoftHsm = existsSync(SOFTHSM_MODULE) && hasPkcs11js();

/** The child as one file, as the build makes it: starts from source would take most of the time. */
export async function bundledChild(directory: string): Promise<readonly string[]> {
  const outfile = path.join(directory, 'pkcs11-child.mjs');
  await build({
    entryPoints: [fileURLToPath(new URL('../../src/feeder/pkcs11-child.ts', import.meta.url))],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    external: ['pkcs11js'],
    logLevel: 'error',
  });
  return [process.execPath, outfile];
}

/** Tokens in a directory of their own, found by the module through one variable. */
export class SoftHsm {
  readonly environment: Readonly<Record<string, string | undefined>>;

  constructor(directory: string) {
    const tokens = path.join(directory, 'tokens');
    mkdirSync(tokens);
    const configuration = writtenFile(
      path.join(directory, 'softhsm2.conf'),
      `directories.tokendir = ${tokens}\nobjectstore.backend = file\nlog.level = ERROR\nslots.removable = false\n`,
    );
    this.environment = { ...process.env, SOFTHSM2_CONF: configuration };
  }

  addToken(label: string, pin: string): void {
    const made = spawnSync(
      'softhsm2-util',
      ['--init-token', '--free', '--label', label, '--so-pin', '12345678', '--pin', pin],
      { env: this.environment, encoding: 'utf8' },
    );
    if (made.status !== 0) throw new Error(`softhsm2-util: ${made.stderr}`);
  }
}

function hasPkcs11js(): boolean {
  try {
    createRequire(import.meta.url).resolve('pkcs11js');
    return true;
  } catch {
    return false;
  }
}
