import * as guards from './guards';
import * as drbg from './hash-drbg';
import * as pool from './pool';
import * as seeds from './seeds';
import * as segments from './segments';
import { SELF_TESTS } from './self-test';
import { OK } from './status';

const ABI_VERSION: i32 = 1;

export function abiVersion(): i32 {
  return ABI_VERSION;
}

export function moduleState(): i32 {
  return guards.stateNow();
}

export function segmentCount(): i32 {
  return segments.SEGMENTS;
}

export function segmentAddress(segment: i32): i32 {
  return segments.addressOf(segment);
}

export function segmentCapacity(segment: i32): i32 {
  return segments.capacityOf(segment);
}

export function segmentSecrecy(segment: i32): i32 {
  return segments.secrecyOf(segment);
}

export function selfTestCount(): i32 {
  return SELF_TESTS;
}

export function seedsReserved(): i32 {
  return seeds.reservedSeeds();
}

export function drbgInstantiated(): i32 {
  return drbg.isInstantiated(segments.DRBG) ? 1 : 0;
}

export function readyForBlock(): i32 {
  return guards.isReady() && pool.isReady(segments.POOL) ? 1 : 0;
}

export function queryCredit(): i32 {
  for (let source: u32 = 0; source < segments.SOURCES; source++) {
    store<u32>(segments.CREDIT + source * 4, <u32>pool.creditOf(segments.POOL, source));
  }
  return OK;
}
