import { EntropyError } from '../base/errors.ts';
import type { Receipt } from '../protocol/receipt.ts';

export interface SentFrame {
  readonly sequence: number;
  readonly frameDigest: Uint8Array;
  readonly payloadBytes: number;
}

/** How many frames went without a receipt, and how many bytes with them. */
export interface Loss {
  readonly frames: number;
  readonly bytes: number;
}

interface Unsettled extends SentFrame {
  /** Of the session, in hexadecimal. */
  readonly session: string;
  readonly resolve: (receipt: Receipt) => void;
  readonly reject: (error: EntropyError) => void;
}

/**
 * Frames that were sent and have no receipt yet, over all connections. Of each there is sequence, length and digest, never the bytes: they
 * exist no more on this side, and a frame that gets no receipt is lost.
 */
export class UnsettledFrames {
  /** In the order they were sent, which is that of their sequences. */
  readonly #frames = new Map<number, Unsettled>();

  get count(): number {
    return this.#frames.size;
  }

  /** The first sequence of a session that has no receipt. */
  firstOf(session: string): number | undefined {
    for (const frame of this.#frames.values()) if (frame.session === session) return frame.sequence;
    return undefined;
  }

  /** The receipt of a frame just sent, when it comes. Rejects with `feed-connection-lost` when it cannot come any more. */
  add(session: string, frame: SentFrame): Promise<Receipt> {
    return new Promise((resolve, reject) => {
      this.#frames.set(frame.sequence, { ...frame, session, resolve, reject });
    });
  }

  /** Whether the receipt is of a frame that waits in its session. @throws EntropyError receipt-invalid when it is not */
  assertSent(session: string, receipt: Receipt): void {
    const waiting = this.#frames.get(receipt.sequence);
    if (waiting?.session !== session)
      throw new EntropyError('receipt-invalid', `frame ${receipt.sequence} does not wait for a receipt`);
    if (!Buffer.from(receipt.frameDigest).equals(waiting.frameDigest))
      throw new EntropyError('receipt-invalid', `it is of another frame ${receipt.sequence} than was sent`);
    if (receipt.payloadBytes !== waiting.payloadBytes)
      throw new EntropyError(
        'receipt-invalid',
        `frame ${receipt.sequence} had ${waiting.payloadBytes} bytes`,
      );
  }

  settle(receipt: Receipt): void {
    const frame = this.#frames.get(receipt.sequence);
    this.#frames.delete(receipt.sequence);
    frame?.resolve(receipt);
  }

  /** Gives up the frames of these sequences. */
  abandon(why: string, fromSequence = 0, beforeSequence = Infinity): Loss {
    let [frames, bytes] = [0, 0];
    for (const frame of this.#frames.values()) {
      if (frame.sequence >= beforeSequence) break;
      if (frame.sequence < fromSequence) continue;
      this.#frames.delete(frame.sequence);
      frame.reject(
        new EntropyError('feed-connection-lost', `frame ${frame.sequence} has no receipt: ${why}`),
      );
      frames += 1;
      bytes += frame.payloadBytes;
    }
    return { frames, bytes };
  }
}
