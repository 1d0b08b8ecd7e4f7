import { rename, unlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { EntropyError, messageOf } from '../base/errors.ts';

const NAME = 'address';
const MODE = 0o644;

/** Tells other programs where the daemon listens: one line, in a file that is there whole or not at all. */
export async function writeAddressFile(runtimeDirectory: string, address: string): Promise<void> {
  const place = path.join(runtimeDirectory, NAME);
  try {
    await writeFile(`${place}.new`, `${address}\n`, { mode: MODE });
    await rename(`${place}.new`, place);
  } catch (error) {
    throw new EntropyError('runtime-dir-unusable', `cannot write ${place}: ${messageOf(error)}`);
  }
}

/** Nothing depends on its success: the next daemon replaces what stays. */
export async function removeAddressFile(runtimeDirectory: string): Promise<void> {
  await unlink(path.join(runtimeDirectory, NAME)).catch(() => undefined);
}
