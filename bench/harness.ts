import Benchmark from 'benchmark';

/** One thing to measure. */
export interface BenchCase {
  readonly name: string;
  readonly run: () => void;
  /** How many units of the suite (blocks, bytes, calls) one run does. */
  readonly unitsPerRun: number;
}

export interface BenchResult {
  readonly name: string;
  readonly unitsPerSecond: number;
  /** Relative margin of error at 95 %, in percent; on a busy machine this tells how far to trust a figure. */
  readonly marginPercent: number;
}

/** A figure with what it should be; `met` is for the reader, not a gate: machines differ. */
export interface BenchRatio {
  readonly label: string;
  readonly ratio: number;
  readonly target?: number;
}

/**
 * Measures the cases in turn, several rounds of all of them, so that other work on the machine meets each alike; takes
 * medians, and prints a line for each. `unit` names what is counted.
 */
export function measure(
  title: string,
  unit: string,
  cases: readonly BenchCase[],
): ReadonlyMap<string, BenchResult> {
  console.log(`\n${title}`);
  const rounds = Array.from({ length: ROUNDS }, () => cases.map(measureCase));
  const results = cases.map((_, i) => medianOf(rounds.map((round) => round[i]!)));
  for (const { name, unitsPerSecond, marginPercent } of results) {
    console.log(`  ${name.padEnd(40)} ${describeRate(unitsPerSecond, unit)}  ±${marginPercent.toFixed(1)} %`);
  }
  return new Map(results.map((result) => [result.name, result]));
}

/** Rate of one case as a multiple of another's. */
export function ratioOf(results: ReadonlyMap<string, BenchResult>, name: string, baseline: string): number {
  const [measured, base] = [results.get(name), results.get(baseline)];
  if (measured === undefined || base === undefined) throw new RangeError(`no case ${name} or ${baseline}`);
  return measured.unitsPerSecond / base.unitsPerSecond;
}

export function printRatios(ratios: readonly BenchRatio[]): void {
  console.log('\nRatios');
  for (const { label, ratio, target } of ratios) {
    const verdict = target === undefined ? '' : `  target ${target}: ${ratio >= target ? 'met' : 'MISSED'}`;
    console.log(`  ${label.padEnd(64)} ${ratio.toFixed(2).padStart(8)}x${verdict}`);
  }
}

const ROUNDS = 3;

/** Benchmark.js spends at most this long on a case of a round, in seconds, after it has found its number of runs. */
const MAXIMUM_SECONDS = 0.5;

function measureCase({ name, run, unitsPerRun }: BenchCase): BenchResult {
  const benchmark = new Benchmark(name, run, { maxTime: MAXIMUM_SECONDS, async: false });
  benchmark.run();
  // Benchmark.js swallows what a case throws; a rate of nothing would look like a result.
  const failure: unknown = Reflect.get(benchmark, 'error');
  if (failure !== undefined) throw new Error(`${name} failed`, { cause: failure });
  return { name, unitsPerSecond: benchmark.hz * unitsPerRun, marginPercent: benchmark.stats.rme };
}

function medianOf(results: readonly BenchResult[]): BenchResult {
  return results.toSorted((a, b) => a.unitsPerSecond - b.unitsPerSecond)[results.length >> 1]!;
}

function describeRate(unitsPerSecond: number, unit: string): string {
  const perSecond =
    unit === 'B'
      ? `${(unitsPerSecond / 1e6).toFixed(1)} MB/s`
      : `${(1e9 / unitsPerSecond).toFixed(1)} ns/${unit}`;
  return perSecond.padStart(20);
}
