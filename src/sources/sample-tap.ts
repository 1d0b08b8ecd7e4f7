import type { SourceName } from '../base/names.ts';

/** Sees raw samples before any test. It may change them in place: that is how failures are induced. */
export type SampleProbe = (source: SourceName, samples: Uint8Array) => void;

/**
 * A tap between the sources and the health tests, for recording and for induced failures. Closed, it costs one comparison.
 * Whatever a probe does to samples, they still have to pass the tests behind it: a tap can only make credit harder to get.
 */
export class SampleTap {
  #probe: SampleProbe | undefined;

  /** Puts a probe in; only one at a time. @throws RangeError when one is in. */
  open(probe: SampleProbe): void {
    if (this.#probe !== undefined) throw new RangeError('the sample tap is in use');
    this.#probe = probe;
  }

  close(): void {
    this.#probe = undefined;
  }

  pass(source: SourceName, samples: Uint8Array): void {
    this.#probe?.(source, samples);
  }
}
