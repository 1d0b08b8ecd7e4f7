import { chmodSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { TlsPairFiles } from '../../src/base/tls-files.ts';
import { makeSelfSigned, type SelfSignedOptions } from '../../src/cli/self-signed-certificate.ts';

export const DAY_MS = 86_400_000;

/** Writes a self-signed pair as `NAME.cert.pem` and `NAME.key.pem` in the directory; valid from yesterday until in 100 days. */
export async function writePair(
  directory: string,
  name: string,
  options: Partial<SelfSignedOptions> = {},
): Promise<TlsPairFiles> {
  const certificateFile = path.join(directory, `${name}.cert.pem`);
  const keyFile = path.join(directory, `${name}.key.pem`);
  const nowMs = options.notBeforeMs ?? Date.now() - DAY_MS;
  const { certificate, key } = await makeSelfSigned({
    names: ['localhost', '127.0.0.1'],
    notBeforeMs: nowMs,
    notAfterMs: nowMs + 100 * DAY_MS,
    ...options,
  });
  writeFileSync(certificateFile, certificate);
  writeFileSync(keyFile, key, { mode: 0o600 });
  chmodSync(keyFile, 0o600);
  return { certificateFile, keyFile };
}
