import { wipe } from '../base/bytes.ts';
import type { ErrorCode } from '../base/errors.ts';
import type { LevelReport } from '../protocol/frame-payloads.ts';
import type { WelcomeTerms } from '../protocol/handshake-messages.ts';
import { receiptDigest } from '../protocol/receipt.ts';
import type { FeederRecord } from '../state/feeder-record.ts';
import type { FeedFlow } from './feed-flow.ts';
import type { DataFrame, FeedConnection, FeederVisit } from './feeder-visit.ts';
import type { Sendable } from './grants.ts';
import type { ReceiptStore } from './receipt-store.ts';

export interface AdmittedSessionOptions {
  readonly visit: FeederVisit;
  readonly connection: FeedConnection;
  /** How full the caches are, when that is known. */
  readonly level: LevelReport | undefined;
}

export interface AdmittedSessionDependencies {
  readonly flow: FeedFlow;
  readonly receipts: ReceiptStore;
  /** The feeder failed too often; this is how. */
  readonly suspend: (reason: string) => void;
  readonly left: (code: ErrorCode | 'end') => void;
}

/** A feeder's session as its connection sees it. Methods are called in the order of its frames, and none after `end` or `close`. */
export class AdmittedSession {
  readonly connection: FeedConnection;
  readonly record: FeederRecord;
  readonly terms: WelcomeTerms;
  readonly #visit: FeederVisit;
  readonly #level: LevelReport | undefined;
  readonly #dependencies: AdmittedSessionDependencies;
  #closing: Promise<void> | undefined;

  constructor(options: AdmittedSessionOptions, dependencies: AdmittedSessionDependencies) {
    const { record, nextSequence } = options.visit;
    this.connection = options.connection;
    this.record = record;
    this.#visit = options.visit;
    this.#level = options.level;
    this.#dependencies = dependencies;
    const last = dependencies.receipts.last(record.id);
    this.terms = {
      nextSequence,
      lastReceipt: last === undefined ? undefined : receiptDigest(last),
      feederClass: record.class,
      rateUnits: record.rateUnits,
    };
  }

  /** The welcome was sent, with the session's id, 16 bytes: the feeder is told what it may send. */
  begin(session: Uint8Array): void {
    if (this.#closing !== undefined) return;
    this.#visit.begin(session);
    if (this.#level !== undefined) this.connection.level(this.#level);
    this.#dependencies.flow.join(this.record, this.connection);
  }

  /**
   * Takes a frame of entropy, and wipes it. Resolves to the record of its receipt.
   *
   * @throws EntropyError at once feed-rate-exceeded, feed-grant-exceeded; later state-unwritable, engine-stopped
   */
  data(frame: DataFrame): Promise<Buffer> {
    try {
      this.#dependencies.flow.spend(this.record, frame.payload.length);
    } catch (error) {
      wipe(frame.payload);
      throw error;
    }
    return this.#taken(frame);
  }

  /** Of the next frame, while none is under way. */
  get nextSequence(): number {
    return this.#visit.nextSequence;
  }

  /** What could be sent now. */
  sendable(frameBytes: number): Sendable {
    return this.#dependencies.flow.sendable(this.record, frameBytes);
  }

  /** Something came that proves the feeder to be there, and costs as much as a frame. Throws `feed-rate-exceeded`. */
  heard(): void {
    this.#dependencies.flow.spendControl(this.record, 1);
    this.#dependencies.flow.heard(this.record);
  }

  /**
   * Accepts a frame without entropy that costs as much as so many frames. Throws `feed-rate-exceeded` at once; rejects with
   * `state-unwritable`.
   */
  control(sequence: number, cost: number): Promise<void> {
    this.#dependencies.flow.spendControl(this.record, cost);
    this.#dependencies.flow.heard(this.record);
    return this.#visit.control(sequence);
  }

  /** The feeder asks for no grant from here on, until `resume`. */
  pause(): void {
    this.#dependencies.flow.pause(this.record);
  }

  resume(): void {
    this.#dependencies.flow.resume(this.record);
  }

  /** Something came that is not a frame, and that nobody proved: it counts like a frame, but not as heard. Throws `feed-rate-exceeded`. */
  unproven(): void {
    this.#dependencies.flow.spendControl(this.record, 1);
  }

  /** Kept records of this feeder from a sequence on; see `ReceiptStore.from`. */
  receiptsFrom(sequence: number, records: number): Buffer[] {
    return this.#dependencies.receipts.from(this.record.id, sequence, records);
  }

  /** The record that ends the session, once all frames have theirs; undefined when there was none. */
  end(): Promise<Buffer | undefined> {
    return this.#visit.end();
  }

  /** The connection is over. Resolves when its frames have been dealt with. */
  close(code: ErrorCode | 'end'): Promise<void> {
    this.#closing ??= this.#leave(code);
    return this.#closing;
  }

  async #taken(frame: DataFrame): Promise<Buffer> {
    const { flow, suspend } = this.#dependencies;
    const payloadBytes = frame.payload.length;
    const { receipt, suspend: reason } = await this.#visit.data(frame, (roomBytes) =>
      flow.arrived(this.record, payloadBytes, roomBytes),
    );
    if (reason !== undefined) suspend(reason);
    return receipt;
  }

  async #leave(code: ErrorCode | 'end'): Promise<void> {
    this.#dependencies.flow.leave(this.record);
    await this.#visit.end();
    this.#dependencies.left(code);
  }
}
