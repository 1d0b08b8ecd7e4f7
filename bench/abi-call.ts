import { loadModule } from '../src/mixer/wasm-module.ts';
import { measure, type BenchRatio } from './harness.ts';
import { BUILD_DIRECTORY } from './module.ts';

const CALLS = 1000;

/** What crossing into the module costs: a query that only answers, and an extract that is refused. */
export function benchAbiCall(): BenchRatio[] {
  const { exports } = loadModule({ directory: BUILD_DIRECTORY, build: 'simd' });
  let sum = 0;
  const repeat = (call: () => number) => () => {
    for (let i = 0; i < CALLS; i++) sum += call();
  };
  measure('A call into the module', 'call', [
    { name: 'abiVersion()', unitsPerRun: CALLS, run: repeat(() => exports.abiVersion()) },
    { name: 'extract(), not ready', unitsPerRun: CALLS, run: repeat(() => exports.extract()) },
    { name: 'a JavaScript function', unitsPerRun: CALLS, run: repeat(() => 1) },
  ]);
  if (!Number.isFinite(sum)) throw new Error('unreachable: keeps the calls from being dropped');
  return [];
}
