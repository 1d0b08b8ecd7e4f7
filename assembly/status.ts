/** What a call answers: 0 or above is a result, below 0 a refusal that changed nothing but INPUT (zeroed). */

export const OK: i32 = 0;
/** The pool holds less than 320 credited bits. */
export const NOT_READY: i32 = -1;
/** A length is below 1 or above what its segment or the rule of the call allows. */
export const REFUSED_LENGTH: i32 = -2;
/** Slot, source, cutoff, window, rate or fault number out of range. */
export const REFUSED_ARGUMENT: i32 = -3;
/** Not in the module's present state: before start, or after wipe or a failed self-test. */
export const REFUSED_STATE: i32 = -4;
/** The slot has no cutoffs yet. */
export const SLOT_UNCONFIGURED: i32 = -5;
/** All places for seeds are taken. */
export const SEEDS_FULL: i32 = -6;
/** Fewer seeds are reserved than the call consumes. */
export const SEEDS_MISSING: i32 = -7;
/** The DRBG is not instantiated. */
export const NOT_INSTANTIATED: i32 = -8;
/** A reseed is due, and the seeds for it are not all reserved; not one byte was generated. */
export const RESEED_REQUIRED: i32 = -9;
/** `condition` only: the input failed its health tests at this tier and gave no block. */
export const FAILED_INTERMITTENT: i32 = -10;
export const FAILED_PERMANENT: i32 = -11;

/** Verdicts of `test` and `ingest`: the highest tier that a sample of the call reached. */
export const HEALTHY: u32 = 0;
export const INTERMITTENT: u32 = 1;
export const PERMANENT: u32 = 2;

/** States of the module. IDLE → READY by `start`; → WIPED by `wipe`, from where `start` leads back; FAILED is final. */
export const IDLE: i32 = 0;
export const READY: i32 = 1;
export const WIPED: i32 = 2;
export const FAILED: i32 = 3;
