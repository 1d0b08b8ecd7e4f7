import { ANSWER_MAXIMUM_RECORDS } from '../protocol/limits.ts';

export interface ReceiptStoreOptions {
  /** Receipts kept, of all feeders together. */
  readonly capacity: number;
}

interface KeptReceipt {
  readonly sequence: number;
  readonly bytes: Buffer;
}

export const RECEIPTS_KEPT = 10_000;

/**
 * The last receipts, so that a feeder that lost its connection can ask for those it missed. In memory alone: what was receipted as
 * stored stays stored, whether anybody still has its receipt.
 */
export class ReceiptStore {
  readonly #capacity: number;
  readonly #byFeeder = new Map<number, KeptReceipt[]>();
  /** Feeders of the kept receipts, oldest first, as a ring: whose turn it is to lose one. */
  readonly #turns: Uint32Array;
  #written = 0;

  constructor(options: ReceiptStoreOptions) {
    this.#capacity = options.capacity;
    this.#turns = new Uint32Array(options.capacity);
  }

  /** Keeps a record of this feeder; its sequences never fall, and those of records that end a session repeat the last. */
  keep(feeder: number, sequence: number, bytes: Buffer): void {
    const slot = this.#written % this.#capacity;
    if (this.#written >= this.#capacity) this.#forgetOldest(this.#turns[slot] ?? 0);
    this.#turns[slot] = feeder;
    this.#written++;
    const kept = this.#byFeeder.get(feeder);
    if (kept === undefined) this.#byFeeder.set(feeder, [{ sequence, bytes }]);
    else kept.push({ sequence, bytes });
  }

  /** The last record of a feeder. */
  last(feeder: number): Buffer | undefined {
    return this.#byFeeder.get(feeder)?.at(-1)?.bytes;
  }

  /**
   * Records of a feeder from this sequence on, oldest first, at most `limit`. A frame and the record that ends its session have one
   * sequence, and whoever asks on from the next would never get the second: where the limit would part them, the end comes too if an answer
   * holds one more, and else both are left for the next.
   */
  from(feeder: number, sequence: number, limit: number): Buffer[] {
    const kept = this.#byFeeder.get(feeder) ?? [];
    const start = firstFrom(kept, sequence);
    const next = start + limit;
    const isParted = next > start && next < kept.length && kept[next]?.sequence === kept[next - 1]?.sequence;
    const step = limit < ANSWER_MAXIMUM_RECORDS ? 1 : -1;
    return kept.slice(start, isParted ? next + step : next).map(({ bytes }) => bytes);
  }

  #forgetOldest(feeder: number): void {
    const kept = this.#byFeeder.get(feeder);
    kept?.shift();
    if (kept?.length === 0) this.#byFeeder.delete(feeder);
  }
}

/** Index of the first record whose sequence is not below this one. */
function firstFrom(kept: readonly KeptReceipt[], sequence: number): number {
  let low = 0;
  let high = kept.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const record = kept[middle];
    if (record !== undefined && record.sequence < sequence) low = middle + 1;
    else high = middle;
  }
  return low;
}
