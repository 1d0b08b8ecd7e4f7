import { timingSafeEqual } from 'node:crypto';
import { isAllZero, secretBytes, secretCopyOf, wipe } from '../base/bytes.ts';
import { EntropyError } from '../base/errors.ts';

/**
 * The feeders' keys, and their document. It is binary, so that no key ever becomes a string, which could not be wiped:
 *
 *   bytes   content
 *   8       "EMFKEYS" and the version, 1
 *   then for each feeder, in the order of ids:
 *   4       id, big endian
 *   1       1 when a new key waits for its first use, else 0
 *   32      the key in use
 *   32      the new key, or zeros
 */

export const FEEDER_KEY_BYTES = 32;

/** Two keys at most are valid at once: the one in use, and the one that takes its place when it is first used. */
export interface FeederKeys {
  readonly current: Buffer;
  readonly next: Buffer | undefined;
}

const NAME = 'feeders.keys';
const MAGIC = Buffer.from('EMFKEYS');
const VERSION = 1;
const HEADER_BYTES = MAGIC.length + 1;
const FLAG_OFFSET = 4;
const CURRENT_OFFSET = 5;
const NEXT_OFFSET = CURRENT_OFFSET + FEEDER_KEY_BYTES;
const ENTRY_BYTES = NEXT_OFFSET + FEEDER_KEY_BYTES;

/** The document; the caller's to wipe. */
export function encodeKeys(keys: ReadonlyMap<number, FeederKeys>): Buffer {
  const document = secretBytes(HEADER_BYTES + keys.size * ENTRY_BYTES);
  MAGIC.copy(document);
  document.writeUInt8(VERSION, MAGIC.length);
  let at = HEADER_BYTES;
  for (const [id, { current, next }] of [...keys].sort(([a], [b]) => a - b)) {
    document.writeUInt32BE(id, at);
    document.writeUInt8(next === undefined ? 0 : 1, at + FLAG_OFFSET);
    document.set(current, at + CURRENT_OFFSET);
    if (next !== undefined) document.set(next, at + NEXT_OFFSET);
    at += ENTRY_BYTES;
  }
  return document;
}

/** The keys of a document, which is wiped. Throws `state-damaged`, `state-version-newer`. */
export function decodeKeys(document: Buffer): Map<number, FeederKeys> {
  try {
    return decoded(document);
  } finally {
    wipe(document);
  }
}

function decoded(document: Buffer): Map<number, FeederKeys> {
  const damaged = (what: string): EntropyError => new EntropyError('state-damaged', `${NAME} ${what}`);
  const body = document.length - HEADER_BYTES;
  if (body < 0 || !document.subarray(0, MAGIC.length).equals(MAGIC)) throw damaged('is not a list of keys');
  const version = document.readUInt8(MAGIC.length);
  if (version !== VERSION) throw new EntropyError('state-version-newer', `${NAME} has version ${version}`);
  if (body % ENTRY_BYTES !== 0) throw damaged('ends within an entry');
  const keys = new Map<number, FeederKeys>();
  for (let at = HEADER_BYTES; at < document.length; at += ENTRY_BYTES) {
    const id = document.readUInt32BE(at);
    const flag = document.readUInt8(at + FLAG_OFFSET);
    if (flag > 1 || keys.has(id)) throw damaged('holds an entry that is none');
    const key = (offset: number): Buffer =>
      secretCopyOf(document.subarray(at + offset, at + offset + FEEDER_KEY_BYTES));
    keys.set(id, { current: key(CURRENT_OFFSET), next: flag === 1 ? key(NEXT_OFFSET) : undefined });
  }
  return keys;
}

/** Throws `request-invalid` for what cannot be a key: another length, or nothing but zeros. */
export function assertKey(key: Uint8Array): void {
  if (key.length !== FEEDER_KEY_BYTES || isAllZero(key))
    throw new EntropyError('request-invalid', 'a feeder key has 32 bytes, and not all of them zero');
}

/** Compares in constant time. */
export function isSameKey(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}

export function wipeKeys(keys: FeederKeys): void {
  wipe(keys.current);
  if (keys.next !== undefined) wipe(keys.next);
}

/** Wipes the keys that the other set does not hold. */
export function wipeKeysUnless(
  keys: ReadonlyMap<number, FeederKeys>,
  kept: ReadonlyMap<number, FeederKeys>,
): void {
  const keptBuffers = new Set([...kept.values()].flatMap(({ current, next }) => [current, next]));
  for (const { current, next } of keys.values()) {
    for (const key of [current, next]) if (key !== undefined && !keptBuffers.has(key)) wipe(key);
  }
}
