import type { KeyObject } from 'node:crypto';
import type { FrameVerdict } from '../base/names.ts';
import { DIGEST_BYTES } from './limits.ts';
import { receiptDigest, signReceipt, type Receipt } from './receipt.ts';

export interface ReceiptChainOptions {
  readonly host: Uint8Array;
  readonly session: Uint8Array;
  readonly feeder: string;
  readonly feederId: number;
}

/** What became of one frame. */
export interface FrameOutcome {
  readonly sequence: number;
  /** SHA-256 of the whole frame as it came. */
  readonly frameDigest: Uint8Array;
  readonly verdict: FrameVerdict;
  readonly payloadBytes: number;
  readonly memoryBytes: number;
  readonly storedBytes: number;
  /** In 1/1024 bit. */
  readonly creditUnits: number;
  /** Milliseconds since 1970-01-01 UTC. */
  readonly timeMs: number;
}

const NOTHING = Buffer.alloc(DIGEST_BYTES);

/** Signs the receipts of one session, each over the one before it. */
export class ReceiptChain {
  readonly #options: ReceiptChainOptions;
  readonly #privateKey: KeyObject;
  #previous: Buffer = NOTHING;
  #position = 0;
  readonly #sums = { payloadBytes: 0, memoryBytes: 0, storedBytes: 0, creditUnits: 0 };
  #lastSequence = 0;
  #ended = false;

  constructor(options: ReceiptChainOptions, dependencies: { readonly privateKey: KeyObject }) {
    this.#options = options;
    this.#privateKey = dependencies.privateKey;
  }

  /** Records signed so far. */
  get records(): number {
    return this.#position;
  }

  /** The record of the next frame, 264 bytes. */
  receipt(outcome: FrameOutcome): Buffer {
    if (outcome.sequence <= this.#lastSequence) throw new RangeError('sequences rise within a session');
    this.#lastSequence = outcome.sequence;
    const sums = this.#sums;
    sums.payloadBytes += outcome.payloadBytes;
    sums.memoryBytes += outcome.memoryBytes;
    sums.storedBytes += outcome.storedBytes;
    sums.creditUnits += outcome.creditUnits;
    return this.#sign('frame', outcome);
  }

  /** The record that ends the session, with its sums; undefined when no frame was receipted, as there is nothing to end. */
  end(timeMs: number): Buffer | undefined {
    if (this.#position === 0) return undefined;
    const record = this.#sign('end', {
      sequence: this.#lastSequence,
      frameDigest: NOTHING,
      verdict: 'accepted',
      ...this.#sums,
      timeMs,
    });
    this.#ended = true;
    return record;
  }

  /** Field by field: spread into one another, these objects cost half as much as the signature. */
  #sign(kind: Receipt['kind'], outcome: FrameOutcome): Buffer {
    if (this.#ended) throw new TypeError('the session has been ended');
    const { host, session, feeder, feederId } = this.#options;
    const receipt: Receipt = {
      kind,
      verdict: outcome.verdict,
      feederId,
      host,
      session,
      feeder,
      sequence: outcome.sequence,
      timeMs: outcome.timeMs,
      frameDigest: outcome.frameDigest,
      position: this.#position + 1,
      payloadBytes: outcome.payloadBytes,
      memoryBytes: outcome.memoryBytes,
      storedBytes: outcome.storedBytes,
      creditUnits: outcome.creditUnits,
      previous: this.#previous,
    };
    const record = signReceipt(receipt, this.#privateKey);
    this.#previous = receiptDigest(record);
    this.#position++;
    return record;
  }
}
