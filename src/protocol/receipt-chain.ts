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
  #sums = { payloadBytes: 0, memoryBytes: 0, storedBytes: 0, creditUnits: 0 };
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
    this.#sums = {
      payloadBytes: sums.payloadBytes + outcome.payloadBytes,
      memoryBytes: sums.memoryBytes + outcome.memoryBytes,
      storedBytes: sums.storedBytes + outcome.storedBytes,
      creditUnits: sums.creditUnits + outcome.creditUnits,
    };
    return this.#sign({ kind: 'frame', ...outcome });
  }

  /** The record that ends the session, with its sums; undefined when no frame was receipted, as there is nothing to end. */
  end(timeMs: number): Buffer | undefined {
    if (this.#position === 0) return undefined;
    const record = this.#sign({
      kind: 'end',
      verdict: 'accepted',
      sequence: this.#lastSequence,
      timeMs,
      frameDigest: NOTHING,
      ...this.#sums,
    });
    this.#ended = true;
    return record;
  }

  #sign(fields: Omit<Receipt, keyof ReceiptChainOptions | 'position' | 'previous'>): Buffer {
    if (this.#ended) throw new TypeError('the session has been ended');
    const receipt = {
      ...this.#options,
      ...fields,
      position: this.#position + 1,
      previous: this.#previous,
    };
    const record = signReceipt(receipt, this.#privateKey);
    this.#previous = receiptDigest(record);
    this.#position++;
    return record;
  }
}
