import { EntropyError } from '../base/errors.ts';
import { parseReceipt, type Receipt, receiptDigest } from '../protocol/receipt.ts';
import { ReceiptVerifier } from '../protocol/receipt-verifier.ts';
import { type Loss, type SentFrame, UnsettledFrames } from './unsettled-frames.ts';

export interface ReceiptDeskOptions {
  /** Name under which the frames are sent. */
  readonly feeder: string;
  /** The host that must have signed the receipts, and the key it signs with, both from the enrolment. */
  readonly host: Uint8Array;
  readonly receiptKey: Uint8Array;
}

export interface ReceiptDeskDependencies {
  /** Gets each record that was verified, in order; 264 bytes. */
  readonly keep: (record: Uint8Array) => void;
  /** Told of each receipt that was taken. */
  readonly taken: (receipt: Receipt) => void;
  /** Told of frames that will get none. */
  readonly lost: (loss: Loss) => void;
}

/** The chain of one session, as far as it is held. */
interface Session {
  readonly id: string;
  readonly verifier: ReceiptVerifier;
  /** Number of records held, which is the position of the last. */
  position: number;
  /** Of the last record held. */
  sequence: number;
  hasEnded: boolean;
}

/** Records that are asked for at a time. */
export const RECORDS_AT_A_TIME = 128;

/**
 * Where receipts meet the frames they are of, over all connections of a client. A record counts when it, or one that came with it and
 * follows it, is signed, and when it is the next of its session's chain and of a frame that waits; frames before it in the session that it leaves out are lost.
 */
export class ReceiptDesk {
  readonly #options: ReceiptDeskOptions;
  readonly #dependencies: ReceiptDeskDependencies;
  readonly #frames = new UnsettledFrames();
  /** The present session, and those before it that may have records to come, by their id in hexadecimal. */
  #sessions = new Map<string, Session>();
  #current = '';
  #lastHeld: Buffer | undefined;

  constructor(options: ReceiptDeskOptions, dependencies: ReceiptDeskDependencies) {
    this.#options = options;
    this.#dependencies = dependencies;
  }

  /** Frames without a receipt so far. */
  get unsettledFrames(): number {
    return this.#frames.count;
  }

  /** Receipts held of the present session, or of the last one when it is over. */
  get sessionReceipts(): number {
    return this.#sessions.get(this.#current)?.position ?? 0;
  }

  /** A session, by its 16 bytes. The host accepts no frame of an earlier one from `nextSequence` on any more. */
  begin(session: Uint8Array, nextSequence: number): void {
    this.#lose(this.#frames.abandon('the host did not accept it', nextSequence));
    const earlier = [...this.#sessions.values()].filter((known) => this.#isOpen(known));
    const { host, receiptKey } = this.#options;
    const verifier = new ReceiptVerifier({ host, receiptKey, believesChains: true });
    const current = { id: idOf(session), verifier, position: 0, sequence: 0, hasEnded: false };
    this.#sessions = new Map([...earlier, current].map((known) => [known.id, known]));
    this.#current = current.id;
  }

  /**
   * The sequence to ask from for records that were missed; undefined when there are none to be had. `lastReceipt` is the digest of the last
   * record that the host keeps.
   */
  missedFrom(lastReceipt: Uint8Array | undefined): number | undefined {
    if (lastReceipt === undefined || this.#lastHeld?.equals(lastReceipt) === true) return undefined;
    for (const session of this.#sessions.values())
      if (this.#isOpen(session))
        return session.position > 0 ? session.sequence : this.#frames.firstOf(session.id);
    return undefined;
  }

  /** The receipt of a frame just sent, when it comes. Rejects with `feed-connection-lost` when it cannot come any more. */
  add(frame: SentFrame): Promise<Receipt> {
    return this.#frames.add(this.#current, frame);
  }

  /**
   * Takes records as the host signs them, all that came together; those of a session of which this client knows nothing are left alone.
   *
   * @throws EntropyError receipt-invalid
   */
  take(records: readonly Uint8Array[]): void {
    for (const [session, own] of this.#bySession(records)) this.#verify(session, own);
  }

  /**
   * Takes records that were asked for: those held already are skipped, and a session of which some are kept no more is left without its end.
   * The sequence to ask from next; undefined when nothing more will come.
   *
   * @throws EntropyError receipt-invalid
   */
  takeAnswer(records: readonly Uint8Array[]): number | undefined {
    let next: number | undefined;
    for (const record of records) {
      const { session: id, position, sequence } = parseReceipt(record);
      const session = this.#sessions.get(idOf(id));
      if (session?.position !== position - 1) continue;
      this.#verify(session, [record]);
      next = sequence;
    }
    return records.length < RECORDS_AT_A_TIME ? undefined : next;
  }

  /** No record of an earlier session will come any more, nor of this one when all is over. */
  abandon(why: string): void {
    this.#lose(this.#frames.abandon(why));
    const current = this.#sessions.get(this.#current);
    this.#sessions = new Map(current === undefined ? [] : [[current.id, current]]);
  }

  /** Neighbours of one session together, in their order. */
  #bySession(records: readonly Uint8Array[]): [Session, Uint8Array[]][] {
    const runs: [Session, Uint8Array[]][] = [];
    for (const record of records) {
      const session = this.#sessions.get(idOf(parseReceipt(record).session));
      const run = runs.at(-1);
      if (session === undefined) continue;
      if (run?.[0] === session) run[1].push(record);
      else runs.push([session, [record]]);
    }
    return runs;
  }

  #verify(session: Session, records: readonly Uint8Array[]): void {
    const receipts = session.verifier.add(Buffer.concat(records));
    for (const [index, record] of records.entries()) {
      const receipt = receipts[index];
      if (receipt === undefined) throw new EntropyError('receipt-invalid', 'it is cut off');
      this.#hold(session, receipt, record);
    }
  }

  #hold(session: Session, receipt: Receipt, record: Uint8Array): void {
    if (receipt.feeder !== this.#options.feeder)
      throw new EntropyError('receipt-invalid', `it is of the feeder ${receipt.feeder}`);
    if (receipt.kind === 'frame') this.#frames.assertSent(session.id, receipt);
    this.#dependencies.keep(record);
    session.position = receipt.position;
    session.sequence = receipt.sequence;
    session.hasEnded = receipt.kind === 'end';
    this.#lastHeld = receiptDigest(record);
    if (receipt.kind === 'frame') {
      this.#lose(this.#frames.abandon('the host left it out', 0, receipt.sequence));
      this.#frames.settle(receipt);
    }
    this.#dependencies.taken(receipt);
  }

  /** Whether records of it may be missing. */
  #isOpen(session: Session): boolean {
    return !session.hasEnded && (session.position > 0 || this.#frames.firstOf(session.id) !== undefined);
  }

  #lose(loss: Loss): void {
    if (loss.frames > 0) this.#dependencies.lost(loss);
  }
}

function idOf(session: Uint8Array): string {
  return Buffer.from(session.buffer, session.byteOffset, session.length).toString('hex');
}
