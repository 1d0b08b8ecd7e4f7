import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { Mixer, type MixerBuild, type SlotTests } from '../src/mixer/mixer.ts';
import { measure, ratioOf, type BenchRatio, type BenchResult } from './harness.ts';
import { BUILD_DIRECTORY } from './module.ts';

const SLOT = 4;
/** For 4 bits per byte: RCT and APT on bytes, the slower of the two symbol widths. */
const TESTS: SlotTests = {
  symbolBits: 8,
  rctIntermittent: 9,
  rctPermanent: 16,
  aptWindowSamples: 512,
  aptIntermittent: 71,
  aptPermanent: 91,
  maximumRateUnits: 0,
};

const CHUNK_BYTES = 65_536;
/** rngtest tests blocks of 20,000 bits and eats the first 32 bits of its input. */
const RNGTEST_BLOCK_BYTES = 2500;
const RNGTEST_BLOCKS = 8000;

/** RCT and APT over full-entropy bytes, against the same in TypeScript and against Debian's rngtest. */
export function benchHealthTests(): BenchRatio[] {
  const input = randomBytes(CHUNK_BYTES);
  const [simd, scalar] = [configured('simd'), configured('scalar')];
  const plain = new PlainTests(TESTS);
  const unitsPerRun = CHUNK_BYTES;
  const results = measure('Health tests (RCT and APT on bytes), 64 KiB', 'B', [
    { name: 'mixer, simd', unitsPerRun, run: () => simd.test(SLOT, input) },
    { name: 'mixer, scalar', unitsPerRun, run: () => scalar.test(SLOT, input) },
    { name: 'TypeScript', unitsPerRun, run: () => plain.test(input) },
  ]);
  return [
    { label: 'health tests: mixer / TypeScript', ratio: ratioOf(results, 'mixer, simd', 'TypeScript') },
    {
      label: 'health tests: mixer without SIMD / TypeScript',
      ratio: ratioOf(results, 'mixer, scalar', 'TypeScript'),
    },
    ...againstRngtest(results),
  ];
}

function configured(build: MixerBuild): Mixer {
  const mixer = Mixer.load({ directory: BUILD_DIRECTORY, build });
  mixer.configureSlot(SLOT, TESTS);
  return mixer;
}

/** What one would write without WebAssembly. */
class PlainTests {
  readonly #tests: SlotTests;
  #last = -1;
  #run = 0;
  #sample = 0;
  #count = 0;
  #seen = 0;

  constructor(tests: SlotTests) {
    this.#tests = tests;
  }

  test(bytes: Uint8Array): number {
    const { rctIntermittent, rctPermanent, aptWindowSamples, aptIntermittent, aptPermanent } = this.#tests;
    let last = this.#last;
    let run = this.#run;
    let sample = this.#sample;
    let count = this.#count;
    let seen = this.#seen;
    let verdict = 0;
    for (const byte of bytes) {
      if (byte === last) {
        run++;
        if (run >= rctIntermittent) verdict = Math.max(verdict, run >= rctPermanent ? 2 : 1);
      } else {
        last = byte;
        run = 1;
      }
      if (seen === 0) {
        sample = byte;
        count = 1;
      } else if (byte === sample) {
        count++;
        if (count >= aptIntermittent) verdict = Math.max(verdict, count >= aptPermanent ? 2 : 1);
      }
      if (++seen === aptWindowSamples) seen = 0;
    }
    this.#last = last;
    this.#run = run;
    this.#sample = sample;
    this.#count = count;
    this.#seen = seen;
    return verdict;
  }
}

/**
 * rngtest's own figure for its tests, which leaves its input out: the best for it. Its tests are others (FIPS 140-2 of
 * 2001: monobit, poker, runs, long run), so this compares cost per byte watched, not equal work.
 */
function againstRngtest(results: ReadonlyMap<string, BenchResult>): BenchRatio[] {
  const bytesPerSecond = rngtestBytesPerSecond();
  const mixer = results.get('mixer, simd');
  if (bytesPerSecond === undefined || mixer === undefined) {
    console.log('  rngtest is not installed (Debian: rng-tools5): not compared');
    return [];
  }
  console.log(
    `  ${'rngtest, as it reports itself'.padEnd(40)} ${(bytesPerSecond / 1e6).toFixed(1).padStart(15)} MB/s`,
  );
  return [
    { label: 'health tests: mixer / rngtest', ratio: mixer.unitsPerSecond / bytesPerSecond, target: 20 },
  ];
}

function rngtestBytesPerSecond(): number | undefined {
  const input = randomBytes(4 + RNGTEST_BLOCKS * RNGTEST_BLOCK_BYTES);
  const { stderr, error } = spawnSync('rngtest', ['-c', String(RNGTEST_BLOCKS)], { input, encoding: 'utf8' });
  if (error !== undefined) return undefined;
  const speed = /FIPS tests speed: \(min=[^;]+; avg=([\d.]+); max=[^)]+\)([KMG])ibits\/s/.exec(stderr);
  if (speed === null) throw new Error(`rngtest answered: ${stderr}`);
  const [, average = '', prefix = ''] = speed;
  return (Number(average) * 1024 ** ('KMG'.indexOf(prefix) + 1)) / 8;
}
