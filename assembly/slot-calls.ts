import { wipe } from './bytes';
import { isDown, isLength, isSlot, refuse, took } from './guards';
import * as health from './health';
import { COUNTERS, INPUT, LIMITS } from './segments';
import { OK, REFUSED_ARGUMENT, REFUSED_LENGTH, REFUSED_STATE, SLOT_UNCONFIGURED } from './status';

/** Sets a slot's limits and clears its counters; a refusal leaves the old limits. */
export function configureSlot(
  slot: i32,
  symbolBits: i32,
  rctIntermittent: i32,
  rctPermanent: i32,
  aptWindow: i32,
  aptIntermittent: i32,
  aptPermanent: i32,
  maximumRate: i32,
): i32 {
  if (isDown()) return REFUSED_STATE;
  if (!isSlot(slot)) return REFUSED_ARGUMENT;
  const accepted = health.configure(
    limitsOf(slot),
    symbolBits,
    rctIntermittent,
    rctPermanent,
    aptWindow,
    aptIntermittent,
    aptPermanent,
    maximumRate,
  );
  return accepted ? resetSlot(slot) : REFUSED_ARGUMENT;
}

export function resetSlot(slot: i32): i32 {
  if (isDown()) return REFUSED_STATE;
  if (!isSlot(slot)) return REFUSED_ARGUMENT;
  wipe(countersOf(slot), health.SLOT_COUNTERS_BYTES);
  return OK;
}

export function test(slot: i32, length: i32): i32 {
  if (isDown()) return refuse(REFUSED_STATE);
  if (!isSlot(slot)) return refuse(REFUSED_ARGUMENT);
  if (!isLength(length)) return refuse(REFUSED_LENGTH);
  if (!health.isConfigured(limitsOf(slot))) return refuse(SLOT_UNCONFIGURED);
  return took(length, testInput(slot, length));
}

/** Runs a slot's tests over INPUT; the caller has checked slot and length. */
export function testInput(slot: i32, length: i32): u32 {
  return health.testSamples(limitsOf(slot), countersOf(slot), INPUT, length);
}

export function limitsOf(slot: i32): usize {
  return LIMITS + slot * health.SLOT_LIMITS_BYTES;
}

function countersOf(slot: i32): usize {
  return COUNTERS + slot * health.SLOT_COUNTERS_BYTES;
}
