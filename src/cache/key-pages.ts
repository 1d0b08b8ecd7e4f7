import { wipe } from '../base/bytes.ts';
import { isEntropyError } from '../base/errors.ts';
import type { DurableFile } from '../durable/durable-files.ts';
import {
  freshPage,
  openPage,
  otherPlace,
  placeBytesOf,
  sealPage,
  slotOf,
  type KeyPagesDependencies,
  type KeyPagesOptions,
  type Page,
  type PageState,
  type Places,
} from './key-page.ts';
import { KEY_BYTES } from './segment-format.ts';
import { FILE_HEADER_BYTES } from './storage-layout.ts';

export type { KeyPagesDependencies, KeyPagesOptions, PageState } from './key-page.ts';

/** The keys of all segments, in pages (key-page.ts) of a file, and the order of writes that makes a key go for good. */
export class KeyPages {
  readonly #options: KeyPagesOptions;
  readonly #dependencies: KeyPagesDependencies;
  readonly #pages: Page[];
  #file: DurableFile;

  private constructor(
    options: KeyPagesOptions,
    dependencies: KeyPagesDependencies & { readonly file: DurableFile },
    pages: Page[],
  ) {
    this.#options = options;
    this.#dependencies = dependencies;
    this.#file = dependencies.file;
    this.#pages = pages;
  }

  /**
   * Reads the pages of a file, and takes those behind its end as blank up to `count`. A place that cannot be read is like
   * one that does not open. `state-unreadable` when none of several pages can be read: that is the disk, not a page.
   */
  static async read(
    options: KeyPagesOptions & { readonly count: number },
    dependencies: KeyPagesDependencies & { readonly file: DurableFile },
  ): Promise<KeyPages> {
    const pages: Page[] = [];
    const failures: unknown[] = [];
    for (let number = 0; number < options.count; number++) {
      const { places, failure } = await readPlaces(options, dependencies.file, number);
      if (places.every((place) => place === undefined)) failures.push(failure);
      pages.push(openPage(options, dependencies, number, places));
    }
    const opened = new KeyPages(options, dependencies, pages);
    if (failures.length < 2 || failures.length < pages.length) return opened;
    opened.wipe();
    throw failures[0];
  }

  /** Whole pages, in both places, that a keys file of this size has or is missing the end of. */
  static countIn(fileBytes: number, keysPerPage: number): number {
    return Math.max(0, Math.ceil((fileBytes - FILE_HEADER_BYTES) / (2 * placeBytesOf(keysPerPage))));
  }

  get count(): number {
    return this.#pages.length;
  }

  stateOf(page: number): PageState {
    return this.#page(page).state;
  }

  /** The key of a segment: a view, valid until it is replaced; not the caller's to wipe. */
  keyOf(segment: number): Buffer {
    return slotOf(this.#pageOf(segment).slots, this.#indexOf(segment)).subarray(0, KEY_BYTES);
  }

  /** The id under which a header in this segment is known to be void. */
  voidIdOf(segment: number): Buffer {
    return slotOf(this.#pageOf(segment).slots, this.#indexOf(segment)).subarray(KEY_BYTES);
  }

  /** True when this process made the key, and `used` was not called since: nothing on any disk is sealed under it. */
  isFresh(segment: number): boolean {
    return this.#pageOf(segment).fresh[this.#indexOf(segment)] === 1;
  }

  /** From now on something may be sealed under this segment's key. */
  used(segment: number): void {
    this.#pageOf(segment).fresh[this.#indexOf(segment)] = 0;
  }

  /**
   * Puts fresh keys in the place of these segments' keys. When it resolves the old ones are in neither place of
   * the file, durably; they are given to the caller, who wipes them. Each segment comes with the void id to note, or undefined
   * to leave the one it has. One rewrite of a page serves all its segments. `state-unwritable` when it fails: the old keys
   * stay in force here, and the next attempt puts right whatever the disk holds by then.
   */
  async replace(segments: ReadonlyMap<number, Uint8Array | undefined>): Promise<Map<number, Buffer>> {
    const staged = new Map<Page, Buffer>();
    for (const [segment, voidId] of segments) {
      const page = this.#pageOf(segment);
      const slots = staged.get(page) ?? Buffer.from(page.slots);
      staged.set(page, slots);
      const slot = slotOf(slots, this.#indexOf(segment));
      this.#dependencies.random(slot.subarray(0, KEY_BYTES));
      if (voidId !== undefined) slot.set(voidId, KEY_BYTES);
    }
    try {
      await this.#writeTwice(staged);
    } catch (error) {
      for (const slots of staged.values()) wipe(slots);
      throw error;
    }
    return this.#install(staged, segments.keys());
  }

  /** Writes pages anew, under the key in force: when it resolves an earlier one opens neither of their places. Throws as `replace` does. */
  async rewrap(first: number, count: number): Promise<void> {
    const pages = this.#pages.slice(first, first + count);
    await this.#writeTwice(new Map(pages.map((page) => [page, page.slots])));
  }

  /** Adds pages of fresh keys at the end. `state-unwritable` when they cannot be made durable: there are none then. */
  async grow(count: number): Promise<void> {
    const added: Page[] = [];
    for (let number = this.count; number < count; number++)
      added.push(freshPage(this.#options, this.#dependencies, number, 'sound', 1));
    try {
      for (const page of added) await this.#file.write(this.#offsetOf(page, 0), this.#pair(page));
      await this.#file.sync();
    } catch (error) {
      for (const page of added) wipe(page.slots);
      throw error;
    }
    this.#pages.push(...added);
  }

  /** Drops pages from the end, durably. None of their segments may hold anything. */
  async shrink(count: number): Promise<void> {
    for (const page of this.#pages.splice(count)) wipe(page.slots);
    await this.#file.truncate(FILE_HEADER_BYTES + 2 * count * placeBytesOf(this.#options.keysPerPage));
    await this.#file.sync();
  }

  /** Goes on with another handle of the same file; gives the one before. */
  attach(file: DurableFile): DurableFile {
    const before = this.#file;
    this.#file = file;
    return before;
  }

  wipe(): void {
    for (const page of this.#pages) wipe(page.slots);
  }

  async close(): Promise<void> {
    await this.#file.close();
  }

  /**
   * The order is the promise: the new version stands durably in one place before the other is touched, so one sound
   * page always stays, and only when the other is overwritten too do the current files open nothing spent.
   */
  async #writeTwice(staged: ReadonlyMap<Page, Buffer>): Promise<void> {
    const writes = [...staged].map(([page, slots]) => ({
      page,
      bytes: sealPage(this.#options, this.#dependencies, {
        number: page.number,
        version: ++page.version,
        slots,
      }),
    }));
    const turn = async (): Promise<void> => {
      for (const { page, bytes } of writes)
        await this.#file.write(this.#offsetOf(page, otherPlace(page.place)), bytes);
      await this.#file.sync();
      for (const { page } of writes) page.place = otherPlace(page.place);
    };
    await turn();
    await turn();
  }

  #install(staged: ReadonlyMap<Page, Buffer>, segments: Iterable<number>): Map<number, Buffer> {
    const old = new Map<number, Buffer>();
    for (const segment of segments) {
      old.set(segment, Buffer.from(this.keyOf(segment)));
      this.#pageOf(segment).fresh[this.#indexOf(segment)] = 1;
    }
    for (const [page, slots] of staged) {
      slots.copy(page.slots); // in place: views of the other keys stay what they are
      wipe(slots);
    }
    return old;
  }

  #pair(page: Page): Buffer {
    const place = sealPage(this.#options, this.#dependencies, page);
    const pair = Buffer.alloc(2 * placeBytesOf(this.#options.keysPerPage));
    place.copy(pair);
    place.copy(pair, pair.length / 2);
    return pair;
  }

  #offsetOf(page: Page, place: 0 | 1): number {
    return FILE_HEADER_BYTES + (2 * page.number + place) * placeBytesOf(this.#options.keysPerPage);
  }

  #pageOf(segment: number): Page {
    return this.#page(Math.floor(segment / this.#options.keysPerPage));
  }

  #page(number: number): Page {
    const page = this.#pages[number];
    if (page === undefined) throw new RangeError('there is no such key page');
    return page;
  }

  #indexOf(segment: number): number {
    return segment % this.#options.keysPerPage;
  }
}

/** Both places of a page, each by itself when they cannot be read together; with the reason where one cannot be read. */
async function readPlaces(
  { keysPerPage }: KeyPagesOptions,
  file: DurableFile,
  number: number,
): Promise<{ readonly places: Places; readonly failure: unknown }> {
  const placeBytes = placeBytesOf(keysPerPage);
  const offset = FILE_HEADER_BYTES + 2 * number * placeBytes;
  let failure: unknown;
  const read = (from: number, lengthBytes: number): Promise<Buffer | undefined> =>
    file.read(from, lengthBytes).catch((error: unknown) => {
      if (!isEntropyError(error)) throw error;
      failure = error;
      return undefined;
    });
  const both = await read(offset, 2 * placeBytes);
  const places: Places =
    both === undefined
      ? [await read(offset, placeBytes), await read(offset + placeBytes, placeBytes)]
      : [both.subarray(0, placeBytes), both.subarray(placeBytes)];
  return { places, failure };
}
