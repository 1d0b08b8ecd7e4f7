import { randomBytes, type RandomSource } from '../base/random.ts';
import { isBound, KEY_BYTES, MAXIMUM_PAGE_KEYS, newRing, type CacheKeyRing } from './cache-key-ring.ts';

/**
 * Generations of the caches' key-encryption key, against older copies of the disk: the newest key in the archive has a number, and a
 * counter that no disk holds says which numbers are still good. One change of keys, from g to g + 1:
 *
 *   both archives g+1, g ─► pages under g+1 ─► both archives g+1 ─► counter g+1
 *   └ every key that a page may be under is there before it is   └ nothing needs g any more
 *
 *   the archive's generation   is                what opens
 *   above the counter          a change begun    every key it holds: the counter has not counted it yet
 *   the counter's              as it should be   the newest key alone: no page was under another when the counter counted
 *   below the counter          an older copy     nothing
 *
 * So a crash at any point leaves an archive that opens all pages, and a copy from before a key was made opens nothing once that key is
 * counted. A change that fails is begun anew with another key and number, and the counter then skips those that never came into force.
 */
export interface GenerationCounter {
  /** Its value and 32 bytes that name it; one that was never there is made. @throws EntropyError tpm-… */
  read(): Promise<CounterReading>;
  /** Counts until it is there, durably; nothing when it is. @throws EntropyError tpm-… */
  advanceTo(value: number): Promise<void>;
}

export interface CounterReading {
  readonly id: Buffer;
  readonly value: number;
}

export type Standing = 'unbound' | 'older' | 'current' | 'changing';

/** How the archive's keys stand to the counter. Those of another counter came here by the recovery key, and are bound anew. */
export function standingOf(ring: CacheKeyRing, { id, value }: CounterReading): Standing {
  if (!isBound(ring) || !ring.counterId.equals(id)) return 'unbound';
  if (ring.generation < value) return 'older';
  return ring.generation === value ? 'current' : 'changing';
}

/** The keys that pages may be under; of a ring that is not older. */
export function usable(ring: CacheKeyRing, reading: CounterReading): CacheKeyRing {
  return standingOf(ring, reading) === 'current' ? newestOnly(ring) : ring;
}

export function newestOnly(ring: CacheKeyRing): CacheKeyRing {
  return { ...ring, pageKeys: ring.pageKeys.slice(0, 1) };
}

/**
 * A ring with a new key in front, under a number that no key ever had; the others are shared, not copied. After as many changes that
 * failed as a ring holds keys for none is made: the newest is tried again, so that the counter never has far to go.
 */
export function withNewKey(
  ring: CacheKeyRing | undefined,
  reading: CounterReading,
  random: RandomSource,
): CacheKeyRing {
  const { id: counterId, value } = reading;
  if (ring === undefined) return newRing(random, { generation: value + 1, counterId });
  const { pageKeys } = usable(ring, reading);
  const reached = standingOf(ring, reading) === 'unbound' ? value : Math.max(value, ring.generation);
  if (pageKeys.length >= MAXIMUM_PAGE_KEYS || reached - value >= MAXIMUM_PAGE_KEYS)
    return { ...ring, counterId, generation: Math.max(reached, value + 1) };
  return {
    ...ring,
    counterId,
    generation: reached + 1,
    pageKeys: [randomBytes(random, KEY_BYTES), ...pageKeys],
  };
}
