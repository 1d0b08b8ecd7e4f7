import { wipe } from './bytes';
import { enter, isLength, isReady, isSource, refuse, stateNow, took } from './guards';
import * as health from './health';
import * as pool from './pool';
import { CREDIT, CREDIT_BYTES, INPUT, OUTPUT, OUTPUT_BYTES, POOL } from './segments';
import { limitsOf, testInput } from './slot-calls';
import {
  FAILED_INTERMITTENT,
  FAILED_PERMANENT,
  HEALTHY,
  IDLE,
  NOT_READY,
  OK,
  PERMANENT,
  READY,
  REFUSED_ARGUMENT,
  REFUSED_LENGTH,
  REFUSED_STATE,
  SLOT_UNCONFIGURED,
  WIPED,
} from './status';

export function start(length: i32): i32 {
  if (stateNow() != IDLE && stateNow() != WIPED) return refuse(REFUSED_STATE);
  if (length != pool.START_SEED_BYTES) return refuse(REFUSED_LENGTH);
  pool.start(POOL, INPUT);
  enter(READY);
  return took(length, OK);
}

/** Tests, then absorbs and credits. When a test fails: absorbs nothing and voids the source's credit. */
export function ingest(source: i32, length: i32, creditableLength: i32, rate: i32): i32 {
  const refusal = refusalToMix(source, length, rate);
  if (refusal != OK) return refuse(refusal);
  if (creditableLength < 0) return refuse(REFUSED_ARGUMENT);
  const verdict = testSource(source, length);
  if (verdict == HEALTHY) {
    pool.absorb(POOL, source, INPUT, length);
    pool.credit(POOL, source, <u64>min<i32>(creditableLength, length) * cappedRate(source, rate));
  }
  return took(length, verdict);
}

export function voidCredit(source: i32): i32 {
  if (!isReady()) return REFUSED_STATE;
  if (!isSource(source)) return REFUSED_ARGUMENT;
  pool.voidCredit(POOL, source);
  return OK;
}

/** NOT_READY changes nothing. */
export function extract(): i32 {
  if (!isReady()) return REFUSED_STATE;
  if (!pool.isReady(POOL)) return NOT_READY;
  wipe(CREDIT, CREDIT_BYTES);
  pool.extract(POOL, OUTPUT, CREDIT);
  return OK;
}

/**
 * Tests all of INPUT; then absorbs it in pieces, crediting each in full and drawing a block whenever one is ready.
 * Answers the number of blocks in OUTPUT; a piece left over keeps its credit for the next block.
 */
export function condition(source: i32, length: i32, pieceLength: i32, rate: i32): i32 {
  const refusal = refusalToMix(source, length, rate);
  if (refusal != OK) return refuse(refusal);
  if (!isLength(pieceLength)) return refuse(REFUSED_LENGTH);
  const verdict = testSource(source, length);
  if (verdict != HEALTHY) return took(length, verdict == PERMANENT ? FAILED_PERMANENT : FAILED_INTERMITTENT);

  wipe(CREDIT, CREDIT_BYTES);
  const unitsPerByte = cappedRate(source, rate);
  let block = OUTPUT;
  for (let at: i32 = 0; at < length; at += pieceLength) {
    const taken = min<i32>(pieceLength, length - at);
    pool.absorb(POOL, source, INPUT + at, taken);
    pool.credit(POOL, source, unitsPerByte * taken);
    if (pool.isReady(POOL)) {
      // OUTPUT holds 2,048 blocks; 64 KiB at 8 bits a byte fill 1,638, and credit from before one more.
      assert(block + pool.BLOCK_BYTES <= OUTPUT + OUTPUT_BYTES);
      pool.extract(POOL, block, CREDIT);
      block += pool.BLOCK_BYTES;
    }
  }
  return took(length, <i32>(block - OUTPUT) / pool.BLOCK_BYTES);
}

function refusalToMix(source: i32, length: i32, rate: i32): i32 {
  if (!isReady()) return REFUSED_STATE;
  if (!isSource(source) || rate < 0) return REFUSED_ARGUMENT;
  if (!isLength(length)) return REFUSED_LENGTH;
  return health.isConfigured(limitsOf(source)) ? OK : SLOT_UNCONFIGURED;
}

/** Tests a source's samples; its credit is void when they fail. */
function testSource(source: i32, length: i32): u32 {
  const verdict = testInput(source, length);
  if (verdict != HEALTHY) pool.voidCredit(POOL, source);
  return verdict;
}

/** 1/1024 bit per byte; a slot's maximum is 8,192 at most. */
function cappedRate(source: i32, rate: i32): u64 {
  return min<u32>(rate, health.maximumRateOf(limitsOf(source)));
}
