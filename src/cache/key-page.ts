import { createCipheriv, createDecipheriv, createHmac } from 'node:crypto';
import { wipe } from '../base/bytes.ts';
import { randomBytes, type RandomSource } from '../base/random.ts';
import type { HeldKeys } from './cache-keys.ts';
import { isZero, KEY_BYTES, KEY_ID_BYTES } from './segment-format.ts';

/**
 * One page of the segments' keys. A page has two places in the file, 4 KiB apart or more so that no torn sector
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
  /** Lent for as long as the pages are open. */
  readonly heldKeys: HeldKeys;
}

/** How a page was found: sound, never written to both places, or in both not to be read or opened. */
export type PageState = 'sound' | 'blank' | 'damaged';

export interface Page {
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

/** What stands in both places of a page; undefined where it cannot be read. */
export type Places = readonly [Buffer | undefined, Buffer | undefined];

/** Bytes that new pages of keys take in the file, in both places. */
export function placeBytesOf(keysPerPage: number): number {
  const bytes = HEAD_BYTES + keysPerPage * SLOT_BYTES + TAG_BYTES;
  return Math.ceil(bytes / SECTOR_BYTES) * SECTOR_BYTES;
}

/** What the two places of a page hold; the newest sound one counts. Fresh keys when neither is sound. */
export function openPage(
  options: KeyPagesOptions,
  dependencies: KeyPagesDependencies,
  number: number,
  places: Places,
): Page {
  let newest: { slots: Buffer; version: number; place: 0 | 1 } | undefined;
  for (const place of [0, 1] as const) {
    const bytes = places[place];
    const found = bytes && unwrapped(options, dependencies, number, bytes);
    if (found === undefined) continue;
    if (newest !== undefined && newest.version >= found.version) wipe(found.slots);
    else {
      if (newest !== undefined) wipe(newest.slots);
      newest = { ...found, place };
    }
  }
  if (newest === undefined) {
    const state = places.some((place) => place !== undefined && isZero(place)) ? 'blank' : 'damaged';
    return freshPage(options, dependencies, number, state, 0);
  }
  return { number, state: 'sound', ...newest, fresh: new Uint8Array(options.keysPerPage) };
}

/** Keys that nothing was sealed under. At version 0 the file does not hold them yet, so they do not count as fresh. */
export function freshPage(
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

/** A place of a page, under a salt of its own. */
export function sealPage(
  options: KeyPagesOptions,
  { random, heldKeys }: KeyPagesDependencies,
  { number, version, slots }: Pick<Page, 'number' | 'version' | 'slots'>,
): Buffer {
  const head = Buffer.alloc(HEAD_BYTES);
  head.writeBigUInt64BE(BigInt(version));
  randomBytes(random, SALT_BYTES).copy(head, VERSION_BYTES);
  return withPageKey(heldKeys.current, head, (pageKey) => {
    const cipher = createCipheriv('aes-256-gcm', pageKey, ZERO_NONCE, { authTagLength: TAG_BYTES });
    cipher.setAAD(associatedData(options.cacheId, number, head));
    return Buffer.concat([head, cipher.update(slots), cipher.final(), cipher.getAuthTag()]);
  });
}

function unwrapped(
  options: KeyPagesOptions,
  { heldKeys }: KeyPagesDependencies,
  number: number,
  place: Buffer,
): { slots: Buffer; version: number } | undefined {
  for (const key of heldKeys.all) {
    const found = unwrappedBy(key, options, number, place);
    if (found !== undefined) return found;
  }
  return undefined;
}

function unwrappedBy(
  keyEncryptionKey: Uint8Array,
  options: KeyPagesOptions,
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

/** Key and void id of one segment, by its index in the page. */
export function slotOf(slots: Buffer, index: number): Buffer {
  return slots.subarray(index * SLOT_BYTES, (index + 1) * SLOT_BYTES);
}

export function otherPlace(place: 0 | 1): 0 | 1 {
  return place === 0 ? 1 : 0;
}
