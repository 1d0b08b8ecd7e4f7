import type { Clock } from '../base/clock.ts';
import { isEntropyError, type EntropyError } from '../base/errors.ts';
import type { EventSink } from '../base/events.ts';
import { randomBytes, type RandomSource } from '../base/random.ts';
import { replaceFile } from '../durable/atomic-file.ts';
import type { DurableFiles } from '../durable/durable-files.ts';
import { encodeJournal, IDENTITY_BYTES, RECORD_OVERHEAD_BYTES } from '../durable/journal-format.ts';
import { Journal } from '../durable/journal.ts';
import {
  decodeMarks,
  encodeClosed,
  encodeMark,
  EVERY_FEEDER,
  MARK_BYTES,
  type Marks,
} from './mark-record.ts';

export interface SequenceMarksOptions {
  /** The journal never exceeds it; 1 MiB when not given, room for 41,000 feeders. */
  readonly maximumBytes?: number;
  /** The present generation of the caches' key; 0, as when not given, where none is counted. */
  readonly generation?: () => number;
}

export interface SequenceMarksDependencies {
  readonly files: DurableFiles;
  readonly random: RandomSource;
  readonly clock: Clock;
  readonly events: EventSink;
}

const DIRECTORY = 'cache';
const PATH = `${DIRECTORY}/sequence-marks`;
const SET_ASIDE = `${PATH}.damaged`;
const KIND = 'sequence marks';
const DEFAULT_MAXIMUM_BYTES = 1_048_576;

/** So many sequences are reserved at once, and again when half of them are used: a frame then never waits for the disk. */
const RESERVED_AHEAD = 1024;
/** Above every sequence that a feeder can have reached since 1970: it would have to send a frame each microsecond. */
const SEQUENCES_PER_MS = 1024;

interface Mark {
  /** The highest sequence accepted; at start, the highest that may have been. */
  accepted: number;
  /** Up to here a frame is accepted at once. */
  reserved: number;
  /** Up to here a reservation was begun: what a new journal must hold, for it takes the place of what is under way. */
  requested: number;
  reserving: Promise<void> | undefined;
}

/**
 * The highest sequence accepted of each feeder, so that a session begins above all of them and none is ever accepted twice.
 *
 * Marks are written ahead: a crash skips up to 1,024 sequences, which the next session is told, and repeats none. Whether the last
 * process closed in order is in the journal too. If it did not, or the journal is damaged (it is set aside then), sessions
 * begin at the wall clock, 1,024 a millisecond, when that is above the marks. So none falls back for a disk that refused
 * writes before the crash, while the feed went on in memory, nor for a journal that was closed under another generation of the caches'
 * key than the archive has: it is an older copy. What remains: these, and a wall clock set back.
 */
export class SequenceMarks {
  readonly #maximumBytes: number;
  readonly #generation: () => number;
  readonly #journal: Journal;
  readonly #events: EventSink;
  readonly #marks = new Map<number, Mark>();
  /** This process has written, so that after a crash the next one knows that there was one. */
  #begun = false;
  #failure: EntropyError | undefined;

  private constructor(
    { maximumBytes, generation }: Required<SequenceMarksOptions>,
    { journal, marks }: OpenedMarks,
    floor: number,
    events: EventSink,
  ) {
    this.#maximumBytes = maximumBytes;
    this.#generation = generation;
    this.#journal = journal;
    this.#events = events;
    // The floor of earlier starts still holds for feeders whose marks were lost, or never written.
    this.#marks.set(EVERY_FEEDER, markAt(floor));
    for (const [feeder, sequence] of marks.accepted)
      this.#marks.set(feeder, markAt(feeder === EVERY_FEEDER ? Math.max(sequence, floor) : sequence));
  }

  /** Opens the marks or begins them. Throws `state-version-newer`, `state-unreadable`; `state-unwritable` when damaged ones cannot be replaced. */
  static async open(
    dependencies: SequenceMarksDependencies,
    options: SequenceMarksOptions = {},
  ): Promise<SequenceMarks> {
    const { maximumBytes = DEFAULT_MAXIMUM_BYTES, generation = (): number => 0 } = options;
    const settled = { maximumBytes, generation };
    const { files, clock, events } = dependencies;
    await files.makeDirectory(DIRECTORY).catch(ignore);
    await files.syncDirectory('').catch(ignore);
    const opened = await openJournal(settled, dependencies).catch(async (error: unknown) => {
      if (!isEntropyError(error, 'state-damaged')) throw error;
      await startAnew(dependencies);
      events.emit('cache.damaged', { file: PATH, setAside: SET_ASIDE, code: error.code });
      return openJournal(settled, dependencies);
    });
    const exact = opened.marks.closedGeneration === generation();
    const floor = exact ? 0 : Math.floor(clock.wallMs()) * SEQUENCES_PER_MS;
    return new SequenceMarks(settled, opened, floor, events);
  }

  /** Why marks are kept in memory alone; undefined while they can be written. */
  get failure(): EntropyError | undefined {
    return this.#failure;
  }

  /** The sequence with which a session of this feeder begins: above every one that was accepted. */
  next(feeder: number): number {
    return Math.max(this.#markOf(feeder).accepted, this.#markOf(EVERY_FEEDER).accepted) + 1;
  }

  /**
   * Accepts a sequence. Nearly always at once, and undefined; else a promise that resolves when so much is reserved. From then on no
   * session begins at or below it. RangeError unless it is `next(feeder)` or later.
   *
   * @throws EntropyError state-unwritable (rejects): nothing could be written since the process began; later the feed
   *   goes on in memory, and `failure` tells
   */
  accept(feeder: number, sequence: number): Promise<void> | undefined {
    if (!Number.isSafeInteger(sequence) || sequence < this.next(feeder))
      throw new RangeError('a sequence is accepted once, in order');
    const mark = this.#markOf(feeder);
    mark.accepted = sequence;
    if (sequence > mark.reserved) return this.#reserve(feeder, mark);
    if (mark.reserved - sequence < RESERVED_AHEAD / 2) this.#reserve(feeder, mark).catch(ignore);
    return undefined;
  }

  /** A revoked feeder: its number is never given again, so its mark is not needed. */
  forget(feeder: number): void {
    this.#marks.delete(feeder);
  }

  /** The orderly stop: writes the exact marks, so that the next process goes on with the sequences that follow. */
  async close(): Promise<void> {
    await Promise.allSettled([...this.#marks.values()].flatMap(({ reserving }) => reserving ?? []));
    try {
      const exact = [...this.#marks].map(([feeder, { accepted }]) => encodeMark(feeder, accepted));
      await this.#journal.rotate([...exact, encodeClosed(this.#generation())]);
    } catch (error) {
      // The journal then says that nobody closed it, which is so.
      if (!isEntropyError(error, 'state-unwritable')) throw error;
    }
    await this.#journal.close();
  }

  /** Reserves what follows the accepted sequence; one at a time, and who needs more waits for the one under way. */
  async #reserve(feeder: number, mark: Mark): Promise<void> {
    while (mark.reserving !== undefined) await mark.reserving.catch(ignore);
    if (mark.reserved - mark.accepted >= RESERVED_AHEAD / 2) return;
    mark.requested = Math.min(mark.accepted + RESERVED_AHEAD, Number.MAX_SAFE_INTEGER);
    mark.reserving = this.#write(feeder, mark.requested);
    try {
      await mark.reserving;
      mark.reserved = mark.requested;
    } finally {
      mark.reserving = undefined;
    }
  }

  async #write(feeder: number, sequence: number): Promise<void> {
    try {
      const full = this.#journal.sizeBytes + MARK_BYTES + RECORD_OVERHEAD_BYTES > this.#maximumBytes;
      if (full || this.#journal.failed) await this.#journal.rotate(this.#requested());
      else await this.#journal.append(encodeMark(feeder, sequence));
      this.#begun = true;
      this.#failure = undefined;
    } catch (error) {
      if (!isEntropyError(error, 'state-unwritable')) throw error;
      if (this.#failure === undefined)
        this.#events.emit('cache.record.failed', { file: PATH, because: error.message });
      this.#failure = error;
      if (!this.#begun) throw error;
    }
  }

  #requested(): Buffer[] {
    return [...this.#marks].map(([feeder, { accepted, requested }]) =>
      encodeMark(feeder, Math.max(accepted, requested)),
    );
  }

  #markOf(feeder: number): Mark {
    const known = this.#marks.get(feeder);
    if (known !== undefined) return known;
    const mark = markAt(0);
    this.#marks.set(feeder, mark);
    return mark;
  }
}

function markAt(sequence: number): Mark {
  return { accepted: sequence, reserved: sequence, requested: sequence, reserving: undefined };
}

interface OpenedMarks {
  readonly journal: Journal;
  readonly marks: Marks;
}

async function openJournal(
  { maximumBytes, generation }: Required<SequenceMarksOptions>,
  { files, random }: SequenceMarksDependencies,
): Promise<OpenedMarks> {
  const options = { path: PATH, kind: KIND, maximumBytes, initial: [encodeClosed(generation())] };
  const { journal, records } = await Journal.open(options, { files, random });
  try {
    return { journal, marks: decodeMarks(records) };
  } catch (error) {
    await journal.close();
    throw error;
  }
}

/**
 * Puts an empty journal in the place of a damaged one, which is kept under another name. At no moment is there none, for that would look
 * like a new installation, and nobody closed it: sessions begin at the wall clock.
 */
async function startAnew({ files, random }: SequenceMarksDependencies): Promise<void> {
  const { bytes } = encodeJournal(KIND, randomBytes(random, IDENTITY_BYTES), []);
  await replaceFile(files, PATH, bytes, { keepPreviousAs: SET_ASIDE });
}

function ignore(): void {
  // Whoever needs the outcome asks again.
}
