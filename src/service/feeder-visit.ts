import type { KeyObject } from 'node:crypto';
import { wipe } from '../base/bytes.ts';
import type { Clock } from '../base/clock.ts';
import type { Counters } from '../base/counters.ts';
import type { ErrorCode } from '../base/errors.ts';
import type { EventSink } from '../base/events.ts';
import type { Grant, LevelReport } from '../protocol/frame-payloads.ts';
import { ReceiptChain } from '../protocol/receipt-chain.ts';
import type { FeederRecord } from '../state/feeder-record.ts';
import type { FeedPort, TakenFrame } from './feed-port.ts';
import type { ReceiptStore } from './receipt-store.ts';

/** The network's end of a visit: what the service tells it. None of these throws. */
export interface FeedConnection {
  /** `ADDRESS:PORT` of the peer. */
  readonly address: string;
  grant(grant: Grant): void;
  level(report: LevelReport): void;
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
  readonly events: EventSink;
  readonly counters: Counters;
}

/** What becomes of a frame that the caches never see. */
const DUPLICATE = { verdict: 'duplicate', memoryBytes: 0, storedBytes: 0 } as const;
type Outcome = Pick<TakenFrame, keyof typeof DUPLICATE>;

export interface SettledFrame {
  readonly receipt: Buffer;
  /** What the caches said; undefined for a payload that came before, which they did not see. */
  readonly taken: TakenFrame | undefined;
}

/**
 * One session of one feeder, from the welcome to the signed end: takes its frames to the caches in their order, and signs in that order
 * what became of each. A receipt is kept before it is handed out, so one that gets lost on the way can be asked for.
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
   * Takes a frame of entropy, and wipes it. The record of its receipt comes once it is mixed or cached, stored parts synced.
   *
   * @throws EntropyError state-unwritable: its mark could not be kept; engine-stopped. The session must end then
   */
  data(frame: DataFrame): Promise<SettledFrame> {
    const chain = this.#chain;
    if (chain === undefined) throw new TypeError('frames come after the session began');
    const outcome = this.#takeIn(frame);
    // It may fail while an earlier frame is still waited for; whoever waits for this one hears of it below.
    outcome.catch(() => undefined);
    const settled = this.#signed.then(async () => {
      const taken = await outcome;
      return { receipt: this.#sign(chain, frame, taken ?? DUPLICATE), taken };
    });
    this.#signed = settled.catch(() => undefined);
    return settled;
  }

  /** Accepts the sequence of a frame that carries no entropy. Throws `state-unwritable`. */
  async control(sequence: number): Promise<void> {
    const marked = this.#intake.then(() => this.#mark(sequence));
    this.#intake = marked.catch(() => undefined);
    await marked;
  }

  /** Waits for the frames that are under way and signs the end; undefined when there was no frame. No frame may come any more. */
  end(): Promise<Buffer | undefined> {
    this.#ended ??= this.#signed.then(() => this.#signEnd());
    return this.#ended;
  }

  /** Resolves when the frame has been dealt with, to undefined if its payload came before; the payload is wiped by then. */
  #takeIn({ sequence, payload }: DataFrame): Promise<TakenFrame | undefined> {
    const { id, door, rateUnits } = this.record;
    const { port } = this.#dependencies;
    const handedOver = this.#intake.then(async () => {
      try {
        await this.#mark(sequence);
        if (this.#dependencies.seen.sawBefore(payload)) return undefined;
        const buffer = new Uint8Array(await port.acquire(), 0, payload.length);
        buffer.set(payload);
        // In an object: the next frame follows when this one is on its way, not when it is there.
        return { outcome: port.receive({ feeder: id, door, rateUnits, payload: buffer }) };
      } finally {
        wipe(payload);
      }
    });
    this.#intake = handedOver.catch(() => undefined);
    return handedOver.then((handed) => handed?.outcome);
  }

  async #mark(sequence: number): Promise<void> {
    const { marks } = this.#dependencies;
    const durable = marks.accept(this.record.id, sequence);
    if (durable !== undefined) await durable;
    this.#lastSequence = sequence;
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
    receipts.keep(this.record.id, sequence, receipt);
    this.#count(taken, payload.length, creditUnits);
    return receipt;
  }

  #count({ verdict, memoryBytes, storedBytes }: Outcome, payloadBytes: number, creditUnits: number): void {
    const { counters, events } = this.#dependencies;
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
    events.emit('feeder.duplicate', { feeder: this.record.name });
  }

  #signEnd(): Buffer | undefined {
    const end = this.#chain?.end(this.#dependencies.clock.wallMs());
    if (end !== undefined) this.#dependencies.receipts.keep(this.record.id, this.#lastSequence, end);
    return end;
  }
}
