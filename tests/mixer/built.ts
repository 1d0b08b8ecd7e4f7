import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { Mixer, type MixerBuild } from '../../src/mixer/mixer.ts';
import { loadModule, type MixerModule } from '../../src/mixer/wasm-module.ts';

/** Repository root and the folder the module is built into. */
export const ROOT = path.join(path.dirname(fileURLToPath(import.meta.url)), '../..');
export const BUILD_DIRECTORY = path.join(ROOT, 'build');

/** Every claim about the module is tested on all three builds. */
export const BUILDS: readonly MixerBuild[] = ['simd', 'scalar', 'debug'];

export function freshModule(build: MixerBuild): MixerModule {
  return loadModule({ directory: BUILD_DIRECTORY, build });
}

export function freshMixer(build: MixerBuild): Mixer {
  return Mixer.load({ directory: BUILD_DIRECTORY, build });
}
