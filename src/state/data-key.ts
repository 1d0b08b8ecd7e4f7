import { EntropyError } from '../base/errors.ts';
import { randomBytes, type RandomSource } from '../base/random.ts';
import type { StateArchive } from './state-archive.ts';

/** Keys of what is kept outside the archive, beside those of the caches (cache-key-ring.ts): seen payloads are digested under it. */
export const DATA_KEYS = ['seen-key'] as const;
export type DataKeyName = (typeof DATA_KEYS)[number];

const KEY_BYTES = 32;

/**
 * A random key of 32 bytes that the archive holds, made on first use: a copy, the caller's to wipe. It outlives changes of the
 * archive's own key.
 *
 * @throws EntropyError state-unwritable, state-damaged, and what made the archive be refused
 */
export async function dataKey(
  name: DataKeyName,
  dependencies: { readonly archive: StateArchive; readonly random: RandomSource },
): Promise<Buffer> {
  const { archive, random } = dependencies;
  if (archive.refused !== undefined) throw archive.refused;
  const known = archive.document(name);
  if (known !== undefined) {
    if (known.length !== KEY_BYTES) throw new EntropyError('state-damaged', `${name} is not a key`);
    return known;
  }
  const key = randomBytes(random, KEY_BYTES);
  await archive.save(name, key);
  return key;
}
