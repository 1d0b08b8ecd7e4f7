import { isEntropyError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { RandomSource } from '../base/random.ts';
import { isInMask } from '../policy/source-mask.ts';
import { cacheSizes, feedSettings } from '../service/apply-config.ts';
import { cacheKeys } from '../state/cache-key-ring.ts';
import { readInstallRecord } from '../state/install-record.ts';
import type { CacheStart, EngineStart } from './engine-thread-data.ts';
import type { OpenedState } from './state-directory.ts';

interface EngineStartDependencies {
  readonly random: RandomSource;
  readonly log: Log;
}

/** What the configuration says to the engine, with the key of the caches: the caller's to wipe. */
export async function engineStart(
  state: OpenedState,
  dependencies: EngineStartDependencies,
): Promise<EngineStart> {
  const { values } = state.config;
  return {
    configuredMask: values.entropySources,
    disableHwrng: values.disableHwrng,
    feed: feedSettings(values),
    servedLimitBitsPerSecond: values.servedDrawLimitBitsPerSecond,
    heldBecause: state.heldBecause,
    caches: isInMask(values.entropySources, 'external') ? await cacheStart(state, dependencies) : undefined,
  };
}

/** Its keys, each of which is a buffer of its own. */
export function movedWith({ caches }: EngineStart): ArrayBuffer[] {
  if (caches === undefined) return [];
  return [caches.keys.headerKey, ...caches.keys.pageKeys].map(({ buffer }) => buffer as ArrayBuffer);
}

/**
 * Undefined when the archive cannot keep the key: what was cached under a passing one would be lost at the next start. Undefined too when
 * it is not known who is enrolled, or whether the caches are older copies.
 */
async function cacheStart(
  { archive, config, enrolment, report, cachesHeldBack }: OpenedState,
  { random, log }: EngineStartDependencies,
): Promise<CacheStart | undefined> {
  try {
    const refused = enrolment.refused ?? cachesHeldBack;
    if (refused !== undefined) throw refused;
    const feeders = enrolment.list().map(({ id }) => id);
    const seed = readInstallRecord({ archive })?.seed ?? null;
    const installSeedBytes = seed === null || seed.usedUp ? undefined : seed.bytes;
    const { headerKey, pageKeys } = await cacheKeys({ archive, random });
    const sizes = cacheSizes(config.values);
    return {
      stateDirectory: report.directory,
      keys: { headerKey, pageKeys },
      sizes,
      feeders,
      installSeedBytes,
    };
  } catch (error) {
    if (!isEntropyError(error)) throw error;
    const { code, message } = error;
    log.error('external entropy is not received: the state does not allow it', { code, because: message });
    return undefined;
  }
}
