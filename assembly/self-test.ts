import { copy, equal, isZero, wipe } from './bytes';
import * as drbg from './hash-drbg';
import * as health from './health';
import {
  FIRST_BLOCK,
  GENERATED,
  INSTANTIATED,
  LONG_DIGEST,
  LONG_MESSAGE,
  RESEEDED,
  SECOND_BLOCK,
  SHORT_DIGEST,
} from './known-answers';
import * as pool from './pool';
import {
  SCRATCH,
  SCRATCH_BYTES,
  SCRATCH_COUNTERS,
  SCRATCH_DRBG,
  SCRATCH_LIMITS,
  SCRATCH_POOL,
  SCRATCH_RESULT,
  SCRATCH_SAMPLES,
  SCRATCH_SAMPLES_BYTES,
  WORK,
  WORK_BYTES,
  WORK_CONTEXT,
} from './segments';
import { DIGEST_BYTES, hashFinish, hashStart, hashUpdate } from './sha512';
import { HEALTHY, INTERMITTENT, PERMANENT } from './status';

/**
 * Known-answer tests, on scratch memory only: pool, slots, seeds and DRBG in service are not touched. With `fault` n,
 * test n is shown a wrong value and has to report it; that is how the host knows that each test can fail.
 */
export const SELF_TESTS: i32 = 15;

const RESULT: usize = SCRATCH + SCRATCH_RESULT;
const SPENT: usize = RESULT + 96;
const POOL: usize = SCRATCH + SCRATCH_POOL;
const STATE: usize = SCRATCH + SCRATCH_DRBG;
const SAMPLES: usize = SCRATCH + SCRATCH_SAMPLES;

let fault: i32 = 0;

/** 0, or the number of the first test that failed. Scratch memory is zero afterwards. */
export function runSelfTest(faultyTest: i32): i32 {
  fault = faultyTest;
  wipe(SCRATCH, SCRATCH_BYTES);
  const failed = firstFailure();
  wipe(SCRATCH, SCRATCH_BYTES);
  wipe(WORK, WORK_BYTES);
  return failed;
}

function firstFailure(): i32 {
  if (!hashesTo(1, 3, 3, SHORT_DIGEST)) return 1;
  if (!hashesTo(2, 112, 112, LONG_DIGEST)) return 2;
  if (!hashesTo(3, 112, 5, LONG_DIGEST)) return 3;
  if (!repetitionCutoffsHold(4, 8, 1)) return 4;
  if (!repetitionCutoffsHold(5, 64, 1)) return 5;
  if (!repetitionCutoffsHold(6, 8, 2)) return 6;
  if (!repetitionCutoffsHold(7, 64, 2)) return 7;
  if (!proportionCutoffsHold(8)) return 8;
  if (!poolGivesKnownBlocks(9)) return 9;
  if (!poolRefusesBelowFullEntropy(10)) return 10;
  if (!drbgInstantiates(11)) return 11;
  if (!drbgReseeds(12)) return 12;
  if (!drbgGenerates(13)) return 13;
  if (!comparisonTellsDifference(14)) return 14;
  if (!wipeLeavesZero(15)) return 15;
  return 0;
}

/** The first `length` letters of the known message, given `piece` at a time. */
function hashesTo(test: i32, length: u32, piece: u32, digest: usize): bool {
  hashStart(WORK + WORK_CONTEXT);
  for (let at: u32 = 0; at < length; at += piece) {
    hashUpdate(WORK + WORK_CONTEXT, LONG_MESSAGE + at, min<u32>(piece, length - at));
  }
  hashFinish(WORK + WORK_CONTEXT, RESULT);
  return matches(test, digest, DIGEST_BYTES);
}

/**
 * Cutoffs 5 and 9 at lag 1: a stuck source is healthy at 4 samples, intermittent from 5, permanent from 9. At lag 2 an
 * alternating one is so one sample later.
 */
function repetitionCutoffsHold(test: i32, symbolBits: u32, lag: u32): bool {
  health.configure(SCRATCH + SCRATCH_LIMITS, symbolBits, 5, 9, 512, 512, 512, 0);
  const symbolBytes = symbolBits / 8;
  for (let i: u32 = 0; i < 16; i++)
    memory.fill(SAMPLES + i * symbolBytes, <u8>(0xa5 + (i % lag)), symbolBytes);
  const later = lag - 1;
  return (
    verdictAfter(test, (4 + later) * symbolBytes, symbolBytes) == HEALTHY &&
    verdictAfter(0, (5 + later) * symbolBytes, symbolBytes) == INTERMITTENT &&
    verdictAfter(0, (8 + later) * symbolBytes, symbolBytes) == INTERMITTENT &&
    verdictAfter(0, (9 + later) * symbolBytes, symbolBytes) == PERMANENT
  );
}

/** Window 64, cutoffs 20 and 30, every second sample the one that opened the window: the count is half the length. */
function proportionCutoffsHold(test: i32): bool {
  health.configure(SCRATCH + SCRATCH_LIMITS, 8, 64, 64, 64, 20, 30, 0);
  for (let i: u32 = 0; i < 64; i++) store<u8>(SAMPLES + i, (i & 1) == 0 ? 0xa5 : 1 + i);
  return (
    verdictAfter(test, 38, 1) == HEALTHY &&
    verdictAfter(0, 39, 1) == INTERMITTENT &&
    verdictAfter(0, 58, 1) == INTERMITTENT &&
    verdictAfter(0, 59, 1) == PERMANENT
  );
}

/** Verdict over the first `length` samples bytes from fresh counters; a fault adds one symbol. */
function verdictAfter(test: i32, length: u32, symbolBytes: u32): u32 {
  const seen = test != 0 && fault == test ? length + symbolBytes : length;
  wipe(SCRATCH + SCRATCH_COUNTERS, health.SLOT_COUNTERS_BYTES);
  return health.testSamples(SCRATCH + SCRATCH_LIMITS, SCRATCH + SCRATCH_COUNTERS, SAMPLES, seen);
}

/** Two blocks, so that the chain from one to the next is tested too. */
function poolGivesKnownBlocks(test: i32): bool {
  countUp();
  pool.start(POOL, SAMPLES);
  pool.absorb(POOL, 3, SAMPLES, 40);
  pool.extract(POOL, RESULT, SPENT);
  if (!matches(test, FIRST_BLOCK, pool.BLOCK_BYTES)) return false;
  pool.absorb(POOL, 2, SAMPLES, 40);
  pool.extract(POOL, RESULT, SPENT);
  return matches(0, SECOND_BLOCK, pool.BLOCK_BYTES);
}

/** One unit below 320 bits is not enough; 320 bits are, from whatever sources; and a draw spends them. */
function poolRefusesBelowFullEntropy(test: i32): bool {
  pool.credit(POOL, 0, pool.FULL_ENTROPY_UNITS - 1);
  if (fault == test) pool.credit(POOL, 0, 1);
  if (pool.isReady(POOL)) return false;
  pool.credit(POOL, 3, 1);
  if (!pool.isReady(POOL)) return false;
  pool.extract(POOL, RESULT, SPENT);
  return !pool.isReady(POOL);
}

function drbgInstantiates(test: i32): bool {
  countUp();
  drbg.instantiate(STATE, SAMPLES, 64, SAMPLES, 16, 0, 0);
  digestOfState(0);
  return matches(test, INSTANTIATED, 32);
}

function drbgReseeds(test: i32): bool {
  drbg.reseed(STATE, SAMPLES, 32, SAMPLES, 16);
  digestOfState(0);
  return matches(test, RESEEDED, 32);
}

function drbgGenerates(test: i32): bool {
  drbg.generate(STATE, RESULT, 96, SAMPLES, 16);
  digestOfState(96);
  return matches(test, GENERATED, 32);
}

/** A wrong answer has to be told from the right one: without this, all of the above could pass for nothing. */
function comparisonTellsDifference(test: i32): bool {
  copy(RESULT, LONG_DIGEST, DIGEST_BYTES);
  if (fault != test) store<u8>(RESULT + 63, load<u8>(RESULT + 63) ^ 1);
  return !equal(RESULT, LONG_DIGEST, DIGEST_BYTES);
}

function wipeLeavesZero(test: i32): bool {
  memory.fill(SAMPLES, 0xa5, SCRATCH_SAMPLES_BYTES);
  wipe(SCRATCH, SCRATCH_BYTES);
  if (fault == test) store<u8>(SCRATCH + SCRATCH_BYTES - 1, 1);
  return isZero(SCRATCH, SCRATCH_BYTES);
}

/** Samples 0, 1, 2 … 63. */
function countUp(): void {
  for (let i: u32 = 0; i < 64; i++) store<u8>(SAMPLES + i, i);
}

/** Result = SHA-512(the first `length` bytes of the result ‖ V ‖ C). */
function digestOfState(length: u32): void {
  hashStart(WORK + WORK_CONTEXT);
  hashUpdate(WORK + WORK_CONTEXT, RESULT, length);
  hashUpdate(WORK + WORK_CONTEXT, STATE + drbg.V, drbg.SEEDLEN_BYTES);
  hashUpdate(WORK + WORK_CONTEXT, STATE + drbg.C, drbg.SEEDLEN_BYTES);
  hashFinish(WORK + WORK_CONTEXT, RESULT);
}

function matches(test: i32, answer: usize, length: u32): bool {
  if (test != 0 && fault == test) store<u8>(RESULT, load<u8>(RESULT) ^ 1);
  return equal(RESULT, answer, length);
}
