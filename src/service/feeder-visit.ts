import type { KeyObject } from 'node:crypto';
import { wipe } from '../base/bytes.ts';
import type { Clock } from '../base/clock.ts';
import type { Counters } from '../base/counters.ts';
import { messageOf, type ErrorCode } from '../base/errors.ts';
import type { Grant, LevelReport } from '../protocol/frame-payloads.ts';
import { ReceiptChain } from '../protocol/receipt-chain.ts';
import type { FeederRecord } from '../state/feeder-record.ts';
import type { FeedPort, TakenFrame } from './feed-port.ts';
import type { FeederNews } from './feeder-news.ts';
import type { LinkPeer } from './link-watch.ts';
import type { ReceiptStore } from './receipt-store.ts';

/** The network's end of a visit: what the service tells it. None of these throws. */
export interface FeedConnection extends LinkPeer {
  grant(grant: Grant): void;
  level(report: LevelReport): void;
  /** Another silence is tolerated from now on. */
  lostTimeoutChanged(): void;
  /** Ends the connection for this reason. */
  end(code: ErrorCode, detail: string): void;
}

/** The last sequences that were accepted, kept durable ahead; a frame below its mark is never accepted again. */
export interface SequenceMarkStore {
  /** The first sequence of a session: above every one that was ever accepted. */
  next(feeder: number): number;
  /** Accepts a sequence; a promise when it must become durable first. */
  accept(feeder: number, sequence: number): Promise<void> | undefined;
  /** A revoked feeder needs no mark: its number is never given again. */
  forget(feeder: number): void;
}

/** The payloads of the last frames, by keyed digest. */
export interface SeenPayloadStore {
  /** True when this payload came before; from now on it has. */
  sawBefore(payload: Uint8Array): boolean;
  /** Makes what was seen durable, if the disk takes it; calls that wait share one write. Never rejects. */
  flush(): Promise<void>;
}

export interface DataFrame {
  readonly sequence: number;
  /** Entropy; wiped here. */
  readonly payload: Uint8Array;
  /** SHA-256 of the frame as it came. */
  readonly digest: Uint8Array;
}

/** Since the daemon started. */
export interface FeederFigures {
  acceptedBytes: number;
  creditedUnits: number;
  frames: number;
  refusedFrames: number;
  /** Payloads that had come before, since the last that had not or the last time the feeder was enabled. */
  duplicatesInRow: number;
}

export interface FeederVisitOptions {
  readonly record: FeederRecord;
  readonly host: Uint8Array;
  readonly figures: FeederFigures;
}

export interface FeederVisitDependencies {
  readonly port: FeedPort;
  readonly marks: SequenceMarkStore;
  readonly seen: SeenPayloadStore;
  readonly receipts: ReceiptStore;
  readonly receiptKey: KeyObject;
  readonly clock: Clock;
  readonly news: FeederNews;
  readonly counters: Counters;
}

/** What becomes of a frame that the caches never see. */
const DUPLICATE = { verdict: 'duplicate', memoryBytes: 0, storedBytes: 0 } as const;
type Outcome = Pick<TakenFrame, keyof typeof DUPLICATE>;

/** Twice what a feeder can have under way and send again after a lost connection: so many in a row come from a stuck one. */
const DUPLICATES_TO_SUSPEND = 64;
const STUCK = `${DUPLICATES_TO_SUSPEND} payloads in a row had come before: the feeder repeats itself`;
const FAILING = 'the door expects conditioned bytes: at least 4 bits of min-entropy per byte as they come';

export interface SettledFrame {
  readonly receipt: Buffer;
  /** Why the feeder has to be suspended; undefined while it has not. */
  readonly suspend: string | undefined;
}

/**
 * One session of one feeder, from the welcome to the signed end: takes its frames to the caches in their order, and signs in that order
 * what became of each. A receipt is kept before it is handed out, so one that gets lost on the way can be asked for.
 *
 * The first failure is the end: frames that have not been handed over are not taken any more, and those behind the one that failed
 * get no receipt, so the chain of receipts never closes over a gap.
 */
export class FeederVisit {
  readonly record: FeederRecord;
  readonly #dependencies: FeederVisitDependencies;
  readonly #figures: FeederFigures;
  readonly #host: Uint8Array;
  #chain: ReceiptChain | undefined;
  /** Frames go to the caches one after the other … */
  #intake: Promise<unknown> = Promise.resolve();
  /** … and several may be there at a time; their receipts are signed one after the other. */
  #signed: Promise<unknown> = Promise.resolve();
  #lastSequence: number;
  /** Of the frame that was receipted last: the record that ends the session repeats it. */
  #lastReceipted = 0;
  /** What failed first, wherever: nothing is taken in any more … */
  #failure: Error | undefined;
  /** … and what failed first in the order of the frames: nothing is signed any more. */
  #gap: Error | undefined;
  #ended: Promise<Buffer | undefined> | undefined;

  constructor(options: FeederVisitOptions, dependencies: FeederVisitDependencies) {
    const { record, host, figures } = options;
    this.record = record;
    this.#host = host;
    this.#dependencies = dependencies;
    this.#figures = figures;
    this.#lastSequence = dependencies.marks.next(record.id) - 1;
  }

  /** Of the next frame. */
  get nextSequence(): number {
    return this.#lastSequence + 1;
  }

  /** The session has its id, 16 bytes: frames may come. */
  begin(session: Uint8Array): void {
    const { id: feederId, name: feeder } = this.record;
    const { receiptKey: privateKey } = this.#dependencies;
    this.#chain = new ReceiptChain({ host: this.#host, session, feeder, feederId }, { privateKey });
  }

  /**
   * Takes a frame of entropy, and wipes it. The record of its receipt comes once it is mixed or cached, stored parts synced; `arrived` is
   * called once, before that and as soon as the caches have answered, with the room that they have then, or undefined
   * when they never saw the frame.
   *
   * @throws EntropyError state-unwritable: a mark could not be kept; engine-stopped. The session must end then
   */
  data(frame: DataFrame, arrived: (roomBytes: number | undefined) => void): Promise<SettledFrame> {
    const chain = this.#chain;
    if (chain === undefined) throw new TypeError('frames come after the session began');
    const outcome = this.#takeIn(frame);
    // It may fail while an earlier frame is still waited for; whoever waits for this one hears of it below.
    outcome.then(
      (taken) => arrived(taken?.roomBytes),
      () => arrived(undefined),
    );
    const settled = this.#signed.then(() => this.#settle(chain, frame, outcome));
    this.#signed = settled.catch(() => undefined);
    return settled;
  }

  /** Accepts the sequence of a frame that carries no entropy. Throws `state-unwritable`, and what failed before. */
  async control(sequence: number): Promise<void> {
    const marked = this.#intake.then(() => this.#mark(sequence));
    this.#intake = marked.catch((error: unknown) => this.#fail(error));
    await marked;
  }

  /** Waits for the frames that are under way and signs the end; undefined when there was no frame. No frame may come any more. */
  end(): Promise<Buffer | undefined> {
    this.#ended ??= this.#signed.then(() => this.#signEnd());
    return this.#ended;
  }

  /** Resolves when the frame has been dealt with, to undefined if its payload came before; the payload is wiped by then. */
  async #takeIn({ sequence, payload }: DataFrame): Promise<TakenFrame | undefined> {
    const handedOver = this.#intake.then(async () => {
      try {
        await this.#mark(sequence);
        return await this.#handOver(payload);
      } finally {
        wipe(payload);
      }
    });
    this.#intake = handedOver.catch((error: unknown) => this.#fail(error));
    try {
      return await (
        await handedOver
      )?.outcome;
    } catch (error) {
      throw this.#fail(error);
    }
  }

  /** Undefined for a payload that came before. The outcome stands in an object: the next frame follows when this one is on its way. */
  async #handOver(payload: Uint8Array): Promise<{ readonly outcome: Promise<TakenFrame> } | undefined> {
    const { port, seen } = this.#dependencies;
    if (seen.sawBefore(payload)) return undefined;
    const buffer = await port.acquire();
    if (this.#failure !== undefined) {
      port.release(buffer);
      throw this.#failure;
    }
    const copy = new Uint8Array(buffer, 0, payload.length);
    copy.set(payload);
    const { id: feeder, door, rateUnits } = this.record;
    return { outcome: this.#remembered(port.receive({ feeder, door, rateUnits, payload: copy })) };
  }

  /** Nothing is told as stored before it is durable that its payload came: a crash must not make it new again. */
  async #remembered(received: Promise<TakenFrame>): Promise<TakenFrame> {
    const taken = await received;
    if (taken.storedBytes > 0) await this.#dependencies.seen.flush();
    return taken;
  }

  async #mark(sequence: number): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    const durable = this.#dependencies.marks.accept(this.record.id, sequence);
    if (durable !== undefined) await durable;
    this.#lastSequence = sequence;
  }

  async #settle(
    chain: ReceiptChain,
    frame: DataFrame,
    outcome: Promise<TakenFrame | undefined>,
  ): Promise<SettledFrame> {
    try {
      const taken = await outcome;
      if (this.#gap !== undefined) throw this.#gap;
      return { receipt: this.#sign(chain, frame, taken ?? DUPLICATE), suspend: this.#suspicion(taken) };
    } catch (error) {
      this.#gap ??= this.#fail(error);
      throw this.#gap;
    }
  }

  #sign(chain: ReceiptChain, { sequence, digest, payload }: DataFrame, taken: Outcome): Buffer {
    const { clock, receipts } = this.#dependencies;
    const { verdict, memoryBytes, storedBytes } = taken;
    const creditUnits = this.record.rateUnits * (memoryBytes + storedBytes);
    const receipt = chain.receipt({
      sequence,
      frameDigest: digest,
      verdict,
      payloadBytes: payload.length,
      memoryBytes,
      storedBytes,
      creditUnits,
      timeMs: clock.wallMs(),
    });
    this.#lastReceipted = sequence;
    receipts.keep(this.record.id, sequence, receipt);
    this.#count(taken, payload.length, creditUnits);
    return receipt;
  }

  #count({ verdict, memoryBytes, storedBytes }: Outcome, payloadBytes: number, creditUnits: number): void {
    const { counters, news } = this.#dependencies;
    const figures = this.#figures;
    const takenBytes = verdict === 'uncredited' ? payloadBytes : memoryBytes + storedBytes;
    figures.frames++;
    figures.acceptedBytes += takenBytes;
    figures.creditedUnits += creditUnits;
    if (verdict !== 'accepted' && verdict !== 'uncredited') figures.refusedFrames++;
    counters.add('feeder.frames');
    counters.add('feeder.bytes', takenBytes);
    if (verdict === 'test-failed') counters.add('feeder.frames.failed');
    if (verdict !== 'duplicate') return;
    counters.add('feeder.frames.duplicate');
    news.tell('feeder.duplicate', this.record.name);
  }

  #suspicion(taken: TakenFrame | undefined): string | undefined {
    const figures = this.#figures;
    figures.duplicatesInRow = taken === undefined ? figures.duplicatesInRow + 1 : 0;
    if (figures.duplicatesInRow >= DUPLICATES_TO_SUSPEND) return STUCK;
    return taken?.suspend === true ? FAILING : undefined;
  }

  /** Remembers what failed first, and gives it. */
  #fail(error: unknown): Error {
    this.#failure ??= error instanceof Error ? error : new Error(messageOf(error));
    return this.#failure;
  }

  #signEnd(): Buffer | undefined {
    const end = this.#chain?.end(this.#dependencies.clock.wallMs());
    if (end !== undefined) this.#dependencies.receipts.keep(this.record.id, this.#lastReceipted, end);
    return end;
  }
}
