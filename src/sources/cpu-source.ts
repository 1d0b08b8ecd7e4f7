import type { FillFault, FillResult } from '../hardware/hardware.ts';
import type { NoiseSource, SampleRead } from './noise-source.ts';

export interface CpuSourceOptions {
  readonly name: 'rdrand' | 'rdseed';
  /** Empty, or why the instruction must not be used here. */
  readonly unavailable: string;
  /** Pace to expect, in bytes per second: a cautious figure, replaced by measurement. */
  readonly expectedBytesPerSecond: number;
}

const WORD_BYTES = 8;

/** RDSEED and RDRAND run dry for microseconds only; a tenth of a second is already odd. */
const EXPECTED_SAMPLE_MS = 100;

/** What of a fill is a total failure. Running dry is none: less was given, that is all. */
const FAILURES: Readonly<Record<FillFault, string>> = {
  none: '',
  underflow: '',
  unavailable: 'the instruction is not there any more',
  'stuck-word': 'all-zero or all-one words twice in a row',
};

/**
 * RDRAND or RDSEED through the native addon: 64-bit form, carry checked, bounded retries. What comes is conditioned by the CPU
 * already, so the tests behind it are sanity tests for total failure, not tests of a noise source.
 */
export class CpuSource implements NoiseSource {
  readonly name: 'rdrand' | 'rdseed';
  readonly unavailable: string;
  readonly sampleBytes = WORD_BYTES;
  readonly instant = true;
  readonly expectedSampleMs = EXPECTED_SAMPLE_MS;
  readonly expectedBytesPerSecond: number;
  readonly #fill: (target: Uint8Array) => FillResult;

  constructor(
    options: CpuSourceOptions,
    dependencies: { readonly fill: (target: Uint8Array) => FillResult },
  ) {
    this.name = options.name;
    this.unavailable = options.unavailable;
    this.expectedBytesPerSecond = options.expectedBytesPerSecond;
    this.#fill = dependencies.fill;
  }

  open(): void {
    // Words are made when they are read.
  }

  read(target: Uint8Array): SampleRead {
    const { bytes, fault } = this.#fill(target);
    return { bytes, creditableBytes: bytes, failure: FAILURES[fault] };
  }

  close(): void {
    // Nothing was gathered.
  }
}
