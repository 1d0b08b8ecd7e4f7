import { HEALTHY, INTERMITTENT, PERMANENT } from './status';

/**
 * Repetition count test and adaptive proportion test, SP 800-90B sections 4.4.1 and 4.4.2: a test fails at the sample
 * with which its count reaches the cutoff. Each has two cutoffs; counting goes on through a failure, so that a source
 * which stays stuck climbs from the intermittent to the permanent one.
 *
 * Beside the standard's RCT runs the same test at lag 2 (a further test, as section 4.5 allows): it counts samples equal
 * to the last but one, and so catches a source that alternates, which neither RCT nor APT sees. Its run is as unlikely
 * as the RCT's, H bits a sample, so it has the same cutoffs.
 *
 * The APT always takes bytes as samples. The RCT takes bytes, or little-endian 64-bit words counted from the start of
 * each call; bytes after the last whole word are then seen by the APT alone.
 */

// A slot's limits: all u32. SYMBOL_BYTES 0 means that the slot has none yet.
const SYMBOL_BYTES: u32 = 0;
const RCT_INTERMITTENT: u32 = 4;
const RCT_PERMANENT: u32 = 8;
const APT_WINDOW: u32 = 12;
const APT_INTERMITTENT: u32 = 16;
const APT_PERMANENT: u32 = 20;
const MAXIMUM_RATE: u32 = 24;

// A slot's counters: the last sample and the one before it (u64 each); length of the run of equal samples (0: no sample
// yet) and of samples equal to their last but one (0: fewer than two samples yet); the sample that opened the window,
// how often it came, and how many samples the window has seen (0: a window begins with the next sample).
const LAST_SAMPLE: u32 = 0;
const SAMPLE_BEFORE: u32 = 8;
const RUN_LENGTH: u32 = 16;
const ALTERNATION_LENGTH: u32 = 20;
const WINDOW_SAMPLE: u32 = 24;
const WINDOW_COUNT: u32 = 28;
const WINDOW_SEEN: u32 = 32;

export const SLOT_LIMITS_BYTES: u32 = 32;
export const SLOT_COUNTERS_BYTES: u32 = 40;

/** 8 bits per byte, in 1/1024 bit. */
export const RATE_CEILING: u32 = 8192;
const WINDOW_CEILING: u32 = 65536;
const RCT_CEILING: u32 = 0x40000000;

/** False, and nothing written, when a limit is out of range or could never be reached (FIPS 140-2 IG 7.19). */
export function configure(
  limits: usize,
  symbolBits: u32,
  rctIntermittent: u32,
  rctPermanent: u32,
  aptWindow: u32,
  aptIntermittent: u32,
  aptPermanent: u32,
  maximumRate: u32,
): bool {
  if (symbolBits != 8 && symbolBits != 64) return false;
  if (rctIntermittent < 2 || rctPermanent < rctIntermittent || rctPermanent > RCT_CEILING) return false;
  if (aptIntermittent < 2 || aptPermanent < aptIntermittent || aptPermanent > aptWindow) return false;
  if (aptWindow > WINDOW_CEILING || maximumRate > RATE_CEILING) return false;

  store<u32>(limits + SYMBOL_BYTES, symbolBits / 8);
  store<u32>(limits + RCT_INTERMITTENT, rctIntermittent);
  store<u32>(limits + RCT_PERMANENT, rctPermanent);
  store<u32>(limits + APT_WINDOW, aptWindow);
  store<u32>(limits + APT_INTERMITTENT, aptIntermittent);
  store<u32>(limits + APT_PERMANENT, aptPermanent);
  store<u32>(limits + MAXIMUM_RATE, maximumRate);
  return true;
}

export function isConfigured(limits: usize): bool {
  return load<u32>(limits + SYMBOL_BYTES) != 0;
}

/** Credit the slot's bytes may get at most, in 1/1024 bit per byte. */
export function maximumRateOf(limits: usize): u32 {
  return load<u32>(limits + MAXIMUM_RATE);
}

/** Runs both tests over `length` bytes and answers the highest tier reached. */
export function testSamples(limits: usize, counters: usize, from: usize, length: u32): u32 {
  const run =
    load<u32>(limits + SYMBOL_BYTES) == 1
      ? longestRun<u8>(limits, counters, from, length)
      : longestRun<u64>(limits, counters, from, length / 8);
  const proportion = highestProportion(limits, counters, from, length);
  return max<u32>(
    tier(run, load<u32>(limits + RCT_INTERMITTENT), load<u32>(limits + RCT_PERMANENT)),
    tier(proportion, load<u32>(limits + APT_INTERMITTENT), load<u32>(limits + APT_PERMANENT)),
  );
}

function tier(count: u32, intermittent: u32, permanent: u32): u32 {
  return count >= permanent ? PERMANENT : count >= intermittent ? INTERMITTENT : HEALTHY;
}

/** RCT at lag 1 and 2: the highest run length at any sample of this call; 0 without samples. */
function longestRun<T>(limits: usize, counters: usize, from: usize, samples: u32): u32 {
  let last = <T>load<u64>(counters + LAST_SAMPLE);
  let before = <T>load<u64>(counters + SAMPLE_BEFORE);
  let run = load<u32>(counters + RUN_LENGTH);
  let alternation = load<u32>(counters + ALTERNATION_LENGTH);
  let longest: u32 = 0;
  const end = from + samples * sizeof<T>();

  while (from < end) {
    if (ASC_FEATURE_SIMD) {
      // From the third sample on both neighbours stand in memory: 16 bytes that equal neither break both runs.
      if (sizeof<T>() == 1 && longest != 0 && from + 16 <= end && !hasEqualNeighbours(from)) {
        run = 1;
        alternation = 1;
        last = load<T>(from + 15);
        before = load<T>(from + 14);
        from += 16;
        continue;
      }
    }
    const stop = ASC_FEATURE_SIMD && sizeof<T>() == 1 ? min<usize>(from + 16, end) : end;
    for (; from < stop; from += sizeof<T>()) {
      const sample = load<T>(from);
      alternation = run == 0 ? 0 : alternation != 0 && sample == before ? alternation + 1 : 1;
      run = run != 0 && sample == last ? run + 1 : 1;
      longest = max<u32>(longest, max<u32>(run, alternation));
      before = last;
      last = sample;
    }
  }

  store<u64>(counters + LAST_SAMPLE, <u64>last);
  store<u64>(counters + SAMPLE_BEFORE, <u64>before);
  // Held at the permanent cutoff, where it fails for good, so that no stuck source can make it wrap.
  const held = load<u32>(limits + RCT_PERMANENT);
  store<u32>(counters + RUN_LENGTH, min<u32>(run, held));
  store<u32>(counters + ALTERNATION_LENGTH, min<u32>(alternation, held));
  return longest;
}

/** True when one of 16 bytes equals the byte before it or the one before that. */
function hasEqualNeighbours(at: usize): bool {
  const samples = v128.load(at);
  return v128.any_true(v128.or(i8x16.eq(samples, v128.load(at - 1)), i8x16.eq(samples, v128.load(at - 2))));
}

/** APT: the highest count at any sample of this call that equals the one its window opened with; 0 when none does. */
function highestProportion(limits: usize, counters: usize, from: usize, length: u32): u32 {
  const window = load<u32>(limits + APT_WINDOW);
  let sample = load<u32>(counters + WINDOW_SAMPLE);
  let count = load<u32>(counters + WINDOW_COUNT);
  let seen = load<u32>(counters + WINDOW_SEEN);
  let highest: u32 = 0;

  for (const end = from + length; from < end;) {
    if (seen == 0) {
      sample = load<u8>(from);
      count = 1;
      seen = 1;
      from++;
    }
    const taken = min<u32>(window - seen, <u32>(end - from));
    const equals = countEqual(from, taken, sample);
    count += equals;
    if (equals != 0) highest = max<u32>(highest, count);
    from += taken;
    seen += taken;
    if (seen == window) seen = 0;
  }

  store<u32>(counters + WINDOW_SAMPLE, sample);
  store<u32>(counters + WINDOW_COUNT, count);
  store<u32>(counters + WINDOW_SEEN, seen);
  return highest;
}

/** How many of `length` bytes are `sample`. */
function countEqual(from: usize, length: u32, sample: u32): u32 {
  let count: u32 = 0;
  const end = from + length;
  if (ASC_FEATURE_SIMD) {
    const samples = i8x16.splat(<i8>sample);
    for (; from + 16 <= end; from += 16) count += popcnt(i8x16.bitmask(i8x16.eq(v128.load(from), samples)));
  }
  for (; from < end; from++) count += u32(load<u8>(from) == sample);
  return count;
}
