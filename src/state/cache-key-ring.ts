import { secretBytes, secretCopyOf, wipe } from '../base/bytes.ts';
import { EntropyError } from '../base/errors.ts';
import { randomBytes, type RandomSource } from '../base/random.ts';
import type { StateArchive } from './state-archive.ts';

/**
 * The document that holds the keys of the caches, integers big-endian:
 *
 *    0  "emcachek"            8
 *    8  version u32           4
 *   12  generation u64        8   of the newest key-encryption key; 0: bound to no counter yet
 *   20  counter id           32   which counter of which TPM counts generations; zeros for none
 *   52  header key           32   vouches for the headers of the caches' files, for as long as they live
 *   84  key-encryption keys  32 each, 1 to 4, the newest first
 *
 * Older keys are there only while a change of keys is under way, for the pages that it did not reach yet. A document of 32 bytes, as
 * earlier versions wrote it, is one key that does for both.
 */
export const CACHE_KEYS = 'cache-key';

const MAGIC = Buffer.from('emcachek', 'latin1');
const VERSION = 1;
export const KEY_BYTES = 32;
export const COUNTER_ID_BYTES = 32;
const GENERATION_OFFSET = MAGIC.length + 4;
const COUNTER_OFFSET = GENERATION_OFFSET + 8;
const HEADER_KEY_OFFSET = COUNTER_OFFSET + COUNTER_ID_BYTES;
const KEYS_OFFSET = HEADER_KEY_OFFSET + KEY_BYTES;
export const MAXIMUM_PAGE_KEYS = 4;
const UNBOUND = Buffer.alloc(COUNTER_ID_BYTES);

/** Keys are secret, and the holder's to wipe. */
export interface CacheKeyRing {
  /** Of the newest key; 0 until a counter was there to count. */
  readonly generation: number;
  /** 32 bytes; zeros when it is bound to none. */
  readonly counterId: Buffer;
  readonly headerKey: Buffer;
  /** The newest first. */
  readonly pageKeys: readonly Buffer[];
}

interface RingDependencies {
  readonly archive: StateArchive;
  readonly random: RandomSource;
}

/** What the archive holds; undefined when it holds none. @throws EntropyError state-damaged, state-version-newer */
export function readCacheKeys({ archive }: Pick<RingDependencies, 'archive'>): CacheKeyRing | undefined {
  const document = archive.document(CACHE_KEYS);
  if (document === undefined) return undefined;
  try {
    return decodeCacheKeys(document);
  } finally {
    wipe(document);
  }
}

/** The generation of the newest key of the caches; 0 where none is counted. */
export function cacheGeneration({ archive }: { readonly archive: StateArchive }): number {
  const ring = archive.refused === undefined ? readCacheKeys({ archive }) : undefined;
  if (ring === undefined) return 0;
  wipeRing(ring);
  return ring.generation;
}

/**
 * The keys of the caches, made on first use. They outlive changes of the archive's own key.
 *
 * @throws EntropyError state-unwritable, state-damaged, state-version-newer, and what made the archive be refused
 */
export async function cacheKeys(dependencies: RingDependencies): Promise<CacheKeyRing> {
  const { archive, random } = dependencies;
  if (archive.refused !== undefined) throw archive.refused;
  const known = readCacheKeys({ archive });
  if (known !== undefined) return known;
  const ring = newRing(random);
  const document = encodeCacheKeys(ring);
  try {
    await archive.save(CACHE_KEYS, document);
  } finally {
    wipe(document);
  }
  return ring;
}

/** Keys that no file is under, bound to no counter unless told. */
export function newRing(
  random: RandomSource,
  { generation, counterId }: Pick<CacheKeyRing, 'generation' | 'counterId'> = {
    generation: 0,
    counterId: UNBOUND,
  },
): CacheKeyRing {
  const key = (): Buffer => randomBytes(random, KEY_BYTES);
  return { generation, counterId, headerKey: key(), pageKeys: [key()] };
}

export function isBound({ counterId }: CacheKeyRing): boolean {
  return !counterId.equals(UNBOUND);
}

export function wipeRing({ headerKey, pageKeys }: CacheKeyRing): void {
  for (const key of [headerKey, ...pageKeys]) wipe(key);
}

/** The document; secret. */
export function encodeCacheKeys({ generation, counterId, headerKey, pageKeys }: CacheKeyRing): Buffer {
  const document = secretBytes(KEYS_OFFSET + pageKeys.length * KEY_BYTES);
  MAGIC.copy(document);
  document.writeUInt32BE(VERSION, MAGIC.length);
  document.writeBigUInt64BE(BigInt(generation), GENERATION_OFFSET);
  counterId.copy(document, COUNTER_OFFSET);
  headerKey.copy(document, HEADER_KEY_OFFSET);
  for (const [index, key] of pageKeys.entries()) key.copy(document, KEYS_OFFSET + index * KEY_BYTES);
  return document;
}

/** Throws `state-damaged`, `state-version-newer`. */
export function decodeCacheKeys(document: Buffer): CacheKeyRing {
  if (document.length === KEY_BYTES)
    return {
      generation: 0,
      counterId: UNBOUND,
      headerKey: copyOf(document, 0),
      pageKeys: [copyOf(document, 0)],
    };
  const count = (document.length - KEYS_OFFSET) / KEY_BYTES;
  const isRing = document.length >= KEYS_OFFSET && document.subarray(0, MAGIC.length).equals(MAGIC);
  if (!isRing) throw damaged('it is not of its format');
  const version = document.readUInt32BE(MAGIC.length);
  if (version > VERSION)
    throw new EntropyError('state-version-newer', `${CACHE_KEYS} has format version ${version}`);
  const generation = Number(document.readBigUInt64BE(GENERATION_OFFSET));
  if (!Number.isInteger(count) || count < 1 || count > MAXIMUM_PAGE_KEYS)
    throw damaged(`it holds 1 to ${MAXIMUM_PAGE_KEYS} keys`);
  if (version !== VERSION || !Number.isSafeInteger(generation)) throw damaged('its generation is none');
  return {
    generation,
    counterId: Buffer.from(document.subarray(COUNTER_OFFSET, HEADER_KEY_OFFSET)),
    headerKey: copyOf(document, HEADER_KEY_OFFSET),
    pageKeys: Array.from({ length: count }, (_, index) => copyOf(document, KEYS_OFFSET + index * KEY_BYTES)),
  };
}

function copyOf(document: Buffer, offset: number): Buffer {
  return secretCopyOf(document.subarray(offset, offset + KEY_BYTES));
}

function damaged(because: string): EntropyError {
  return new EntropyError('state-damaged', `${CACHE_KEYS}: ${because}`);
}
