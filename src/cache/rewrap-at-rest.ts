import { isEntropyError } from '../base/errors.ts';
import type { RandomSource } from '../base/random.ts';
import type { DurableFiles } from '../durable/durable-files.ts';
import { HeldKeys, type CacheKeys } from './cache-keys.ts';
import { CACHE_DIRECTORIES, FILE_KINDS } from './storage-place.ts';
import { DEFAULT_GEOMETRY, type Geometry } from './storage-layout.ts';
import { StorageVolume } from './storage-volume.ts';

export interface RewrapDependencies {
  readonly files: DurableFiles;
  readonly random: RandomSource;
  /** The first page key is the one that all pages are put under. */
  readonly keys: CacheKeys;
}

/**
 * Puts the key pages of caches that nobody has open under another key-encryption key. Files that are not of these keys stay as they are:
 * whoever opens them sets them aside. @throws EntropyError state-unwritable, state-unreadable, state-version-newer
 */
export async function rewrapAtRest(
  { files, random, keys }: RewrapDependencies,
  geometry: Geometry = DEFAULT_GEOMETRY,
): Promise<void> {
  const heldKeys = new HeldKeys(keys);
  try {
    for (const directory of CACHE_DIRECTORIES)
      await rewrapOne({ directory, geometry }, { files, random, heldKeys });
  } finally {
    heldKeys.wipe();
  }
}

async function rewrapOne(
  options: { readonly directory: string; readonly geometry: Geometry },
  dependencies: { readonly files: DurableFiles; readonly random: RandomSource; readonly heldKeys: HeldKeys },
): Promise<void> {
  const names = await dependencies.files.list(options.directory);
  if (!FILE_KINDS.every((kind) => names.includes(kind))) return;
  try {
    const { volume } = await StorageVolume.open({ ...options, pages: 0 }, dependencies);
    try {
      await volume.keys.rewrap(0, volume.keys.count);
    } finally {
      await volume.close();
    }
  } catch (error) {
    if (!isEntropyError(error, 'state-damaged')) throw error;
  }
}
