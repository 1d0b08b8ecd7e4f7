import { isAllZero, wipe } from '../base/bytes.ts';
import { EntropyError } from '../base/errors.ts';
import type { Verdict } from '../base/names.ts';
import { BLOCK_BYTES } from '../base/units.ts';
import {
  MODULE_STATES,
  SEGMENTS,
  SELF_TESTS,
  SLOT_COUNT,
  SOURCE_COUNT,
  STATUS,
  VERDICTS,
  statusName,
  type MixerExports,
  type ModuleState,
  type SegmentName,
} from './abi.ts';
import { MAXIMUM_I32, expectBytes, expectInteger } from './arguments.ts';
import {
  CALL_BYTES,
  DIGEST_BYTES,
  START_SEED_BYTES,
  type Credit,
  type CreditBySlot,
  type DrbgState,
  type SlotTests,
  type SourceSlot,
} from './mixer-types.ts';
import { loadModule, type MixerBuild, type MixerModule, type ModuleOptions } from './wasm-module.ts';

export type { Verdict } from '../base/names.ts';
export { FIRST_DOOR_SLOT, SLOT_COUNT, type ModuleState } from './abi.ts';
export * from './mixer-types.ts';
export type { MixerBuild, ModuleOptions } from './wasm-module.ts';

/**
 * The one owner of a mixer module: copies bytes in and out, and turns statuses into results.
 *
 * Every method throws TypeError or RangeError for what a caller may never pass, and EntropyError `mixer-refused` for a
 * call that the module's state does not allow (before start, after wipe or a failed self-test).
 */
export class Mixer {
  readonly build: MixerBuild;
  /** Digest of the module in use, hexadecimal. */
  readonly sha256: string;
  readonly #exports: MixerExports;
  readonly #segments: Readonly<Record<SegmentName, Uint8Array>>;
  readonly #creditView: DataView;

  /** Reads and checks the module, self-test included; see loadModule for its errors. Reads files synchronously. */
  static load(options: ModuleOptions): Mixer {
    return new Mixer(loadModule(options));
  }

  private constructor(module: MixerModule) {
    this.build = module.build;
    this.sha256 = module.sha256;
    this.#exports = module.exports;
    this.#segments = module.segments;
    const credit = module.segments.credit;
    this.#creditView = new DataView(credit.buffer, credit.byteOffset, credit.byteLength);
  }

  /** Sets the first chain value from 64 secret bytes, worth no credit. Once; again only after wipe. */
  start(seed: Uint8Array): void {
    this.#put(seed, START_SEED_BYTES, START_SEED_BYTES);
    expectOk(this.#exports.start(seed.length));
  }

  /** Sets cutoffs and clears counters. EntropyError `source-rate-refused` when a cutoff cannot be reached or ordered so. */
  configureSlot(slot: number, tests: SlotTests): void {
    expectInteger('slot', slot, 0, SLOT_COUNT - 1);
    for (const [name, value] of Object.entries<number>({ ...tests }))
      expectInteger(name, value, 0, MAXIMUM_I32);
    const status = this.#exports.configureSlot(
      slot,
      tests.symbolBits,
      tests.rctIntermittent,
      tests.rctPermanent,
      tests.aptWindowSamples,
      tests.aptIntermittent,
      tests.aptPermanent,
      tests.maximumRateUnits,
    );
    if (status === STATUS.refusedArgument)
      throw new EntropyError('source-rate-refused', `tests of slot ${slot}`);
    expectOk(status);
  }

  /** Forgets runs and windows: the next sample is the slot's first. */
  resetSlot(slot: number): void {
    expectInteger('slot', slot, 0, SLOT_COUNT - 1);
    expectOk(this.#exports.resetSlot(slot));
  }

  /** Runs a slot's health tests over 1 to 65,536 bytes and mixes nothing. */
  test(slot: number, bytes: Uint8Array): Verdict {
    expectInteger('slot', slot, 0, SLOT_COUNT - 1);
    this.#put(bytes, 1, CALL_BYTES);
    return verdictOf(this.#exports.test(slot, bytes.length));
  }

  /**
   * Tests 1 to 65,536 bytes of a source; healthy ones are mixed in and credited, others are discarded and take the
   * source's credit since the last block with them.
   */
  ingest(source: SourceSlot, bytes: Uint8Array, credit: Credit): Verdict {
    expectInteger('source', source, 0, SOURCE_COUNT - 1);
    expectInteger('creditableBytes', credit.creditableBytes, 0, MAXIMUM_I32);
    expectInteger('rateUnits', credit.rateUnits, 0, MAXIMUM_I32);
    this.#put(bytes, 1, CALL_BYTES);
    return verdictOf(this.#exports.ingest(source, bytes.length, credit.creditableBytes, credit.rateUnits));
  }

  /** Takes back what a source was credited since the last block. */
  voidCredit(source: SourceSlot): void {
    expectInteger('source', source, 0, SOURCE_COUNT - 1);
    expectOk(this.#exports.voidCredit(source));
  }

  /** Credit since the last block. */
  creditUnits(): CreditBySlot {
    this.#exports.queryCredit();
    return this.#credit();
  }

  /** True when at least 320 bits are credited, so that the next extract gives a block. */
  readyForBlock(): boolean {
    return this.#exports.readyForBlock() === 1;
  }

  /** Writes a block of 32 bytes to `target` and says what it was made from; undefined, and nothing done, below 320 bits. */
  extract(target: Uint8Array): CreditBySlot | undefined {
    expectBytes('target', target, BLOCK_BYTES, BLOCK_BYTES);
    const status = this.#exports.extract();
    if (status === STATUS.notReady) return undefined;
    expectOk(status);
    this.#take(target, BLOCK_BYTES);
    return this.#credit();
  }

  /**
   * Bulk form of ingest and extract: tests all bytes (1 to 65,536), mixes them in pieces of `pieceBytes`, each credited
   * at `rateUnits`, and writes a block of 32 bytes to `target` whenever 320 bits are reached. No block at all comes
   * from bytes that fail. `target` holds 32 bytes for each piece, or 65,536.
   */
  condition(
    source: SourceSlot,
    bytes: Uint8Array,
    pieceBytes: number,
    rateUnits: number,
    target: Uint8Array,
  ): { readonly verdict: Verdict; readonly blocks: number } {
    expectInteger('source', source, 0, SOURCE_COUNT - 1);
    expectInteger('pieceBytes', pieceBytes, 1, CALL_BYTES);
    expectInteger('rateUnits', rateUnits, 0, MAXIMUM_I32);
    const pieces = Math.ceil(bytes.length / pieceBytes);
    expectBytes('target', target, Math.min(pieces * BLOCK_BYTES, CALL_BYTES), Number.MAX_SAFE_INTEGER);
    this.#put(bytes, 1, CALL_BYTES);
    const status = this.#exports.condition(source, bytes.length, pieceBytes, rateUnits);
    if (status === STATUS.failedIntermittent) return { verdict: 'intermittent', blocks: 0 };
    if (status === STATUS.failedPermanent) return { verdict: 'permanent', blocks: 0 };
    expectOk(status);
    this.#take(target, status * BLOCK_BYTES);
    return { verdict: 'healthy', blocks: status };
  }

  /** What all blocks of the last condition, or the block of the last extract or reserveSeed, were made from. */
  lastSpentUnits(): CreditBySlot {
    return this.#credit();
  }

  /** Draws a block from the pool for the DRBG alone; false when none is ready or all places are taken. */
  reserveSeed(): boolean {
    const status = this.#exports.reserveSeed();
    if (status === STATUS.notReady || status === STATUS.seedsFull) return false;
    expectOk(status);
    return true;
  }

  seedsReserved(): number {
    return this.#exports.seedsReserved();
  }

  /** Instantiates the DRBG from two reserved seeds. */
  instantiate(personalization: Uint8Array): void {
    this.#put(personalization, 0, CALL_BYTES);
    expectOk(this.#exports.instantiate(personalization.length));
  }

  /** Reseeds it from one, the newest. */
  reseed(additional: Uint8Array): void {
    this.#put(additional, 0, CALL_BYTES);
    expectOk(this.#exports.reseed(additional.length));
  }

  /**
   * Fills `target` (1 to 65,536 bytes), reseeding on the way after every 16,384 bytes of output. False, and nothing
   * generated, unless every seed that this takes is reserved.
   */
  generate(target: Uint8Array, additional: Uint8Array): boolean {
    expectBytes('target', target, 1, CALL_BYTES);
    this.#put(additional, 0, CALL_BYTES);
    const status = this.#exports.generate(target.length, additional.length);
    if (status === STATUS.reseedRequired) return false;
    expectOk(status);
    this.#take(target, target.length);
    return true;
  }

  /** Wipes the DRBG and the seeds reserved for it. */
  uninstantiate(): void {
    expectOk(this.#exports.uninstantiate());
  }

  drbgState(): DrbgState {
    if (this.state() === 'failed') return 'failed';
    return this.#exports.drbgInstantiated() === 1 ? 'ready' : 'uninstantiated';
  }

  /** SHA-512 of the parts, one after the other; 64 bytes. */
  hash(...parts: readonly Uint8Array[]): Uint8Array {
    for (const part of parts) expectBytes('part', part, 0, Number.MAX_SAFE_INTEGER);
    expectOk(this.#exports.hashStart());
    for (const part of parts) {
      for (let at = 0; at < part.length; at += CALL_BYTES) {
        const piece = part.subarray(at, at + CALL_BYTES);
        this.#put(piece, 1, CALL_BYTES);
        expectOk(this.#exports.hashUpdate(piece.length));
      }
    }
    expectOk(this.#exports.hashFinish());
    const digest = new Uint8Array(DIGEST_BYTES);
    this.#take(digest, DIGEST_BYTES);
    return digest;
  }

  /**
   * Runs the known-answer tests on scratch memory: 0, or the number of the first that failed. With `fault` n, test n is
   * shown a wrong value and answers n. A failure not asked for wipes the module for good.
   */
  selfTest(fault = 0): number {
    expectInteger('fault', fault, 0, SELF_TESTS.length);
    const failed = this.#exports.selfTest(fault);
    if (failed < 0) expectOk(failed);
    return failed;
  }

  /** For people: the name of a self-test, numbered from 1. */
  selfTestName(test: number): string {
    return SELF_TESTS[test - 1] ?? `self-test ${test}`;
  }

  /** Overwrites every secret the module holds; only `start` leads on from there. */
  wipe(): void {
    expectOk(this.#exports.wipe());
  }

  /** Hands the module's whole memory to `lock` (mlock), so that none of it is swapped out; tells what that answered. */
  lockMemory(lock: (memory: Uint8Array) => boolean): boolean {
    return lock(new Uint8Array(this.#segments.input.buffer));
  }

  state(): ModuleState {
    return MODULE_STATES[this.#exports.moduleState()] ?? 'failed';
  }

  /** True when nothing secret is left in the module's memory, as after wipe. Reads about 200 KiB. */
  secretSegmentsAreZero(): boolean {
    return SEGMENTS.every(({ name, secrecy }) => secrecy !== 'secret' || isAllZero(this.#segments[name]));
  }

  /** Checks the length and copies into INPUT; the module zeroes it again, whatever it answers. */
  #put(bytes: Uint8Array, minimum: number, maximum: number): void {
    expectBytes('bytes', bytes, minimum, maximum);
    this.#segments.input.set(bytes);
  }

  /** Copies out of OUTPUT, and zeroes what was copied. */
  #take(target: Uint8Array, length: number): void {
    const output = this.#segments.output.subarray(0, length);
    target.set(output);
    wipe(output);
  }

  #credit(): CreditBySlot {
    const view = this.#creditView;
    return [
      view.getUint32(0, true),
      view.getUint32(4, true),
      view.getUint32(8, true),
      view.getUint32(12, true),
    ];
  }
}

/** Passes results (0 and above); a refusal here means a call in the wrong state. */
function expectOk(status: number): void {
  if (status < 0) throw new EntropyError('mixer-refused', statusName(status));
}

function verdictOf(status: number): Verdict {
  expectOk(status);
  const verdict = VERDICTS[status];
  if (verdict === undefined) throw new Error(`the mixer answered verdict ${status}`);
  return verdict;
}
