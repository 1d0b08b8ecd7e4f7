import type { EngineOptions } from '../engine/engine.ts';

/** What the engine thread is given as it is made: paths only, so that it can load while the state is being opened. */
export interface EngineThreadData {
  readonly moduleDirectory: string;
  readonly addonPath: string;
  /** undefined where the kernel-writer is not built. */
  readonly kernelWriterPath: string | undefined;
  readonly mixerBuild: 'simd' | 'scalar' | 'debug' | undefined;
}

/** The first message to it: what the configuration says. The thread resolves the mask, since it knows the hardware. */
export type EngineStart = Omit<EngineOptions, 'runningMask'> & { readonly disableHwrng: boolean };
