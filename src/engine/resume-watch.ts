import type { Clock } from '../base/clock.ts';

/** A shorter sleep is within the resolution of the boot clock. */
const SHORTEST_SLEEP_MS = 1000;

/** Notices that the host was suspended: boot time ran on while monotonic time stood still. */
export class ResumeWatch {
  readonly #clock: Clock;
  #sleptMs: number;

  constructor(dependencies: { readonly clock: Clock }) {
    this.#clock = dependencies.clock;
    this.#sleptMs = this.#slept();
  }

  /** Milliseconds slept since the last call; 0 when the host stayed awake. */
  sleptSinceLastCall(): number {
    const sleptMs = this.#slept();
    const newlySleptMs = sleptMs - this.#sleptMs;
    if (newlySleptMs < SHORTEST_SLEEP_MS) return 0;
    this.#sleptMs = sleptMs;
    return newlySleptMs;
  }

  #slept(): number {
    return this.#clock.bootMs() - this.#clock.monotonicMs();
  }
}
