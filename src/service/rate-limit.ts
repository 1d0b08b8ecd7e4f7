import { MS_PER_SECOND } from '../base/units.ts';

export interface RateLimitOptions {
  readonly perSecond: number;
  /** What may come at once; it is there again after burst / perSecond seconds. */
  readonly burst: number;
}

/** A token bucket: so much a second, and a burst. It has no timer; the caller passes the time. */
export class RateLimit {
  readonly #options: RateLimitOptions;
  #tokens: number;
  #filledMs: number;

  constructor(options: RateLimitOptions, nowMs: number) {
    this.#options = options;
    this.#tokens = options.burst;
    this.#filledMs = nowMs;
  }

  /** What could be taken now. */
  available(nowMs: number): number {
    const { perSecond, burst } = this.#options;
    const elapsedMs = Math.max(0, nowMs - this.#filledMs);
    this.#tokens = Math.min(burst, this.#tokens + (elapsedMs * perSecond) / MS_PER_SECOND);
    this.#filledMs = nowMs;
    return this.#tokens;
  }

  /** Takes this many when they are there; false, and takes none, when they are not. */
  take(amount: number, nowMs: number): boolean {
    if (amount > this.available(nowMs)) return false;
    this.#tokens -= amount;
    return true;
  }

  /** What was taken turned out not to count. */
  giveBack(amount: number): void {
    this.#tokens = Math.min(this.#options.burst, this.#tokens + amount);
  }
}
