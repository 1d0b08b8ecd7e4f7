import { wipe } from '../base/bytes.ts';
import type { RandomSource } from '../base/random.ts';
import { CACHE_KEYS, encodeCacheKeys, readCacheKeys, wipeRing, type CacheKeyRing } from './cache-key-ring.ts';
import { newestOnly, withNewKey, type GenerationCounter } from './generation.ts';
import type { StateArchive } from './state-archive.ts';

export interface ChangeCacheKeyDependencies {
  readonly archive: StateArchive;
  readonly counter: GenerationCounter;
  readonly random: RandomSource;
  /** Puts the key pages of all caches under the first key of the ring, whichever of its keys they were under; durable when it resolves. */
  readonly rewrap: (ring: CacheKeyRing) => Promise<void>;
}

/**
 * Gives the caches another key-encryption key, in the order that generation.ts draws, and gives its generation. The archive must not be an
 * older copy. When it fails the caches go on under what there is by then, and everything opens: call it again later.
 *
 * @throws EntropyError state-unwritable, state-unreadable, tpm-…, engine-…, and what made the archive be refused
 */
export async function changeCacheKey(dependencies: ChangeCacheKeyDependencies): Promise<number> {
  const { archive, counter, random, rewrap } = dependencies;
  if (archive.refused !== undefined) throw archive.refused;
  const reading = await counter.read();
  const before = readCacheKeys({ archive });
  const ring = withNewKey(before, reading, random);
  try {
    await saveInBoth(archive, ring);
    await rewrap(ring);
    await saveInBoth(archive, newestOnly(ring));
    await counter.advanceTo(ring.generation);
    return ring.generation;
  } finally {
    wipeRing(ring);
    if (before !== undefined) wipeRing(before);
  }
}

/** The second write makes of the current archive the one before. */
export async function saveInBoth(archive: StateArchive, ring: CacheKeyRing): Promise<void> {
  const document = encodeCacheKeys(ring);
  try {
    await archive.save(CACHE_KEYS, document);
  } finally {
    wipe(document);
  }
  await archive.backup();
}
