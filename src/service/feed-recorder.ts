import type { Counters } from '../base/counters.ts';
import { messageOf } from '../base/errors.ts';
import type { EventSink } from '../base/events.ts';
import type { FeedLedger } from '../kernel/feed-ledger.ts';
import type { Feed } from '../kernel/pool-feeder.ts';

export interface FeedRecorderDependencies {
  readonly ledger: FeedLedger;
  readonly events: EventSink;
  readonly counters: Counters;
}

/** Writes what the engine fed into the ledger. A disk that fails is told, and the feed stays in the running totals. */
export class FeedRecorder {
  readonly #dependencies: FeedRecorderDependencies;

  constructor(dependencies: FeedRecorderDependencies) {
    this.#dependencies = dependencies;
  }

  async record(feed: Feed): Promise<void> {
    const { ledger, events, counters } = this.#dependencies;
    try {
      await ledger.append(feed);
    } catch (error) {
      counters.add('ledger.failures');
      events.emit('ledger.failed', { because: messageOf(error) });
    }
  }
}
