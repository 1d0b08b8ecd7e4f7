/** What callers of the mixer give and get, with the sizes it keeps to. */

/** Slots of the four noise sources: interrupts, RDRAND, RDSEED, external; bit `1 << slot` of a source mask. */
export type SourceSlot = 0 | 1 | 2 | 3;

/** What one call takes or gives at most. */
export const CALL_BYTES = 65_536;
export const START_SEED_BYTES = 64;
export const DIGEST_BYTES = 64;
/** 2^17 bits: what the DRBG gives out from one seed at most. */
export const OUTPUT_BYTES_PER_SEED = 16_384;

/** Health tests of one slot; see assembly/health.ts for the semantics. */
export interface SlotTests {
  /** Width of an RCT sample; the APT always takes bytes. */
  readonly symbolBits: 8 | 64;
  readonly rctIntermittent: number;
  readonly rctPermanent: number;
  readonly aptWindowSamples: number;
  readonly aptIntermittent: number;
  readonly aptPermanent: number;
  /** Credit for this slot's bytes at most, in 1/1024 bit per byte (8,192 = all of it). */
  readonly maximumRateUnits: number;
}

export interface Credit {
  /** How many of the bytes count; never more than there are. */
  readonly creditableBytes: number;
  /** 1/1024 bit per byte; the slot's maximum bounds it. */
  readonly rateUnits: number;
}

/** Credit of the four sources, in 1/1024 bit. */
export type CreditBySlot = readonly [number, number, number, number];

export type DrbgState = 'uninstantiated' | 'ready' | 'failed';
