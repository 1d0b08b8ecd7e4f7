import type { CacheKeys } from '../cache/cache-keys.ts';
import type { CacheSizes } from '../engine/engine-messages.ts';
import type { EngineOptions } from '../engine/engine.ts';

/** What the engine thread is given as it is made: paths only, so that it can load while the state is being opened. */
export interface EngineThreadData {
  readonly moduleDirectory: string;
  readonly addonPath: string;
  /** undefined where the kernel-writer is not built. */
  readonly kernelWriterPath: string | undefined;
  readonly mixerBuild: 'simd' | 'scalar' | 'debug' | undefined;
}

/** The caches of external entropy, opened by the thread when bit 8 is in the mask. */
export interface CacheStart {
  readonly stateDirectory: string;
  /** Wiped by the thread once the caches are open. */
  readonly keys: CacheKeys;
  readonly sizes: CacheSizes;
  /** Ids of the enrolled feeders: what others left in the caches is not used. */
  readonly feeders: readonly number[];
  /** Bytes of the whole install seed; undefined when there is none, or it is used up. */
  readonly installSeedBytes: number | undefined;
}

/** The first message to it: what the configuration says. The thread resolves the mask, since it knows the hardware. */
export type EngineStart = Omit<EngineOptions, 'runningMask'> & {
  readonly disableHwrng: boolean;
  /** Undefined when the state was refused: without its key nothing can be cached. */
  readonly caches: CacheStart | undefined;
};
