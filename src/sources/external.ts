import { NOTHING_READ, type NoiseSource, type SampleRead } from './noise-source.ts';

/**
 * The place of the external source (bit 8). No feed can be received yet, and the source says so: it is unavailable, never imitated.
 */
export class ExternalSource implements NoiseSource {
  readonly name = 'external';
  readonly unavailable = 'external entropy cannot be received yet';
  readonly sampleBytes = 1;
  readonly instant = false;
  readonly expectedSampleMs = Infinity;
  readonly expectedBytesPerSecond = 0;

  open(): void {
    // Nothing to gather.
  }

  read(): SampleRead {
    return NOTHING_READ;
  }

  close(): void {
    // Nothing was gathered.
  }
}
