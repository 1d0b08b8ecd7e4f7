import { EntropyError, isEntropyError } from '../base/errors.ts';
import { perSource } from '../base/names.ts';
import type { RandomSource } from '../base/random.ts';
import { CREDIT_UNITS_PER_BIT } from '../base/units.ts';
import type { FeedRecord, LedgerReport, LedgerTotals } from '../contract/outputs.ts';
import type { DurableFiles } from '../durable/durable-files.ts';
import { RECORD_OVERHEAD_BYTES } from '../durable/journal-format.ts';
import { Journal } from '../durable/journal.ts';
import { SerialQueue } from '../durable/serial-queue.ts';
import {
  addFeed,
  assertFeed,
  decodeFeed,
  decodeTotals,
  encodeFeed,
  encodeTotals,
  MAXIMUM_ENTRY_BYTES,
  NO_FEEDS,
  type FeedTotals,
} from './feed-record.ts';

export interface FeedLedgerOptions {
  /** Records kept at most, 2 to 65,536; the totals count all there ever were. */
  readonly capacity: number;
}

export interface FeedLedgerDependencies {
  readonly files: DurableFiles;
  readonly random: RandomSource;
}

const PATH = 'feed-ledger';
const SET_ASIDE = 'feed-ledger.damaged';
const KIND = 'feed ledger';
/** Bounds the file whatever capacity an earlier start had. */
const MAXIMUM_CAPACITY = 65_536;
const MAXIMUM_BYTES = (MAXIMUM_CAPACITY + 2) * (MAXIMUM_ENTRY_BYTES + RECORD_OVERHEAD_BYTES);

interface Content {
  readonly totals: FeedTotals;
  readonly records: FeedRecord[];
}

/**
 * What was given to the kernel, feed by feed: kept across restarts, bounded, with running totals.
 *
 * The journal holds the totals as they stood at its beginning, then one record per feed. When it is full, a new one
 * begins with the newest half. After a failed write memory is ahead of the disk, and the next append writes it whole.
 */
export class FeedLedger {
  readonly #capacity: number;
  readonly #journal: Journal;
  readonly #queue = new SerialQueue();
  /** Why the ledger before this one was set aside, as feed-ledger.damaged; undefined in all other cases. */
  readonly setAside: EntropyError | undefined;
  /** Size of a half-written record that a crash left, and that was cut off; 0 after an orderly end. */
  readonly cutBytes: number;
  #records: FeedRecord[];
  #totals: FeedTotals;

  private constructor(
    options: FeedLedgerOptions,
    journal: Journal,
    content: Content,
    found: { readonly setAside: EntropyError | undefined; readonly cutBytes: number },
  ) {
    this.#capacity = options.capacity;
    this.#journal = journal;
    this.#totals = content.totals;
    this.#records = content.records;
    this.setAside = found.setAside;
    this.cutBytes = found.cutBytes;
  }

  /**
   * Opens the ledger or begins one. A damaged one is set aside and a new one begun; `setAside` tells. Throws
   * `state-version-newer`, `state-unreadable`.
   */
  static async open(options: FeedLedgerOptions, dependencies: FeedLedgerDependencies): Promise<FeedLedger> {
    if (!Number.isInteger(options.capacity) || options.capacity < 2 || options.capacity > MAXIMUM_CAPACITY) {
      throw new RangeError(`a ledger keeps 2 to ${MAXIMUM_CAPACITY} records`);
    }
    try {
      return await FeedLedger.#open(options, dependencies, undefined);
    } catch (error) {
      if (!isEntropyError(error, 'state-damaged')) throw error;
      await dependencies.files.rename(PATH, SET_ASIDE);
      return FeedLedger.#open(options, dependencies, error);
    }
  }

  static async #open(
    options: FeedLedgerOptions,
    dependencies: FeedLedgerDependencies,
    setAside: EntropyError | undefined,
  ): Promise<FeedLedger> {
    const journalOptions = {
      path: PATH,
      kind: KIND,
      maximumBytes: MAXIMUM_BYTES,
      initial: [encodeTotals(NO_FEEDS)],
    };
    const { journal, records, cutBytes } = await Journal.open(journalOptions, dependencies);
    try {
      return new FeedLedger(options, journal, decode(records), { setAside, cutBytes });
    } catch (error) {
      await journal.close();
      throw error;
    }
  }

  /**
   * Records a feed under the next sequence number; durable when it resolves. `state-unwritable` when the disk fails:
   * the feed then counts in memory, and is written with the next one. RangeError for figures that no feed has.
   */
  append(feed: Omit<FeedRecord, 'sequence'>): Promise<FeedRecord> {
    return this.#queue.run(async () => {
      const record = assertFeed({ ...feed, sequence: this.#totals.feeds + 1 });
      this.#totals = addFeed(this.#totals, record, 1);
      this.#records.push(record);
      if (this.#journal.failed || this.#records.length > this.#capacity) await this.#rotate();
      else await this.#journal.append(encodeFeed(record));
      return record;
    });
  }

  /** Totals, and the newest records up to a limit, newest first. */
  report(limit: number): LedgerReport {
    const records = limit > 0 ? this.#records.slice(-limit).reverse() : [];
    return { totals: reported(this.#totals), records };
  }

  /** Waits for what is being written and lets go of the file. */
  close(): Promise<void> {
    return this.#queue.run(() => this.#journal.close());
  }

  async #rotate(): Promise<void> {
    if (this.#records.length > this.#capacity)
      this.#records = this.#records.slice(-Math.ceil(this.#capacity / 2));
    const before = this.#records.reduce((totals, record) => addFeed(totals, record, -1), this.#totals);
    await this.#journal.rotate([encodeTotals(before), ...this.#records.map(encodeFeed)]);
  }
}

function decode(entries: readonly Buffer[]): Content {
  const records = entries.slice(1).map(decodeFeed);
  const totals = records.reduce((before, record) => addFeed(before, record, 1), decodeTotals(entries[0]));
  return { totals, records };
}

function reported({ creditedUnits, ...others }: FeedTotals): LedgerTotals {
  return { ...others, creditedBits: perSource((name) => Number(creditedUnits[name]) / CREDIT_UNITS_PER_BIT) };
}
