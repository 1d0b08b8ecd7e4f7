import { wipe } from './bytes';
import * as drbg from './hash-drbg';
import * as pool from './pool';
import { CREDIT, CREDIT_BYTES, DRBG, POOL, SEEDS, SEEDS_BYTES, SEEDS_CAPACITY, SEED_BYTES } from './segments';
import { NOT_INSTANTIATED, NOT_READY, OK, RESEED_REQUIRED, SEEDS_FULL, SEEDS_MISSING } from './status';

/**
 * The DRBG that serves, and its seeds: full-entropy blocks that go from the pool to the DRBG without leaving the
 * module. The newest seed is used first, so a reseed asked for after a draw uses what that draw brought.
 */

/** Our limit, not the standard's: 2^17 bits of output per seed (AIS 20/31 DRG.4.10, SP 800-90C RBG2). */
const OUTPUT_BYTES_PER_SEED: u32 = 16384;

/** Two seeds hold 512 bits: entropy input and nonce in one (SP 800-90A 8.6.7 asks 384). */
const INSTANTIATE_SEEDS: u32 = 2;

let reserved: u32 = 0;

export function reservedSeeds(): u32 {
  return reserved;
}

/** For when they were wiped. */
export function forgetSeeds(): void {
  reserved = 0;
}

export function reserve(): i32 {
  if (reserved == SEEDS_CAPACITY) return SEEDS_FULL;
  if (!pool.isReady(POOL)) return NOT_READY;
  wipe(CREDIT, CREDIT_BYTES);
  pool.extract(POOL, SEEDS + reserved * SEED_BYTES, CREDIT);
  reserved++;
  return OK;
}

export function instantiate(personal: usize, personalBytes: u32): i32 {
  if (reserved < INSTANTIATE_SEEDS) return SEEDS_MISSING;
  const entropy = take(INSTANTIATE_SEEDS);
  drbg.instantiate(DRBG, entropy, INSTANTIATE_SEEDS * SEED_BYTES, 0, 0, personal, personalBytes);
  wipe(entropy, INSTANTIATE_SEEDS * SEED_BYTES);
  return OK;
}

export function reseed(additional: usize, additionalBytes: u32): i32 {
  if (!drbg.isInstantiated(DRBG)) return NOT_INSTANTIATED;
  if (reserved == 0) return SEEDS_MISSING;
  reseedOnce(additional, additionalBytes);
  return OK;
}

/**
 * Generates in pieces, reseeding between them. Each piece is one generate request of SP 800-90A 9.3.1 with the same
 * additional input, which goes into the reseed when one is due (step 7.4) and into the generation otherwise.
 */
export function generate(to: usize, length: u32, additional: usize, additionalBytes: u32): i32 {
  if (!drbg.isInstantiated(DRBG)) return NOT_INSTANTIATED;
  if (reserved < reseedsDue(length)) return RESEED_REQUIRED;

  while (length != 0) {
    let additionalLeft = additionalBytes;
    if (remaining() == 0) {
      reseedOnce(additional, additionalBytes);
      additionalLeft = 0;
    }
    const piece = min<u32>(length, remaining());
    drbg.generate(DRBG, to, piece, additional, additionalLeft);
    to += piece;
    length -= piece;
  }
  return OK;
}

/** Wipes the DRBG and what was reserved for it. */
export function uninstantiate(): void {
  drbg.uninstantiate(DRBG);
  wipe(SEEDS, SEEDS_BYTES);
  forgetSeeds();
}

function reseedsDue(length: u32): u32 {
  const left = remaining();
  return length <= left ? 0 : (length - left + OUTPUT_BYTES_PER_SEED - 1) / OUTPUT_BYTES_PER_SEED;
}

/** Bytes that the present seed may still give. */
function remaining(): u32 {
  return drbg.isExhausted(DRBG) ? 0 : OUTPUT_BYTES_PER_SEED - drbg.generatedSinceSeed(DRBG);
}

function reseedOnce(additional: usize, additionalBytes: u32): void {
  const entropy = take(1);
  drbg.reseed(DRBG, entropy, SEED_BYTES, additional, additionalBytes);
  wipe(entropy, SEED_BYTES);
}

/** Address of the newest `count` seeds, no longer counted as reserved; the caller wipes them. */
function take(count: u32): usize {
  reserved -= count;
  return SEEDS + reserved * SEED_BYTES;
}
