import type { RandomSource } from '../base/random.ts';

export interface BackOffOptions {
  /** The longest first wait. */
  readonly firstMs: number;
  /** No wait is longer. */
  readonly longestMs: number;
}

const UINT32_VALUES = 2 ** 32;

/**
 * How long to wait before the next try: anything from 0 to a bound that doubles with each failure in a row ("full jitter"), so that
 * many feeders that lost one host do not come back in step.
 */
export class BackOff {
  readonly #firstMs: number;
  readonly #longestMs: number;
  readonly #random: RandomSource;
  #failures = 0;

  constructor(options: BackOffOptions, dependencies: { readonly random: RandomSource }) {
    this.#firstMs = options.firstMs;
    this.#longestMs = options.longestMs;
    this.#random = dependencies.random;
  }

  /** Failures in a row so far. */
  get failures(): number {
    return this.#failures;
  }

  /** Counts a failure and gives the wait after it, in milliseconds. */
  next(): number {
    const boundMs = Math.min(this.#longestMs, this.#firstMs * 2 ** this.#failures);
    this.#failures += 1;
    return boundMs * this.#fraction();
  }

  /** It worked: the next failure is a first one. */
  reset(): void {
    this.#failures = 0;
  }

  /** Evenly from 0 to below 1. */
  #fraction(): number {
    const bytes = new Uint8Array(4);
    this.#random(bytes);
    return new DataView(bytes.buffer).getUint32(0) / UINT32_VALUES;
  }
}
