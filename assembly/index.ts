/**
 * The ABI. Lengths and small integers go in, a status comes back (status.ts); bytes go by segments (segments.ts).
 * A call that takes bytes reads them from the start of INPUT and leaves INPUT zero, whatever it answers.
 */

// What the module is: allowed in every state.
export { abiVersion } from './queries'; // () the version of all this
export { moduleState } from './queries'; // () IDLE, READY, WIPED or FAILED
export { segmentCount } from './queries'; // () segments have the ids 0 to this - 1
export { segmentAddress, segmentCapacity, segmentSecrecy } from './queries'; // (segment)
export { selfTestCount } from './queries'; // () tests have the numbers 1 to this
export { seedsReserved, drbgInstantiated, readyForBlock } from './queries'; // ()
export { queryCredit } from './queries'; // () credit since the last block → CREDIT

// Health tests alone: start-up tests and doors.
export { configureSlot } from './slot-calls'; // (slot, symbolBits, 2 RCT cutoffs, APT window, 2 APT cutoffs, maximumRate)
export { resetSlot } from './slot-calls'; // (slot) the next sample is its first
export { test } from './slot-calls'; // (slot, length) → verdict

// The pool.
export { start } from './pool-calls'; // (64) first chain value from INPUT; from IDLE or WIPED
export { ingest } from './pool-calls'; // (source, length, creditableLength, rate) → verdict
export { voidCredit } from './pool-calls'; // (source)
export { extract } from './pool-calls'; // () one block → OUTPUT, what it was made from → CREDIT
export { condition } from './pool-calls'; // (source, length, pieceLength, rate) → number of blocks in OUTPUT

// Hash_DRBG, with seeds from the pool alone.
export { reserveSeed } from './drbg-calls'; // () one block → SEEDS
export { instantiate } from './drbg-calls'; // (personalizationLength) takes two seeds
export { reseed } from './drbg-calls'; // (additionalLength) takes one
export { generate } from './drbg-calls'; // (length, additionalLength) → OUTPUT, taking a seed per 16 KiB
export { uninstantiate } from './drbg-calls'; // () wipes state and seeds

// SHA-512 on a context of its own.
export { hashStart, hashFinish } from './hash-calls'; // () the digest → OUTPUT
export { hashUpdate } from './hash-calls'; // (length)

// A DRBG for known-answer tests, with entropy from INPUT; it cannot reach the one in service.
export { scratchInstantiate } from './scratch-calls'; // (entropyLength, nonceLength, personalizationLength)
export { scratchReseed } from './scratch-calls'; // (entropyLength, additionalLength)
export { scratchGenerate } from './scratch-calls'; // (length, additionalLength) → OUTPUT

// Trust, and its end.
export { selfTest } from './lifecycle'; // (fault) → 0 or the number of the test that failed
export { wipe } from './lifecycle'; // () every secret segment is overwritten; only start leads on
