import { EntropyError } from '../base/errors.ts';
import { BITS_PER_BYTE, CREDIT_UNITS_PER_BIT } from '../base/units.ts';
import { ALPHA_EXPONENT, APT_WINDOW_SAMPLES, slotCutoffs, type SlotCutoffs } from './cutoffs.ts';

export interface SourceTestOptions {
  /** Width of a sample for the repetition count test; the adaptive proportion test always takes bytes. */
  readonly symbolBits: 8 | 64;
  /** Min-entropy per byte that the cutoffs assume. */
  readonly testBitsPerByte: number;
  /** Credit per byte, in 1/1024 bit. */
  readonly creditRateUnits: number;
}

/** The tests of one source, as the mixer takes them. */
export interface SourceTests extends SlotCutoffs {
  readonly symbolBits: 8 | 64;
  readonly maximumRateUnits: number;
}

/** For bytes that were tested before they came to the mixer: limits that such bytes cannot reach. */
export const TESTED_BEFORE: SourceTests = {
  symbolBits: 8,
  rctIntermittent: 0x4000_0000,
  rctPermanent: 0x4000_0000,
  aptWindowSamples: 65_536,
  aptIntermittent: 65_536,
  aptPermanent: 65_536,
  maximumRateUnits: BITS_PER_BYTE * CREDIT_UNITS_PER_BIT,
};

/**
 * Cutoffs of a source's continuous tests (SP 800-90B 4.4) from the entropy that is claimed for the tests.
 *
 * @throws EntropyError source-rate-refused when the credit rate is above the test rate, or an APT cutoff would lie beyond its
 *   window, where no window could reach it: such a source must not be built.
 */
export function sourceTests({
  symbolBits,
  testBitsPerByte,
  creditRateUnits,
}: SourceTestOptions): SourceTests {
  const testRateUnits = testBitsPerByte * CREDIT_UNITS_PER_BIT;
  if (creditRateUnits > testRateUnits) {
    throw new EntropyError(
      'source-rate-refused',
      `a credit of ${creditRateUnits}/1024 bit per byte is above the ${testRateUnits}/1024 that its tests assume`,
    );
  }
  // A window of equal samples has probability 2^-(H W). Were that above alpha, even the whole window would be no alarm.
  if (testBitsPerByte * APT_WINDOW_SAMPLES < ALPHA_EXPONENT.permanent) {
    throw new EntropyError(
      'source-rate-refused',
      `at ${testBitsPerByte} bits per byte the APT cutoff is beyond its window of ${APT_WINDOW_SAMPLES} samples`,
    );
  }
  const cutoffs = slotCutoffs({
    rctBitsPerSample: (testBitsPerByte * symbolBits) / BITS_PER_BYTE,
    aptBitsPerSample: testBitsPerByte,
  });
  return { ...cutoffs, symbolBits, maximumRateUnits: testRateUnits };
}
