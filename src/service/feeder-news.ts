import type { Clock } from '../base/clock.ts';
import type { EventSink } from '../base/events.ts';
import { RateLimit } from './rate-limit.ts';

export interface FeederNewsDependencies {
  readonly events: EventSink;
  readonly clock: Clock;
}

/** What a feeder may do over and over, and how often in a row that is told at once; after that it is told once a minute. */
const BURSTS = {
  'feeder.connected': 8,
  'feeder.disconnected': 8,
  'feeder.duplicate': 1,
  'feeder.refused': 8,
} as const;

const PER_SECOND = 1 / 60;
/** Of 1,024 feeders each; when enrolling and revoking has left more than that behind, all is forgotten. */
const MAXIMUM_KEPT = 1024 * Object.keys(BURSTS).length;

interface Told {
  readonly limit: RateLimit;
  /** Times it happened since it was told last. */
  untold: number;
}

/** Events of single feeders, so few of each that one feeder in a loop does not push out what the others did. Counters count them all. */
export class FeederNews {
  readonly #events: EventSink;
  readonly #clock: Clock;
  readonly #told = new Map<string, Told>();

  constructor(dependencies: FeederNewsDependencies) {
    this.#events = dependencies.events;
    this.#clock = dependencies.clock;
  }

  /** Tells it now or not at all; `count` says how often it happened since it was told last, when that was more than once. */
  tell(id: keyof typeof BURSTS, feeder: string, detail: Readonly<Record<string, string>> = {}): void {
    const told = this.#toldOf(id, feeder);
    told.untold++;
    if (!told.limit.take(1, this.#clock.monotonicMs())) return;
    const count = told.untold > 1 ? { count: told.untold } : {};
    told.untold = 0;
    this.#events.emit(id, { feeder, ...detail, ...count });
  }

  #toldOf(id: keyof typeof BURSTS, feeder: string): Told {
    const key = `${id} ${feeder}`;
    const known = this.#told.get(key);
    if (known !== undefined) return known;
    if (this.#told.size >= MAXIMUM_KEPT) this.#told.clear();
    const options = { perSecond: PER_SECOND, burst: BURSTS[id] };
    const told = { limit: new RateLimit(options, this.#clock.monotonicMs()), untold: 0 };
    this.#told.set(key, told);
    return told;
  }
}
