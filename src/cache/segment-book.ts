import type { ScanResult, StoredSegment } from './storage-scan.ts';
import { bytesOf, creditedUnitsOf, type Share } from './storage-shares.ts';

/**
 * Which segments hold what, and what all of them hold together. A segment is filled, free, doomed (its bytes are not
 * given out any more, its key is still there), or in nobody's list: being filled.
 */
export class SegmentBook {
  readonly #filled = new Map<number, StoredSegment>();
  readonly #free = new Map<number, Buffer | undefined>();
  readonly #doomed = new Set<number>();
  readonly #voidedFeeders = new Set<number>();
  /** Filled segments with a place for more that nobody fills: an earlier process, or a failed write, left them so. */
  readonly #partial = new Map<number, StoredSegment>();
  readonly #fullBytes: number;
  #bytes = 0;
  #creditedUnits = 0;

  /** @param options.fullBytes where a segment that takes no further record ends at the earliest */
  constructor(options: { readonly fullBytes: number }) {
    this.#fullBytes = options.fullBytes;
  }

  /** Payload that can be given out, and its credit. */
  get bytes(): number {
    return this.#bytes;
  }

  get creditedUnits(): number {
    return this.#creditedUnits;
  }

  get filledCount(): number {
    return this.#filled.size;
  }

  get freeCount(): number {
    return this.#free.size;
  }

  get doomed(): readonly number[] {
    return [...this.#doomed];
  }

  /**
   * What a volume holds. Feeders that are not among those given (undefined: all are) are voided. Gives how many bytes do not
   * count for that.
   */
  load({ filled, free }: Pick<ScanResult, 'filled' | 'free'>, feeders?: ReadonlySet<number>): number {
    for (const { origin } of filled.flatMap(({ shares }) => shares)) {
      if (feeders?.has(origin.feeder) === false) this.#voidedFeeders.add(origin.feeder);
    }
    for (const [segment, voidId] of free) this.#free.set(segment, voidId);
    const before = this.#bytes;
    for (const stored of filled) {
      this.count(stored.shares);
      if (this.valid(stored.shares).length === 0) this.#doomed.add(stored.segment);
      else this.seal(stored);
    }
    return filled.reduce((sum, { shares }) => sum + bytesOf(shares), 0) - (this.#bytes - before);
  }

  /** Segments from `first` up to `end`, newly allocated. */
  extend(first: number, end: number): void {
    for (let segment = first; segment < end; segment++) this.#free.set(segment, undefined);
  }

  /** Forgets the segments from `first` on when all of them are free; false when one is not. */
  cut(first: number, end: number): boolean {
    for (let segment = first; segment < end; segment++) if (!this.#free.has(segment)) return false;
    for (let segment = first; segment < end; segment++) this.#free.delete(segment);
    return true;
  }

  /** The next to fill, of those that were longest free. */
  takeFree(): number | undefined {
    const [next] = this.nextFree(1);
    if (next !== undefined) this.#free.delete(next);
    return next;
  }

  nextFree(count: number): number[] {
    const next: number[] = [];
    for (const segment of this.#free.keys()) {
      if (next.length === count) break;
      next.push(segment);
    }
    return next;
  }

  /** All free segments from `first` up to `end`, with the header to note as void. */
  *freeIn(first: number, end: number): Generator<[number, Buffer | undefined]> {
    for (let segment = first; segment < end; segment++) {
      if (this.#free.has(segment)) yield [segment, this.#free.get(segment)];
    }
  }

  /** Its key was replaced by a fresh one. */
  release(segment: number): void {
    this.#doomed.delete(segment);
    this.#free.set(segment, undefined);
  }

  /** Nothing in it counts, but its key may open something. */
  condemn(segment: number): void {
    this.#doomed.add(segment);
  }

  /** The void ids of these are in their key page now. */
  noted(segments: Iterable<number>): void {
    for (const segment of segments) if (this.#free.has(segment)) this.#free.set(segment, undefined);
  }

  /** Bytes that became durable. Those of a voided feeder are there, but do not count. */
  count(shares: readonly Share[]): void {
    const valid = this.valid(shares);
    this.#bytes += bytesOf(valid);
    this.#creditedUnits += creditedUnitsOf(valid);
  }

  /** They were given out, or are lost; gives how many counted. */
  discount(shares: readonly Share[]): number {
    const valid = this.valid(shares);
    const bytes = bytesOf(valid);
    this.#bytes -= bytes;
    this.#creditedUnits -= creditedUnitsOf(valid);
    return bytes;
  }

  valid(shares: readonly Share[]): readonly Share[] {
    return this.#voidedFeeders.size === 0
      ? shares
      : shares.filter(({ origin }) => !this.isVoided(origin.feeder));
  }

  isVoided(feeder: number): boolean {
    return this.#voidedFeeders.has(feeder);
  }

  /** A segment that was filled as far as it will be: it is the newest, and counted already. */
  seal(stored: StoredSegment): void {
    this.#filled.set(stored.segment, stored);
    if (stored.endBytes < this.#fullBytes) this.#partial.set(stored.segment, stored);
  }

  /** The next to open: those that waste room first, or restarts would fill the disk with such, then the oldest. */
  next(count: number): StoredSegment[] {
    const next = new Set<StoredSegment>();
    for (const from of [this.#partial, this.#filled]) {
      for (const stored of from.values()) {
        if (next.size === count) break;
        next.add(stored);
      }
    }
    return [...next];
  }

  /** A filled segment leaves the book: its key is gone. Gives how many of its bytes counted. */
  remove(stored: StoredSegment): number {
    this.#filled.delete(stored.segment);
    this.#partial.delete(stored.segment);
    return this.discount(stored.shares);
  }

  /** Its bytes are not given out any more; gives how many counted. */
  doom(stored: StoredSegment): number {
    this.#doomed.add(stored.segment);
    return this.remove(stored);
  }

  /** Dooms the newest until no more are filled than this; gives how many bytes counted. */
  doomNewest(most: number): number {
    let bytes = 0;
    for (const stored of [...this.#filled.values()].slice(Math.max(0, most))) bytes += this.doom(stored);
    return bytes;
  }

  /** Nothing of this feeder counts any more; segments with nothing else are doomed. Gives how many bytes counted. */
  voidFeeder(feeder: number, open: readonly Share[]): number {
    if (this.isVoided(feeder)) return 0;
    const before = this.#bytes;
    const affected = [...this.#filled.values()].filter(({ shares }) => holds(shares, feeder));
    for (const { shares } of affected) this.discount(shares);
    this.discount(open);
    this.#voidedFeeders.add(feeder);
    this.count(open);
    for (const stored of affected) {
      this.count(stored.shares);
      if (this.valid(stored.shares).length === 0) this.doom(stored);
    }
    return before - this.#bytes;
  }
}

function holds(shares: readonly Share[], feeder: number): boolean {
  return shares.some(({ origin }) => origin.feeder === feeder);
}
