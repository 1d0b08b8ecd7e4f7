import { MS_PER_SECOND } from '../base/units.ts';

/** Draws of this long ago weigh 1/e of those of now. */
const TIME_CONSTANT_MS = 600_000;
/** What was drawn in less time than this tells nothing of the rate. */
const MINIMUM_OBSERVED_MS = 60_000;

const SECONDS_PER_HOUR = 3600;
/** Told when the runway falls below them; each again only after it rose above by a tenth. */
const WARNING_HOURS = [24, 1] as const;
const HYSTERESIS = 1.1;

export type WarningHours = (typeof WARNING_HOURS)[number];

/**
 * How long the cached external entropy lasts at the present draw: credited bits cached, over the exponentially weighted mean of
 * credited bits drawn a second. Time is passed in, in milliseconds of a clock that does not go back.
 */
export class Runway {
  readonly #startMs: number;
  readonly #told = new Set<WarningHours>();
  /** Units drawn, each weighted by its age at #atMs. */
  #weightedUnits = 0;
  #atMs: number;

  constructor(nowMs: number) {
    this.#startMs = nowMs;
    this.#atMs = nowMs;
  }

  /** Credit was drawn, in 1/1024 bit. */
  drew(units: number, nowMs: number): void {
    this.#weightedUnits = this.#decayed(nowMs) + units;
    this.#atMs = Math.max(this.#atMs, nowMs);
  }

  /** Credit drawn per second, in 1/1024 bit; 0 in the first minute, which is too short to tell. */
  unitsPerSecond(nowMs: number): number {
    const observedMs = nowMs - this.#startMs;
    if (observedMs < MINIMUM_OBSERVED_MS) return 0;
    // Of a long past the weights sum to the time constant; of a short one to less.
    const weightMs = TIME_CONSTANT_MS * -Math.expm1(-observedMs / TIME_CONSTANT_MS);
    return (this.#decayed(nowMs) / weightMs) * MS_PER_SECOND;
  }

  /** Seconds until this credit, in 1/1024 bit, is drawn; null while nothing is. */
  seconds(cachedUnits: number, nowMs: number): number | null {
    const rate = this.unitsPerSecond(nowMs);
    return rate > 0 ? cachedUnits / rate : null;
  }

  /** The warnings that are due now, the longest first. */
  warnings(cachedUnits: number, nowMs: number): WarningHours[] {
    const seconds = this.seconds(cachedUnits, nowMs) ?? Infinity;
    const due: WarningHours[] = [];
    for (const hours of WARNING_HOURS) {
      const limitSeconds = hours * SECONDS_PER_HOUR;
      if (seconds > limitSeconds * HYSTERESIS) this.#told.delete(hours);
      if (seconds >= limitSeconds || this.#told.has(hours)) continue;
      this.#told.add(hours);
      due.push(hours);
    }
    return due;
  }

  #decayed(nowMs: number): number {
    const ageMs = Math.max(0, nowMs - this.#atMs);
    return this.#weightedUnits * Math.exp(-ageMs / TIME_CONSTANT_MS);
  }
}
