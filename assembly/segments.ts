import { wipe } from './bytes';
import { KNOWN_ANSWERS, KNOWN_ANSWERS_BYTES } from './known-answers';
import { ROUND_CONSTANTS, SHA512_CONSTANTS_BYTES } from './sha512-constants';

/**
 * The module's whole memory: every segment once, with id (its place in this order), address, capacity and secrecy.
 * The host reads this by the queries at the end and checks it; nothing in here moves or grows.
 */

export const CONSTANT: i32 = 0;
export const PUBLIC: i32 = 1;
export const SECRET: i32 = 2;

/** Bytes into a call; zero between calls. */
export const INPUT_BYTES: u32 = 65536;
export const INPUT: usize = memory.data(INPUT_BYTES, 16);

/** Bytes out of a call; the host zeroes it when it has copied them. */
export const OUTPUT_BYTES: u32 = 65536;
export const OUTPUT: usize = memory.data(OUTPUT_BYTES, 16);

/** Four u32: what each source gave to the last extraction, or to all blocks of the last `condition`; 1/1024 bit. */
export const CREDIT_BYTES: u32 = 16;
export const CREDIT: usize = memory.data(CREDIT_BYTES, 16);

/** Slots: four sources, then 1,024 doors. 32 bytes of limits and 40 of counters each, laid out in health.ts. */
export const SOURCES: u32 = 4;
export const SLOTS: u32 = 1028;
export const LIMITS_BYTES: u32 = SLOTS * 32;
export const LIMITS: usize = memory.data(LIMITS_BYTES, 16);
export const COUNTERS_BYTES: u32 = SLOTS * 40;
export const COUNTERS: usize = memory.data(COUNTERS_BYTES, 16);

/** The pool, laid out in pool.ts. */
export const POOL_BYTES: u32 = 224;
export const POOL: usize = memory.data(POOL_BYTES, 16);

/** Blocks drawn from the pool for the DRBG; the host never reads them. */
export const SEED_BYTES: u32 = 32;
export const SEEDS_CAPACITY: u32 = 8;
export const SEEDS_BYTES: u32 = SEEDS_CAPACITY * SEED_BYTES;
export const SEEDS: usize = memory.data(SEEDS_BYTES, 16);

/** The DRBG that serves, laid out in hash-drbg.ts. */
export const DRBG_BYTES: u32 = 240;
export const DRBG: usize = memory.data(DRBG_BYTES, 16);

/** The hash context of hashStart, hashUpdate and hashFinish. */
export const HASH_BYTES: u32 = 208;
export const HASH: usize = memory.data(HASH_BYTES, 16);

/** Intermediate values; zero between calls. */
export const WORK_CONTEXT: u32 = 0;
export const WORK_DIGEST: u32 = 208;
export const WORK_SEED: u32 = 272;
export const WORK_FRAME: u32 = 384;
export const WORK_SCHEDULE: u32 = 400;
export const WORK_BYTES: u32 = 528;
export const WORK: usize = memory.data(WORK_BYTES, 16);

/** What known-answer calls work on instead of pool, slots and DRBG. */
export const SCRATCH_DRBG: u32 = 0;
export const SCRATCH_POOL: u32 = 240;
export const SCRATCH_LIMITS: u32 = 464;
export const SCRATCH_COUNTERS: u32 = 496;
export const SCRATCH_RESULT: u32 = 536;
export const SCRATCH_SAMPLES: u32 = 664;
export const SCRATCH_SAMPLES_BYTES: u32 = 512;
export const SCRATCH_BYTES: u32 = 1176;
export const SCRATCH: usize = memory.data(SCRATCH_BYTES, 16);

export const SEGMENTS: i32 = 13;

// prettier-ignore
export function addressOf(segment: i32): i32 {
  switch (segment) {
    case 0: return <i32>INPUT;
    case 1: return <i32>OUTPUT;
    case 2: return <i32>CREDIT;
    case 3: return <i32>LIMITS;
    case 4: return <i32>COUNTERS;
    case 5: return <i32>POOL;
    case 6: return <i32>SEEDS;
    case 7: return <i32>DRBG;
    case 8: return <i32>HASH;
    case 9: return <i32>WORK;
    case 10: return <i32>SCRATCH;
    case 11: return <i32>ROUND_CONSTANTS;
    case 12: return <i32>KNOWN_ANSWERS;
    default: return -1;
  }
}

// prettier-ignore
export function capacityOf(segment: i32): i32 {
  switch (segment) {
    case 0: return INPUT_BYTES;
    case 1: return OUTPUT_BYTES;
    case 2: return CREDIT_BYTES;
    case 3: return LIMITS_BYTES;
    case 4: return COUNTERS_BYTES;
    case 5: return POOL_BYTES;
    case 6: return SEEDS_BYTES;
    case 7: return DRBG_BYTES;
    case 8: return HASH_BYTES;
    case 9: return WORK_BYTES;
    case 10: return SCRATCH_BYTES;
    case 11: return SHA512_CONSTANTS_BYTES;
    case 12: return KNOWN_ANSWERS_BYTES;
    default: return -1;
  }
}

export function secrecyOf(segment: i32): i32 {
  if (segment < 0 || segment >= SEGMENTS) return -1;
  if (segment >= 11) return CONSTANT;
  return segment == 2 || segment == 3 ? PUBLIC : SECRET;
}

/** Overwrites every secret segment. */
export function wipeSecrets(): void {
  for (let segment: i32 = 0; segment < SEGMENTS; segment++) {
    if (secrecyOf(segment) == SECRET) wipe(addressOf(segment), capacityOf(segment));
  }
}
