import { wipe } from '../base/bytes.ts';
import type { Clock } from '../base/clock.ts';
import type { Counters } from '../base/counters.ts';
import { messageOf } from '../base/errors.ts';
import { NOTHING_READ, type NoiseSource, type SampleRead } from '../sources/noise-source.ts';
import type { SampleTap } from '../sources/sample-tap.ts';
import { Pace } from './pace.ts';

/** Two reads of a gathering source further apart than this say nothing of its pace: its buffer was full in between. */
const PACE_WINDOW_MS = 2000;

/** Largest piece handled at once, in bytes: the mixer's input segment. */
export const PIECE_LIMIT_BYTES = 65_536;

export interface SampleReaderDependencies {
  readonly source: NoiseSource;
  readonly tap: SampleTap;
  readonly clock: Clock;
  readonly counters: Counters;
  /** Scratch for raw samples, PIECE_LIMIT_BYTES long; shared, and zero between calls. */
  readonly scratch: Uint8Array;
  /** The source must be taken for totally failed; what it gave with that is discarded. */
  readonly onFailed: (because: string) => void;
  /** It had nothing ready; told why, where nothing is on its way either. */
  readonly onNothing: (empty: string | undefined) => void;
}

/** Reads one source into the scratch, a piece at a time, and measures its pace. A source that throws has failed. */
export class SampleReader {
  readonly #dependencies: SampleReaderDependencies;
  readonly #pace: Pace;
  #lastReadMs = -Infinity;

  constructor(dependencies: SampleReaderDependencies) {
    this.#dependencies = dependencies;
    this.#pace = new Pace(dependencies.source.expectedBytesPerSecond);
  }

  /** Creditable bytes, as the source was seen to give them. */
  get bytesPerSecond(): number {
    return this.#pace.bytesPerSecond;
  }

  /** Reads whole samples, hands over what came, through the tap, and wipes it whatever happens. Returns the bytes read. */
  withSamples(maximumBytes: number, use: (samples: Uint8Array, read: SampleRead) => void): number {
    const { source, tap, scratch, onFailed, onNothing } = this.#dependencies;
    const target = scratch.subarray(0, Math.min(wholeSamples(maximumBytes, source), PIECE_LIMIT_BYTES));
    try {
      const read = this.#read(target);
      if (read.failure !== '') {
        onFailed(read.failure);
        return 0;
      }
      if (read.bytes === 0) {
        onNothing(read.empty);
        return 0;
      }
      const samples = target.subarray(0, read.bytes);
      tap.pass(source.name, samples);
      use(samples, read);
      return read.bytes;
    } finally {
      wipe(target);
    }
  }

  #read(target: Uint8Array): SampleRead {
    const { source, clock, counters } = this.#dependencies;
    const beforeMs = clock.monotonicMs();
    const sinceMs = beforeMs - this.#lastReadMs;
    this.#lastReadMs = beforeMs;
    let read: SampleRead;
    try {
      read = source.read(target);
    } catch (error) {
      counters.add('ingest.faults');
      return { ...NOTHING_READ, failure: `the source threw: ${messageOf(error)}` };
    }
    if (read.bytes < target.length && source.instant) counters.add('ingest.faults');
    if (source.instant) this.#pace.observe(read.creditableBytes, clock.monotonicMs() - beforeMs);
    else if (sinceMs <= PACE_WINDOW_MS) this.#pace.observe(read.creditableBytes, sinceMs);
    return read;
  }
}

/** The shortest run of whole samples that has so many bytes. */
function wholeSamples(bytes: number, source: NoiseSource): number {
  return Math.ceil(bytes / source.sampleBytes) * source.sampleBytes;
}
