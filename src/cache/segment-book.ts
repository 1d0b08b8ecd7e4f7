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
  #bytes = 0;
  #creditedUnits = 0;

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

  load({ filled, free }: Pick<ScanResult, 'filled' | 'free'>): void {
    for (const [segment, voidId] of free) this.#free.set(segment, voidId);
    for (const stored of filled) {
      this.#filled.set(stored.segment, stored);
      this.count(stored.shares);
    }
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
  }

  oldest(count: number): StoredSegment[] {
    const oldest: StoredSegment[] = [];
    for (const stored of this.#filled.values()) {
      if (oldest.length === count) break;
      oldest.push(stored);
    }
    return oldest;
  }

  /** A filled segment leaves the book: its key is gone. Gives how many of its bytes counted. */
  remove(stored: StoredSegment): number {
    this.#filled.delete(stored.segment);
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

  /** Ids of all whose bytes are stored. */
  get feeders(): ReadonlySet<number> {
    const shares = [...this.#filled.values()].flatMap((stored) => stored.shares);
    return new Set(shares.map(({ origin }) => origin.feeder));
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
