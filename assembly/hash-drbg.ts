import { copy, wipe } from './bytes';
import { WORK, WORK_BYTES, WORK_CONTEXT, WORK_DIGEST, WORK_FRAME, WORK_SEED } from './segments';
import { BUFFER, DIGEST_BYTES, hashFinish, hashStart, hashUpdate, storeState } from './sha512';
import { compress } from './sha512-compress';
import { INITIAL_HASH } from './sha512-constants';

/**
 * Hash_DRBG with SHA-512, SP 800-90A Rev. 1 section 10.1.1, on a state in memory:
 *   0 V (111 bytes, 1 unused) · 112 C (111, 1 unused) · 224 reseed counter (u64) · 232 bytes since reseed (u32)
 *   236 instantiated (u32)
 * Every function leaves WORK zero.
 */
export const STATE_BYTES: u32 = 240;
export const V: u32 = 0;
export const C: u32 = 112;
export const RESEED_COUNTER: u32 = 224;
const GENERATED: u32 = 232;
const INSTANTIATED: u32 = 236;

/** 888 bits, table 2. */
export const SEEDLEN_BYTES: u32 = 111;

/** Table 2: a state that has answered this many requests since its seed gives no more. */
const RESEED_INTERVAL: u64 = 1 << 48;

/** Table 2: 2^19 bits, the longest single request. */
export const REQUEST_BYTES: u32 = 65536;

export function isInstantiated(state: usize): bool {
  return load<u32>(state + INSTANTIATED) != 0;
}

/** Bytes given out since the last seed. */
export function generatedSinceSeed(state: usize): u32 {
  return load<u32>(state + GENERATED);
}

export function isExhausted(state: usize): bool {
  return load<u64>(state + RESEED_COUNTER) > RESEED_INTERVAL;
}

/** 10.1.1.2. Without a nonce, `entropy` holds at least 384 bits, 3/2 of the strength (8.6.7). */
export function instantiate(
  state: usize,
  entropy: usize,
  entropyBytes: u32,
  nonce: usize,
  nonceBytes: u32,
  personal: usize,
  personalBytes: u32,
): void {
  hashDf(WORK + WORK_SEED, NO_PREFIX, entropy, entropyBytes, nonce, nonceBytes, personal, personalBytes);
  seed(state);
}

/** 10.1.1.3. */
export function reseed(
  state: usize,
  entropy: usize,
  entropyBytes: u32,
  additional: usize,
  additionalBytes: u32,
): void {
  hashDf(WORK + WORK_SEED, 1, state + V, SEEDLEN_BYTES, entropy, entropyBytes, additional, additionalBytes);
  seed(state);
}

/** 10.1.1.4, at most REQUEST_BYTES; the caller has asked isInstantiated and isExhausted. */
export function generate(
  state: usize,
  to: usize,
  length: u32,
  additional: usize,
  additionalBytes: u32,
): void {
  if (additionalBytes != 0) {
    hashWithPrefix(2, state + V, additional, additionalBytes);
    addToV(state, WORK + WORK_DIGEST, DIGEST_BYTES);
  }
  hashgen(state, to, length);

  hashWithPrefix(3, state + V, 0, 0);
  addToV(state, WORK + WORK_DIGEST, DIGEST_BYTES);
  addToV(state, state + C, SEEDLEN_BYTES);
  const counter = load<u64>(state + RESEED_COUNTER);
  store<u64>(WORK + WORK_FRAME, bswap<u64>(counter));
  addToV(state, WORK + WORK_FRAME, 8);
  store<u64>(state + RESEED_COUNTER, counter + 1);
  store<u32>(state + GENERATED, load<u32>(state + GENERATED) + length);
  wipe(WORK, WORK_BYTES);
}

/** 9.4. */
export function uninstantiate(state: usize): void {
  wipe(state, STATE_BYTES);
}

/** Takes V from WORK, derives C from it, and counts anew. */
function seed(state: usize): void {
  copy(state + V, WORK + WORK_SEED, SEEDLEN_BYTES);
  hashDf(state + C, 0, state + V, SEEDLEN_BYTES, 0, 0, 0, 0);
  store<u64>(state + RESEED_COUNTER, 1);
  store<u32>(state + GENERATED, 0);
  store<u32>(state + INSTANTIATED, 1);
  wipe(WORK, WORK_BYTES);
}

const NO_PREFIX: i32 = -1;

/** Hash_df of 10.3.1 to 888 bits, over an optional prefix byte and three strings; `to` is none of them. */
function hashDf(
  to: usize,
  prefix: i32,
  a: usize,
  aBytes: u32,
  b: usize,
  bBytes: u32,
  c: usize,
  cBytes: u32,
): void {
  for (let counter: u32 = 1; counter <= 2; counter++) {
    const frame = WORK + WORK_FRAME;
    store<u8>(frame, counter);
    store<u32>(frame + 1, bswap<u32>(SEEDLEN_BYTES * 8));
    store<u8>(frame + 5, prefix);
    hashStart(WORK + WORK_CONTEXT);
    hashUpdate(WORK + WORK_CONTEXT, frame, prefix == NO_PREFIX ? 5 : 6);
    hashUpdate(WORK + WORK_CONTEXT, a, aBytes);
    hashUpdate(WORK + WORK_CONTEXT, b, bBytes);
    hashUpdate(WORK + WORK_CONTEXT, c, cBytes);
    hashFinish(WORK + WORK_CONTEXT, WORK + WORK_DIGEST);
    if (counter == 1) copy(to, WORK + WORK_DIGEST, DIGEST_BYTES);
    else copy(to + DIGEST_BYTES, WORK + WORK_DIGEST, SEEDLEN_BYTES - DIGEST_BYTES);
  }
}

/** Hashgen of 10.1.1.4. V with its padding is exactly one block, so a copy of it in place serves as `data`. */
function hashgen(state: usize, to: usize, length: u32): void {
  const context = WORK + WORK_CONTEXT;
  const data = context + BUFFER;
  copy(data, state + V, SEEDLEN_BYTES);
  store<u8>(data + SEEDLEN_BYTES, 0x80);
  store<u64>(data + 112, 0);
  store<u64>(data + 120, bswap<u64>(SEEDLEN_BYTES * 8));

  while (length != 0) {
    copy(context, INITIAL_HASH, 64);
    compress(context, data, 1);
    const taken = min<u32>(length, DIGEST_BYTES);
    storeState(context, 0, 8, WORK + WORK_DIGEST);
    copy(to, WORK + WORK_DIGEST, taken);
    to += taken;
    length -= taken;
    increment(data);
  }
}

/** WORK's digest = SHA-512(prefix ‖ V ‖ bytes). */
function hashWithPrefix(prefix: u8, v: usize, bytes: usize, length: u32): void {
  store<u8>(WORK + WORK_FRAME, prefix);
  hashStart(WORK + WORK_CONTEXT);
  hashUpdate(WORK + WORK_CONTEXT, WORK + WORK_FRAME, 1);
  hashUpdate(WORK + WORK_CONTEXT, v, SEEDLEN_BYTES);
  hashUpdate(WORK + WORK_CONTEXT, bytes, length);
  hashFinish(WORK + WORK_CONTEXT, WORK + WORK_DIGEST);
}

/** V = (V + number) mod 2^888, both big-endian; always over all of V, so that the time tells nothing of a carry. */
function addToV(state: usize, number: usize, length: u32): void {
  let carry: u32 = 0;
  for (let i: u32 = 1; i <= SEEDLEN_BYTES; i++) {
    const at = state + V + SEEDLEN_BYTES - i;
    carry += load<u8>(at);
    if (i <= length) carry += load<u8>(number + length - i);
    store<u8>(at, carry);
    carry >>= 8;
  }
}

/** data = (data + 1) mod 2^888. */
function increment(data: usize): void {
  let carry: u32 = 1;
  for (let i: u32 = 1; i <= SEEDLEN_BYTES; i++) {
    carry += load<u8>(data + SEEDLEN_BYTES - i);
    store<u8>(data + SEEDLEN_BYTES - i, carry);
    carry >>= 8;
  }
}
