import { secretCopyOf } from '../base/bytes.ts';
import type { Clock } from '../base/clock.ts';
import type { EventBus } from '../base/events.ts';
import type { RandomSource } from '../base/random.ts';
import { rewrapAtRest } from '../cache/rewrap-at-rest.ts';
import type { CacheKeyReport } from '../contract/external.ts';
import type { EngineClient } from '../engine/engine-client.ts';
import { CacheRekey } from '../service/cache-rekey.ts';
import type { CacheKeyRing } from '../state/cache-key-ring.ts';
import type { OpenedState } from './state-directory.ts';

interface RekeyDependencies {
  readonly engine: EngineClient;
  readonly random: RandomSource;
  readonly clock: Clock;
  readonly bus: EventBus;
}

/**
 * The change of the caches' key, put together: the archive and the TPM are this thread's, the caches the engine's, where it has them open.
 * Undefined when it is not known whether the caches are older copies: a change would make them good.
 */
export function openRekey(
  state: OpenedState,
  { isExternal }: { readonly isExternal: boolean },
  dependencies: RekeyDependencies,
): CacheRekey | undefined {
  if (state.cachesHeldBack !== undefined) return undefined;
  const { engine, random } = dependencies;
  const inEngine = async ({ pageKeys: [key] }: CacheKeyRing): Promise<void> => {
    if (key === undefined) throw new Error('broken invariant: a ring has a key');
    // A copy that is moved into the thread, and wiped there.
    await engine.call('rekeyCaches', secretCopyOf(key));
  };
  const atRest = (keys: CacheKeyRing): Promise<void> => rewrapAtRest({ files: state.files, random, keys });
  return new CacheRekey({
    ...state,
    ...dependencies,
    counter: state.encryption.generation,
    rewrap: isExternal ? inEngine : atRest,
    spentSegments: () => (isExternal ? engine.call('spentSegments') : Promise.resolve(0)),
  });
}

/** What is told of a key that could not be compared with the TPM's count. */
export function unknownKey({ cachesHeldBack }: OpenedState): CacheKeyReport {
  return { keyGeneration: null, keyChangedMs: null, keyFailure: cachesHeldBack?.message ?? '' };
}
