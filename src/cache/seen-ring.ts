export const DIGEST_BYTES = 12;
/** Digest ‖ counter u32, big-endian; counter 0 is an empty place. Whole records fill sectors. */
export const SEEN_RECORD_BYTES = 16;

/** A stretch of records in a row, to be written at its offset from the first record. */
export interface Stretch {
  readonly offsetBytes: number;
  readonly bytes: Buffer;
  readonly records: number;
}

/**
 * The last `capacity` digests, as they stand in the file: record n in place (n - 1) mod capacity. An open-addressing table over the
 * places, half full at most, finds one in constant time; digests are keyed, so nobody chooses where they fall.
 */
export class SeenRing {
  readonly #image: Buffer;
  readonly #capacity: number;
  /** Place + 1 of a record; 0 is free. */
  readonly #table: Uint32Array;
  /** Records ever added, and how many of them the file has. */
  #added = 0;
  #written = 0;

  /** @param capacity a power of two */
  constructor(capacity: number) {
    this.#capacity = capacity;
    this.#image = Buffer.alloc(capacity * SEEN_RECORD_BYTES);
    this.#table = new Uint32Array(2 * capacity);
  }

  /** Records that the file does not have yet. */
  get unwritten(): number {
    return this.#added - this.#written;
  }

  /** Takes over what a file has. A place whose counter does not belong there is empty: it was torn or never written. */
  load(image: Uint8Array): void {
    this.#image.set(image.subarray(0, this.#image.length));
    let newest: number | undefined;
    for (let place = 0; place < this.#capacity; place++) {
      const counter = this.#counterAt(place);
      if (counter === 0 || (counter - 1) % this.#capacity !== place || this.has(this.#digestAt(place))) {
        this.#image.fill(0, place * SEEN_RECORD_BYTES, (place + 1) * SEEN_RECORD_BYTES);
        continue;
      }
      this.#insert(place);
      // Counters wrap at 2^32: the later is the one that lies ahead by less than half of that.
      if (newest === undefined || ((counter - newest) | 0) > 0) newest = counter;
    }
    this.#added = newest ?? 0;
    this.#written = this.#added;
  }

  has(digest: Uint8Array): boolean {
    return this.#find(digest) !== undefined;
  }

  /** Adds a digest that is not there, in the place of the oldest. */
  add(digest: Uint8Array): void {
    const place = this.#added % this.#capacity;
    this.#remove(place);
    this.#added += 1;
    const at = place * SEEN_RECORD_BYTES;
    this.#image.set(digest.subarray(0, DIGEST_BYTES), at);
    this.#image.writeUInt32BE(this.#added >>> 0, at + DIGEST_BYTES);
    this.#insert(place);
  }

  /** The oldest records that the file does not have, as far as they stand in a row. */
  nextStretch(): Stretch {
    this.#written = Math.max(this.#written, this.#added - this.#capacity);
    const place = this.#written % this.#capacity;
    const records = Math.min(this.unwritten, this.#capacity - place);
    const offsetBytes = place * SEEN_RECORD_BYTES;
    const bytes = this.#image.subarray(offsetBytes, offsetBytes + records * SEEN_RECORD_BYTES);
    return { offsetBytes, bytes, records };
  }

  /** The file has that many more, from the oldest on. */
  wrote(records: number): void {
    this.#written += records;
  }

  /** The file has none of them: it was made anew. */
  forgetWritten(): void {
    this.#written = Math.max(0, this.#added - this.#capacity);
  }

  #counterAt(place: number): number {
    return this.#image.readUInt32BE(place * SEEN_RECORD_BYTES + DIGEST_BYTES);
  }

  #digestAt(place: number): Buffer {
    return this.#image.subarray(place * SEEN_RECORD_BYTES, place * SEEN_RECORD_BYTES + DIGEST_BYTES);
  }

  #homeOf(digest: Uint8Array): number {
    const [a = 0, b = 0, c = 0] = digest;
    return ((a << 16) | (b << 8) | c) & (this.#table.length - 1);
  }

  #following(index: number): number {
    return (index + 1) & (this.#table.length - 1);
  }

  /** Index in the table. */
  #find(digest: Uint8Array): number | undefined {
    for (let index = this.#homeOf(digest); ; index = this.#following(index)) {
      const entry = this.#table[index] ?? 0;
      if (entry === 0) return undefined;
      if (this.#digestAt(entry - 1).equals(digest)) return index;
    }
  }

  #insert(place: number): void {
    let index = this.#homeOf(this.#digestAt(place));
    while (this.#table[index] !== 0) index = this.#following(index);
    this.#table[index] = place + 1;
  }

  /** Takes a record out of the table, if there is one in this place, and closes the gap, so that what was put behind it is still found. */
  #remove(place: number): void {
    let gap = this.#find(this.#digestAt(place));
    if (gap === undefined || this.#table[gap] !== place + 1) return;
    this.#table[gap] = 0;
    for (let index = this.#following(gap); ; index = this.#following(index)) {
      const entry = this.#table[index] ?? 0;
      if (entry === 0) return;
      const home = this.#homeOf(this.#digestAt(entry - 1));
      const mask = this.#table.length - 1;
      if (((index - home) & mask) < ((index - gap) & mask)) continue;
      this.#table[gap] = entry;
      this.#table[index] = 0;
      gap = index;
    }
  }
}
