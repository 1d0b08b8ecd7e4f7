import { createCipheriv, createDecipheriv, createHmac } from 'node:crypto';
import { wipe } from '../base/bytes.ts';
import { randomBytes, type RandomSource } from '../base/random.ts';
import type { DurableFile } from '../durable/durable-files.ts';
import { isZero, KEY_BYTES, KEY_ID_BYTES } from './segment-format.ts';
import { FILE_HEADER_BYTES } from './storage-layout.ts';

/**
 * The keys of the segments, in pages. A page has two places in the file, 4 KiB apart or more so that no torn sector
 * harms both, and the newest sound one counts. A place, integers big-endian:
 *
 *   version u64 ‖ salt 32 ‖ ciphertext ‖ tag 16
 *
 * The plaintext is, for each segment, its key (32) and its void id (8): the id of a key that is gone, whose header
 * may still stand in the segment. AES-256-GCM under HMAC-SHA-256(key-encryption key, label ‖ salt) and a nonce of
 * zeros: a fresh salt for each write is a fresh key, so nothing that a crash or an old copy of the disk brings back
 * can make a nonce come twice.
 */
const VERSION_BYTES = 8;
const SALT_BYTES = 32;
const TAG_BYTES = 16;
const HEAD_BYTES = VERSION_BYTES + SALT_BYTES;
const SLOT_BYTES = KEY_BYTES + KEY_ID_BYTES;
const SECTOR_BYTES = 4096;
const ZERO_NONCE = Buffer.alloc(12);
const LABEL = 'entropy-mixer key page\0';

export interface KeyPagesOptions {
  readonly cacheId: Uint8Array;
  readonly keysPerPage: number;
}

export interface KeyPagesDependencies {
  readonly random: RandomSource;
  /** 32 bytes, lent for as long as the pages are open. */
  readonly keyEncryptionKey: Uint8Array;
}

/** How a page was found: sound, never written to both places, or in both not to be opened. */
export type PageState = 'sound' | 'blank' | 'damaged';

interface Page {
  readonly number: number;
  readonly state: PageState;
  /** Slots of keysPerPage segments; secret. */
  readonly slots: Buffer;
  /** The highest version that was ever written, or tried. */
  version: number;
  /** The place that holds these slots durably; the next write goes to the other one. */
  place: 0 | 1;
  /** 1 for each segment whose key was made by this process and has sealed nothing yet. */
  readonly fresh: Uint8Array;
}

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

  /** Reads the pages of a file, and takes those behind its end as blank up to `count`. Throws `state-unreadable`. */
  static async read(
    options: KeyPagesOptions & { readonly count: number },
    dependencies: KeyPagesDependencies & { readonly file: DurableFile },
  ): Promise<KeyPages> {
    const pages: Page[] = [];
    const placeBytes = placeBytesOf(options.keysPerPage);
    for (let number = 0; number < options.count; number++) {
      const offset = FILE_HEADER_BYTES + 2 * number * placeBytes;
      const bytes = await dependencies.file.read(offset, 2 * placeBytes);
      pages.push(readPage(options, dependencies, number, bytes));
    }
    return new KeyPages(options, dependencies, pages);
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
      bytes: this.#wrapped(page, ++page.version, slots),
    }));
    const turn = async (): Promise<void> => {
      for (const { page, bytes } of writes)
        await this.#file.write(this.#offsetOf(page, other(page.place)), bytes);
      await this.#file.sync();
      for (const { page } of writes) page.place = other(page.place);
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
    const place = this.#wrapped(page, page.version, page.slots);
    const pair = Buffer.alloc(2 * placeBytesOf(this.#options.keysPerPage));
    place.copy(pair);
    place.copy(pair, pair.length / 2);
    return pair;
  }

  #wrapped(page: Page, version: number, slots: Buffer): Buffer {
    const head = Buffer.alloc(HEAD_BYTES);
    head.writeBigUInt64BE(BigInt(version));
    randomBytes(this.#dependencies.random, SALT_BYTES).copy(head, VERSION_BYTES);
    return withPageKey(this.#dependencies.keyEncryptionKey, head, (pageKey) => {
      const cipher = createCipheriv('aes-256-gcm', pageKey, ZERO_NONCE, { authTagLength: TAG_BYTES });
      cipher.setAAD(associatedData(this.#options.cacheId, page.number, head));
      const parts = [head, cipher.update(slots), cipher.final(), cipher.getAuthTag()];
      return Buffer.concat(parts);
    });
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

/** Bytes that new pages of keys take in the file, in both places. */
export function placeBytesOf(keysPerPage: number): number {
  const bytes = HEAD_BYTES + keysPerPage * SLOT_BYTES + TAG_BYTES;
  return Math.ceil(bytes / SECTOR_BYTES) * SECTOR_BYTES;
}

function readPage(
  options: KeyPagesOptions,
  dependencies: KeyPagesDependencies,
  number: number,
  bytes: Buffer,
): Page {
  const placeBytes = placeBytesOf(options.keysPerPage);
  const places = [bytes.subarray(0, placeBytes), bytes.subarray(placeBytes)] as const;
  let newest: { slots: Buffer; version: number; place: 0 | 1 } | undefined;
  for (const place of [0, 1] as const) {
    const found = unwrapped(options, dependencies, number, places[place]);
    if (found === undefined) continue;
    if (newest !== undefined && newest.version >= found.version) wipe(found.slots);
    else {
      if (newest !== undefined) wipe(newest.slots);
      newest = { ...found, place };
    }
  }
  if (newest === undefined) {
    const state = places.some(isZero) ? 'blank' : 'damaged';
    return freshPage(options, dependencies, number, state, 0);
  }
  return { number, state: 'sound', ...newest, fresh: new Uint8Array(options.keysPerPage) };
}

/** Keys that nothing was sealed under. At version 0 the file does not hold them yet, so they do not count as fresh. */
function freshPage(
  options: KeyPagesOptions,
  { random }: KeyPagesDependencies,
  number: number,
  state: PageState,
  version: number,
): Page {
  const slots = Buffer.alloc(options.keysPerPage * SLOT_BYTES);
  for (let index = 0; index < options.keysPerPage; index++)
    random(slotOf(slots, index).subarray(0, KEY_BYTES));
  const fresh = new Uint8Array(options.keysPerPage).fill(version);
  return { number, state, slots, version, place: 1, fresh };
}

function unwrapped(
  options: KeyPagesOptions,
  { keyEncryptionKey }: KeyPagesDependencies,
  number: number,
  place: Buffer,
): { slots: Buffer; version: number } | undefined {
  const slotsEnd = HEAD_BYTES + options.keysPerPage * SLOT_BYTES;
  if (place.length < slotsEnd + TAG_BYTES) return undefined;
  const head = place.subarray(0, HEAD_BYTES);
  const version = Number(head.readBigUInt64BE());
  if (version < 1 || !Number.isSafeInteger(version)) return undefined;
  return withPageKey(keyEncryptionKey, head, (pageKey) => {
    const decipher = createDecipheriv('aes-256-gcm', pageKey, ZERO_NONCE, { authTagLength: TAG_BYTES });
    decipher.setAAD(associatedData(options.cacheId, number, head));
    decipher.setAuthTag(place.subarray(slotsEnd, slotsEnd + TAG_BYTES));
    const slots = decipher.update(place.subarray(HEAD_BYTES, slotsEnd));
    try {
      decipher.final();
      return { slots, version };
    } catch {
      wipe(slots);
      return undefined;
    }
  });
}

/** Lends the key of one write of a page, and wipes it. */
function withPageKey<T>(keyEncryptionKey: Uint8Array, head: Buffer, use: (pageKey: Buffer) => T): T {
  const pageKey = createHmac('sha256', keyEncryptionKey)
    .update(LABEL)
    .update(head.subarray(VERSION_BYTES))
    .digest();
  try {
    return use(pageKey);
  } finally {
    wipe(pageKey);
  }
}

function associatedData(cacheId: Uint8Array, number: number, head: Buffer): Buffer {
  const numbers = Buffer.alloc(4);
  numbers.writeUInt32BE(number);
  return Buffer.concat([cacheId, numbers, head.subarray(0, VERSION_BYTES)]);
}

function slotOf(slots: Buffer, index: number): Buffer {
  return slots.subarray(index * SLOT_BYTES, (index + 1) * SLOT_BYTES);
}

function other(place: 0 | 1): 0 | 1 {
  return place === 0 ? 1 : 0;
}
