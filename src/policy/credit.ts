import type { PerSource, SourceName } from '../base/names.ts';
import { BITS_PER_BYTE, BLOCK_BITS, CREDIT_UNITS_PER_BIT, FULL_ENTROPY_INPUT_UNITS } from '../base/units.ts';
import { isInMask } from './source-mask.ts';

/**
 * What a source's bytes are worth, in 1/1024 bit per byte. Policy, not measurement: it may be lowered freely, and must
 * never exceed the rate its health tests assume (`TEST_BITS_PER_BYTE`).
 */
const POLICY_RATE_UNITS: PerSource<number> = {
  // One bit per 64 events, a sixty-fourth of what a recording shows: the kernel counts timer interrupts the same way.
  interrupts: CREDIT_UNITS_PER_BIT / 64,
  // RDRAND is a DRBG that hardware reseeds within 2,048 bytes at the latest: 8 bits per 2,048 bytes.
  rdrand: (8 * CREDIT_UNITS_PER_BIT) / 2048,
  rdseed: 4 * CREDIT_UNITS_PER_BIT,
  // At most; what a feeder's bytes are worth is set at its enrolment, and they are tested at the door.
  external: BITS_PER_BYTE * CREDIT_UNITS_PER_BIT,
};

/**
 * Min-entropy per byte that the health tests of a source assume: their cutoffs come from it (SP 800-90B 4.4). External bytes were
 * tested at the door, so nothing is held against their rate here.
 */
export const TEST_BITS_PER_BYTE: PerSource<number> = {
  interrupts: 0.5,
  rdrand: 4,
  rdseed: 4,
  external: BITS_PER_BYTE,
};

/**
 * Credit per byte of a source under a mask, in 1/1024 bit.
 *
 * RDRAND and RDSEED are one noise source: RDRAND is worth 0 whenever bit 4 is in the mask, healthy or not, so that their
 * credits are never added and a failed RDSEED is never replaced in silence.
 */
export function creditRateUnits(name: SourceName, mask: number): number {
  if (name === 'rdrand' && isInMask(mask, 'rdseed')) return 0;
  return POLICY_RATE_UNITS[name];
}

/** What an uncredited source still contributes to each block, in bytes. */
const UNCREDITED_BYTES_PER_BLOCK = 64;

/**
 * What a byte counts towards the most a source gives to one block, which is 320 bits, in 1/1024 bit: its credit; an uncredited
 * byte counts so that 64 are the most.
 */
export function shareUnits(rateUnits: number): number {
  return rateUnits === 0 ? FULL_ENTROPY_INPUT_UNITS / UNCREDITED_BYTES_PER_BLOCK : rateUnits;
}

/** The most a source gives to one block: what would fill it alone, ceil(320 bits / rate). */
export function bytesPerBlock(rateUnits: number): number {
  return Math.ceil(FULL_ENTROPY_INPUT_UNITS / shareUnits(rateUnits));
}

/**
 * Bits RNDADDENTROPY is asked to credit for one 256-bit block, of 0 to 256.
 *
 * The kernel counts interrupts, RDSEED and RDRAND by itself, so only the external part counts, less the 64 bits that a vetted
 * conditioner needs above its output. `creditCpu` (opt-in, logged) counts all sources.
 */
export function kernelCreditBits(blockCreditUnits: PerSource<number>, creditCpu: boolean): number {
  const { interrupts, rdrand, rdseed, external } = blockCreditUnits;
  const countedUnits = creditCpu ? interrupts + rdrand + rdseed + external : external;
  const countedBits = Math.floor(countedUnits / CREDIT_UNITS_PER_BIT);
  return Math.min(BLOCK_BITS, Math.max(0, countedBits - 64));
}
