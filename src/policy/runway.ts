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
 * How long the cached external entropy lasts at the present draw: credited bits cached, over what is drawn a second. That is what is
 * planned, or the exponentially weighted mean since the first draw if that is more. Time is passed in, in milliseconds of a clock
 * that does not go back.
 */
export class Runway {
  /** Of the first draw: what was before it says nothing of how fast is drawn. */
  #startMs: number | undefined;
  #plannedUnits = 0;
  readonly #told = new Set<WarningHours>();
  /** Units drawn, each weighted by its age at #atMs. */
  #weightedUnits = 0;
  #atMs = 0;

  /** Credit that will be drawn a second by what is configured, in 1/1024 bit. */
  plan(unitsPerSecond: number): void {
    this.#plannedUnits = unitsPerSecond;
  }

  /** Credit was drawn, in 1/1024 bit. */
  drew(units: number, nowMs: number): void {
    this.#startMs ??= nowMs;
    this.#weightedUnits = this.#decayed(nowMs) + units;
    this.#atMs = Math.max(this.#atMs, nowMs);
  }

  /** Credit drawn per second, in 1/1024 bit: as planned in the first minute, which is too short to tell. */
  unitsPerSecond(nowMs: number): number {
    return Math.max(this.#plannedUnits, this.#measured(nowMs));
  }

  #measured(nowMs: number): number {
    const observedMs = nowMs - (this.#startMs ?? nowMs);
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
