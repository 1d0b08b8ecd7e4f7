import type { Clock } from '../base/clock.ts';
import type { EventSink } from '../base/events.ts';
import type { CacheLevel } from '../base/names.ts';
import { CacheLevels, type CacheFill, type LevelOptions } from '../policy/levels.ts';
import { Runway } from '../policy/runway.ts';
import { ServingReserve } from '../policy/serving-reserve.ts';

/** What is told of the caches' fill: its level, how long it lasts, and what of it is kept from serving. Units are 1/1024 bit. */
export class CacheWatch {
  readonly #clock: Clock;
  readonly #events: EventSink;
  readonly #levels: CacheLevels;
  readonly #runway = new Runway();
  readonly #reserve = new ServingReserve();

  constructor(options: LevelOptions, dependencies: { readonly clock: Clock; readonly events: EventSink }) {
    this.#clock = dependencies.clock;
    this.#events = dependencies.events;
    this.#levels = new CacheLevels(options, dependencies);
  }

  get level(): CacheLevel {
    return this.#levels.level;
  }

  get watermarkBytes(): number {
    return this.#levels.watermarkBytes;
  }

  get drawUnitsPerSecond(): number {
    return this.#runway.unitsPerSecond(this.#clock.monotonicMs());
  }

  /** How long this much credit lasts at the present draw; null when nothing is drawn. */
  runwaySeconds(creditedUnits: number): number | null {
    return this.#runway.seconds(creditedUnits, this.#clock.monotonicMs());
  }

  /** What of this credit serving may take. */
  servableUnits(creditedUnits: number): number {
    return this.#reserve.servableUnits(creditedUnits);
  }

  /** The level that is found at start is no event. */
  begin(fill: CacheFill): void {
    this.#levels.begin(fill);
  }

  /** Credit that will be drawn a second by what is configured. */
  planDraw(unitsPerSecond: number): void {
    this.#runway.plan(unitsPerSecond);
  }

  drew(units: number): void {
    this.#runway.drew(units, this.#clock.monotonicMs());
  }

  /** Called when all that is cached is counted, so not while a segment is on its way. */
  judge(fill: CacheFill, creditedUnits: number): void {
    this.#reserve.observe(creditedUnits);
    for (const hours of this.#runway.warnings(creditedUnits, this.#clock.monotonicMs())) {
      this.#events.emit('entropy.runway.short', { hours });
    }
    this.#levels.judge(fill);
  }

  /** As `judge`: the caches themselves changed. */
  rebase(creditedUnits: number): void {
    this.#reserve.rebase(creditedUnits);
  }

  reconfigure(options: LevelOptions): void {
    this.#levels.reconfigure(options);
  }
}
