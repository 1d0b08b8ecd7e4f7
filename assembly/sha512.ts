import { copy, wipe } from './bytes';
import { compress } from './sha512-compress';
import { INITIAL_HASH } from './sha512-constants';

/**
 * Streaming SHA-512 (FIPS 180-4) on a context in memory:
 *   0 state (8 u64) · 64 buffer (one block) · 192 bytes so far (u64) · 200 unused, keeps contexts 16-aligned
 */
export const CONTEXT_BYTES: u32 = 208;
export const DIGEST_BYTES: u32 = 64;
export const BLOCK_BYTES: u32 = 128;
export const BUFFER: u32 = 64;
export const TOTAL: u32 = 192;

/** Where the message length stands in a last block: 16 bytes, of which a length below 2^64 bits needs 8. */
const LENGTH_AT: u32 = 112;

export function hashStart(context: usize): void {
  copy(context, INITIAL_HASH, 64);
  store<u64>(context + TOTAL, 0);
}

export function hashUpdate(context: usize, from: usize, length: u32): void {
  const filled = (<u32>load<u64>(context + TOTAL)) & (BLOCK_BYTES - 1);
  store<u64>(context + TOTAL, load<u64>(context + TOTAL) + length);

  if (filled != 0) {
    const taken = min<u32>(BLOCK_BYTES - filled, length);
    copy(context + BUFFER + filled, from, taken);
    if (filled + taken < BLOCK_BYTES) return;
    compress(context, context + BUFFER, 1);
    from += taken;
    length -= taken;
  }
  const blocks = length / BLOCK_BYTES;
  if (blocks != 0) compress(context, from, blocks);
  copy(context + BUFFER, from + blocks * BLOCK_BYTES, length & (BLOCK_BYTES - 1));
}

/** Writes the 64-byte digest and wipes the context. */
export function hashFinish(context: usize, digest: usize): void {
  compressLast(context);
  storeState(context, 0, 8, digest);
  wipe(context, CONTEXT_BYTES);
}

/** Pads (FIPS 180-4, 5.1.2) and compresses; the digest is then the context's state. */
export function compressLast(context: usize): void {
  const total = load<u64>(context + TOTAL);
  const buffer = context + BUFFER;
  let filled = (<u32>total) & (BLOCK_BYTES - 1);

  store<u8>(buffer + filled, 0x80);
  filled++;
  if (filled > LENGTH_AT) {
    wipe(buffer + filled, BLOCK_BYTES - filled);
    compress(context, buffer, 1);
    filled = 0;
  }
  wipe(buffer + filled, BLOCK_BYTES - 8 - filled);
  store<u64>(buffer + BLOCK_BYTES - 8, bswap<u64>(total << 3));
  compress(context, buffer, 1);
}

/** Writes words `first` to `end` - 1 of the state as big-endian bytes. */
export function storeState(context: usize, first: u32, end: u32, to: usize): void {
  for (let word = first; word < end; word++, to += 8)
    store<u64>(to, bswap<u64>(load<u64>(context + word * 8)));
}
