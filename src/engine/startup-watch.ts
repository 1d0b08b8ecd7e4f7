import type { Clock, Timer } from '../base/clock.ts';
import type { Collector } from './collector.ts';

export interface StartupWatchDependencies {
  readonly collector: Collector;
  readonly clock: Clock;
  /** Finds out whether a block can be had now. */
  readonly probe: () => void;
}

/** How often start-up tests look for samples; a stalled source is looked at once a second. */
const STARTUP_POLL_MS = 100;
const STALLED_POLL_MS = 1000;

/** Start-up tests of gathering sources need time; this looks after them until none is pending. */
export class StartupWatch {
  readonly #dependencies: StartupWatchDependencies;
  #timer: Timer | undefined;
  /** Another mask is in force, and whether a block can be had under it is still to be found out. */
  #probeDue = false;

  constructor(dependencies: StartupWatchDependencies) {
    this.#dependencies = dependencies;
  }

  /** Looks now, and goes on while it must. To be called whenever a start-up test may have begun. */
  look(): void {
    const { collector, clock } = this.#dependencies;
    this.#timer?.cancel();
    collector.advanceStartups();
    const pending = collector.sources.filter((source) => source.state.inStartup);
    if (this.#probeDue) this.#probe(pending.length === 0);
    if (pending.length === 0) return;
    const allStalled = pending.every((source) => source.state.name === 'stalled');
    this.#timer = clock.after(allStalled ? STALLED_POLL_MS : STARTUP_POLL_MS, () => this.look());
  }

  /** As `look`: another mask is in force, so each look also probes, up to the one that finds no test pending. */
  lookUnderNewMask(): void {
    this.#probeDue = true;
    this.look();
  }

  /** Looks no more by itself. */
  stop(): void {
    this.#timer?.cancel();
  }

  #probe(isLast: boolean): void {
    this.#probeDue = !isLast;
    this.#dependencies.probe();
  }
}
