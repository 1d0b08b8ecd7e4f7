import type { Clock } from '../base/clock.ts';
import { isEntropyError, type EntropyError } from '../base/errors.ts';
import type { EventSink } from '../base/events.ts';
import type { RandomSource } from '../base/random.ts';
import {
  CACHE_KEYS,
  encodeCacheKeys,
  isBound,
  newRing,
  readCacheKeys,
  wipeRing,
  type CacheKeyRing,
} from './cache-key-ring.ts';
import { saveInBoth } from './change-cache-key.ts';
import { newestOnly, standingOf, type CounterReading, type GenerationCounter } from './generation.ts';
import { decodeRecoveryNotes, encodeRecoveryNotes, RECOVERY_NOTES } from './recovery-notes.ts';
import { afterRollback } from './rollback.ts';
import type { StateArchive } from './state-archive.ts';

export interface OlderCopyDependencies {
  readonly archive: StateArchive;
  /** Undefined where none counts: in mode NONE every copy is as good as the last. */
  readonly counter: GenerationCounter | undefined;
  readonly random: RandomSource;
  readonly clock: Clock;
  readonly events: EventSink;
}

/**
 * At a start, before anything in the archive is trusted: whether it is an older copy of itself, put back. Then its caches are not used,
 * nobody who could act on this host is let in until an operator says so (rollback.ts), and that is told. One that cannot even be written
 * is refused.
 *
 * Gives why the caches must not be used although nothing is wrong with the archive: the counter cannot be read. Undefined when they may.
 */
export async function settleOlderCopy(
  dependencies: OlderCopyDependencies,
): Promise<EntropyError | undefined> {
  const { archive, counter, events } = dependencies;
  if (counter === undefined || archive.refused !== undefined) return undefined;
  let ring: CacheKeyRing | undefined;
  try {
    ring = readCacheKeys({ archive });
    if (ring === undefined || !isBound(ring)) return undefined;
    const reading = await counter.read();
    await settle(ring, reading, dependencies);
    return undefined;
  } catch (error) {
    if (!isEntropyError(error)) throw error;
    events.emit('cache.generation.unknown', { code: error.code, because: error.message });
    return error;
  } finally {
    if (ring !== undefined) wipeRing(ring);
  }
}

async function settle(
  ring: CacheKeyRing,
  reading: CounterReading,
  dependencies: OlderCopyDependencies,
): Promise<void> {
  const standing = standingOf(ring, reading);
  if (standing === 'older') return suspendAll(ring, reading, dependencies);
  const { archive } = dependencies;
  if (standing === 'current' && ring.pageKeys.length > 1) await saveInBoth(archive, newestOnly(ring));
}

async function suspendAll(
  { generation }: CacheKeyRing,
  { id: counterId, value }: CounterReading,
  { archive, random, clock, events }: OlderCopyDependencies,
): Promise<void> {
  events.emit('state.older', { generation, counter: value });
  try {
    const names = archive.documentNames();
    const after = afterRollback(
      new Map(names.map((name) => [name, archive.document(name) ?? Buffer.alloc(0)])),
    );
    const ring = newRing(random, { generation: value, counterId });
    after.set(CACHE_KEYS, encodeCacheKeys(ring));
    wipeRing(ring);
    after.set(
      RECOVERY_NOTES,
      encodeRecoveryNotes({
        ...decodeRecoveryNotes(after.get(RECOVERY_NOTES)),
        recovered: 'older-copy',
        recoveredMs: clock.wallMs(),
      }),
    );
    await archive.replaceAll(after);
    await archive.backup();
  } catch (error) {
    if (!isEntropyError(error)) throw error;
    await archive.refuse(error);
  }
}
