/** Where bytes came from, and what they are worth: it goes with them through both caches. */
export interface Origin {
  /** The feeder's number, u32 from 1: given at enrolment and never reused. */
  readonly feeder: number;
  /** Credit in 1/1024 bit per byte, 1 to 8192. */
  readonly rateUnits: number;
}

/** The origin of the install seed: no feeder gets this number. */
export const INSTALL_SEED_FEEDER = 0xffff_ffff;

/** Bytes of one origin. Who takes a portion owns its bytes, and wipes them after use. */
export interface Portion {
  readonly origin: Origin;
  readonly bytes: Uint8Array;
}
