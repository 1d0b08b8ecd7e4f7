import { MS_PER_SECOND } from '../base/units.ts';

/** Older observations count half once this much time was observed. */
const HALVE_AFTER_MS = 10_000;

/** Nothing at all in so long is an observation too. */
const BELIEVED_AFTER_MS = 5_000;

/** How fast a source gives bytes that count: expected until observed, then a running average over the last seconds observed. */
export class Pace {
  readonly #expectedBytesPerSecond: number;
  #bytes = 0;
  #ms = 0;

  constructor(expectedBytesPerSecond: number) {
    this.#expectedBytesPerSecond = expectedBytesPerSecond;
  }

  observe(bytes: number, ms: number): void {
    this.#bytes += bytes;
    this.#ms += ms;
    if (this.#ms <= HALVE_AFTER_MS) return;
    this.#bytes /= 2;
    this.#ms /= 2;
  }

  get bytesPerSecond(): number {
    if (this.#ms === 0 || (this.#bytes === 0 && this.#ms < BELIEVED_AFTER_MS))
      return this.#expectedBytesPerSecond;
    return (this.#bytes * MS_PER_SECOND) / this.#ms;
  }
}
