import { wipe } from './bytes';
import { SOURCES, WORK, WORK_FRAME } from './segments';
import { BUFFER, CONTEXT_BYTES, TOTAL, compressLast, hashStart, hashUpdate, storeState } from './sha512';

/**
 * The pool: a conditioning component with memory (SP 800-90B 3.1.5, vetted function SHA-512). One running hash, opened
 * by a secret 32-byte chain value; and beside it, four credits (u32, 1/1024 bit), which mixing never touches.
 *   0 SHA-512 context · 208 credits of the four sources
 */
const CREDITS: u32 = CONTEXT_BYTES;
export const POOL_BYTES: u32 = CONTEXT_BYTES + 16;
export const CHAIN_BYTES: u32 = 32;
export const BLOCK_BYTES: u32 = 32;
export const START_SEED_BYTES: u32 = 64;

/** SP 800-90C: a 256-bit block is full entropy when the vetted function took 256 + 64 bits; in 1/1024 bit. */
export const FULL_ENTROPY_UNITS: u64 = 320 * 1024;

const FRAME_BYTES: u32 = 5;

const LABEL_BYTES: u32 = 26;
// prettier-ignore
const LABEL: usize = memory.data<u8>([
  // "entropy-mixer/pool/start/1"
  0x65, 0x6e, 0x74, 0x72, 0x6f, 0x70, 0x79, 0x2d, 0x6d, 0x69, 0x78, 0x65, 0x72, 0x2f, 0x70, 0x6f, 0x6f, 0x6c, 0x2f,
  0x73, 0x74, 0x61, 0x72, 0x74, 0x2f, 0x31,
]);

/** First chain value: the right half of SHA-512(label ‖ 64 seed bytes). Credits 0: the seed claims nothing. */
export function start(pool: usize, seed: usize): void {
  hashStart(pool);
  hashUpdate(pool, LABEL, LABEL_BYTES);
  hashUpdate(pool, seed, START_SEED_BYTES);
  compressLast(pool);
  openNext(pool);
}

/** Mixes `bit ‖ length u32 big-endian ‖ bytes` in. The frame makes the hashed string unambiguous; claims nothing. */
export function absorb(pool: usize, source: u32, from: usize, length: u32): void {
  const frame = WORK + WORK_FRAME;
  store<u8>(frame, <u8>((<u32>1) << source));
  store<u32>(frame + 1, bswap<u32>(length));
  hashUpdate(pool, frame, FRAME_BYTES);
  hashUpdate(pool, from, length);
  wipe(frame, FRAME_BYTES);
}

/** Adds to a source's credit, which stays at its ceiling (4,194,303 bits) rather than wrap. */
export function credit(pool: usize, source: u32, units: u64): void {
  const sum = creditOf(pool, source) + units;
  store<u32>(pool + CREDITS + source * 4, <u32>min<u64>(sum, <u64>u32.MAX_VALUE));
}

export function voidCredit(pool: usize, source: u32): void {
  store<u32>(pool + CREDITS + source * 4, 0);
}

export function creditOf(pool: usize, source: u32): u64 {
  return load<u32>(pool + CREDITS + source * 4);
}

export function isReady(pool: usize): bool {
  return creditOf(pool, 0) + creditOf(pool, 1) + creditOf(pool, 2) + creditOf(pool, 3) >= FULL_ENTROPY_UNITS;
}

/**
 * Draws one block: the left half of the digest goes out, the right half opens the next hash, so that neither tells of
 * the other. Spends all credit, adding it to `spent` (four u32). The caller has asked isReady.
 */
export function extract(pool: usize, block: usize, spent: usize): void {
  compressLast(pool);
  storeState(pool, 0, 4, block);
  openNext(pool);
  for (let source: u32 = 0; source < SOURCES; source++) {
    const sum = <u64>load<u32>(spent + source * 4) + creditOf(pool, source);
    store<u32>(spent + source * 4, <u32>min<u64>(sum, <u64>u32.MAX_VALUE));
    voidCredit(pool, source);
  }
}

/** Starts the next hash with the right half of the digest, and leaves nothing of the last block behind. */
function openNext(pool: usize): void {
  storeState(pool, 4, 8, pool + BUFFER);
  wipe(pool + BUFFER + CHAIN_BYTES, 96);
  hashStart(pool);
  store<u64>(pool + TOTAL, CHAIN_BYTES);
}
