import { EntropyError } from '../base/errors.ts';
import { parseReceipt, type Receipt } from '../protocol/receipt.ts';
import { ReceiptVerifier } from '../protocol/receipt-verifier.ts';

export interface UnsettledFramesOptions {
  /** Name under which the frames are sent. */
  readonly feeder: string;
  /** The host that must have signed the receipts, and the key it signs with, both from the enrolment. */
  readonly host: Uint8Array;
  readonly receiptKey: Uint8Array;
}

export interface UnsettledFramesDependencies {
  /** Gets each record that was verified, in order; 264 bytes. */
  readonly keep: (record: Uint8Array) => void;
}

export interface SentFrame {
  readonly sequence: number;
  readonly frameDigest: Uint8Array;
  readonly payloadBytes: number;
}

interface Unsettled extends SentFrame {
  readonly session: string;
  readonly resolve: (receipt: Receipt) => void;
  readonly reject: (error: EntropyError) => void;
}

/**
 * Frames that were sent and have no receipt yet, over all connections. Of each there is sequence, length and digest, never the bytes: they
 * exist no more on this side, and a frame that gets no receipt is lost.
 */
export class UnsettledFrames {
  readonly #options: UnsettledFramesOptions;
  readonly #keep: (record: Uint8Array) => void;
  /** In the order they were sent, which is that of their sequences. */
  readonly #frames = new Map<number, Unsettled>();
  /** One chain a session, by its id; those with nothing to come are dropped when the next begins. */
  #verifiers = new Map<string, ReceiptVerifier>();
  #session = '';

  constructor(options: UnsettledFramesOptions, dependencies: UnsettledFramesDependencies) {
    this.#options = options;
    this.#keep = dependencies.keep;
  }

  get count(): number {
    return this.#frames.size;
  }

  /** The first sequence without a receipt. */
  get firstSequence(): number | undefined {
    return this.#frames.keys().next().value;
  }

  begin(session: Uint8Array): void {
    const open = new Set([...this.#frames.values()].map((frame) => frame.session));
    this.#verifiers = new Map([...this.#verifiers].filter(([id]) => open.has(id)));
    this.#session = idOf(session);
    const { host, receiptKey } = this.#options;
    this.#verifiers.set(this.#session, new ReceiptVerifier({ host, receiptKey }));
  }

  /** The receipt of a frame just sent, when it comes. Rejects with `feed-connection-lost` when it cannot come any more. */
  add(frame: SentFrame): Promise<Receipt> {
    const session = this.#session;
    return new Promise((resolve, reject) => {
      this.#frames.set(frame.sequence, { ...frame, session, resolve, reject });
    });
  }

  /**
   * Takes a record of this or an earlier session: it must be signed, next in its chain, and of the frame that waits longest there. Gives it
   * parsed; undefined for a session of which this feeder knows nothing.
   *
   * @throws EntropyError receipt-invalid
   */
  take(record: Uint8Array): Receipt | undefined {
    const session = idOf(parseReceipt(record).session);
    const verifier = this.#verifiers.get(session);
    if (verifier === undefined) return undefined;
    const [receipt] = verifier.add(record);
    if (receipt === undefined) throw new EntropyError('receipt-invalid', 'it is cut off');
    if (receipt.feeder !== this.#options.feeder)
      throw new EntropyError('receipt-invalid', `it is of the feeder ${receipt.feeder}`);
    const frame = receipt.kind === 'frame' ? this.#frameOf(session, receipt) : undefined;
    this.#keep(record);
    if (frame !== undefined) {
      this.#frames.delete(frame.sequence);
      frame.resolve(receipt);
    }
    return receipt;
  }

  /** Gives up the frames of this sequence and later ones; tells how many, and how many bytes went with them. */
  abandonFrom(sequence: number, why: string): { readonly frames: number; readonly bytes: number } {
    const lost = [...this.#frames.values()].filter((frame) => frame.sequence >= sequence);
    for (const frame of lost) {
      this.#frames.delete(frame.sequence);
      frame.reject(
        new EntropyError('feed-connection-lost', `frame ${frame.sequence} has no receipt: ${why}`),
      );
    }
    return { frames: lost.length, bytes: lost.reduce((sum, { payloadBytes }) => sum + payloadBytes, 0) };
  }

  #frameOf(session: string, receipt: Receipt): Unsettled {
    const waiting = [...this.#frames.values()].find((frame) => frame.session === session);
    if (waiting?.sequence !== receipt.sequence)
      throw new EntropyError('receipt-invalid', `frame ${receipt.sequence} is not the next that was sent`);
    if (!Buffer.from(receipt.frameDigest).equals(waiting.frameDigest))
      throw new EntropyError('receipt-invalid', `it is of another frame ${receipt.sequence} than was sent`);
    if (receipt.payloadBytes !== waiting.payloadBytes)
      throw new EntropyError(
        'receipt-invalid',
        `frame ${receipt.sequence} had ${waiting.payloadBytes} bytes`,
      );
    return waiting;
  }
}

function idOf(session: Uint8Array): string {
  return Buffer.from(session).toString('hex');
}
