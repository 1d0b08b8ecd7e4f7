import type { Clock } from '../base/clock.ts';
import type { Counters } from '../base/counters.ts';
import { messageOf } from '../base/errors.ts';
import type { EventSink } from '../base/events.ts';
import { SOURCE_BITS, SOURCE_NAMES, type Verdict } from '../base/names.ts';
import { CREDIT_UNITS_PER_BIT, FULL_ENTROPY_INPUT_BITS } from '../base/units.ts';
import type { SourceReport } from '../contract/outputs.ts';
import { sourceTests, type SourceTests, TESTED_BEFORE } from '../health/source-tests.ts';
import { SourceState } from '../health/source-state.ts';
import { someHalvesDiffer } from '../health/startup-check.ts';
import type { Mixer, SourceSlot } from '../mixer/mixer.ts';
import { bytesPerBlock, creditRateUnits, TEST_BITS_PER_BYTE } from '../policy/credit.ts';
import { isInMask } from '../policy/source-mask.ts';
import type { NoiseSource } from '../sources/noise-source.ts';
import type { SampleTap } from '../sources/sample-tap.ts';
import { PIECE_LIMIT_BYTES, SampleReader } from './sample-reader.ts';

/** SP 800-90B 4.3 item 4 wants at least 1,024 consecutive samples. */
const STARTUP_SAMPLES = 1024;

/** Told of RDRAND while bit 4 is in the mask. */
const UNCREDITED_BESIDE_RDSEED = 'one noise source with RDSEED, which is credited';

export interface MonitoredSourceDependencies {
  readonly source: NoiseSource;
  readonly mixer: Mixer;
  readonly tap: SampleTap;
  readonly clock: Clock;
  readonly events: EventSink;
  readonly counters: Counters;
  /** Scratch for raw samples, PIECE_LIMIT_BYTES long; shared, and zero between calls. */
  readonly scratch: Uint8Array;
}

/**
 * One noise source with its health state, credit rate and figures. All that the source gives goes tap → tests → pool, and nothing
 * it does can throw through here: a source that misbehaves fails.
 */
export class MonitoredSource {
  readonly source: NoiseSource;
  readonly state: SourceState;
  #policyRateUnits = 0;
  #isOpen = false;
  readonly #slot: SourceSlot;
  readonly #tests: SourceTests;
  readonly #mixer: Mixer;
  readonly #counters: Counters;
  readonly #reader: SampleReader;
  #testedBytes = 0;
  #creditedUnits = 0;
  /** Whether a word of this start-up test had different halves; symbols of a byte have none. */
  #halvesDiffered = false;

  /** Under a mask that leaves every source out; `useMask` says which one is in force. */
  constructor(dependencies: MonitoredSourceDependencies) {
    const { source, mixer, clock, events } = dependencies;
    this.source = source;
    this.#mixer = mixer;
    this.#counters = dependencies.counters;
    this.#slot = SOURCE_NAMES.indexOf(source.name) as SourceSlot;
    this.#reader = new SampleReader({
      ...dependencies,
      onFailed: (because) => {
        this.#mixer.voidCredit(this.#slot);
        this.state.fail(because);
      },
      onNothing: (empty) => {
        if (empty !== undefined) this.state.stall(empty);
        else this.state.gaveNothing();
      },
    });
    this.#tests =
      source.testedBefore === true
        ? TESTED_BEFORE
        : sourceTests({
            symbolBits: source.sampleBytes === 8 ? 64 : 8,
            testBitsPerByte: TEST_BITS_PER_BYTE[source.name],
            // The most it is worth under any mask.
            creditRateUnits: creditRateUnits(source.name, SOURCE_BITS[source.name]),
          });
    this.state = new SourceState(
      { name: source.name, startupSamples: STARTUP_SAMPLES, expectedSampleMs: source.expectedSampleMs },
      { clock, events },
    );
    this.state.maskOut();
  }

  /**
   * The mask in force: sets the rate, and whether the source may be read. Of one that is left out, gathering ends and what it was
   * credited since the last block is void, so that no block is made from a source that its mask does not name; of one that comes in,
   * `open` begins gathering and the start-up test. What other masks made of its worth is void too: RDRAND's and RDSEED's
   * credits are never added.
   */
  useMask(mask: number): void {
    const rateUnits = creditRateUnits(this.source.name, mask);
    const isIn = isInMask(mask, this.source.name);
    if (this.#isOpen && (!isIn || rateUnits !== this.#policyRateUnits)) this.#mixer.voidCredit(this.#slot);
    this.#policyRateUnits = rateUnits;
    if (!isIn) {
      this.close();
      this.state.maskOut();
    } else if (this.state.name === 'masked-out') {
      this.state.maskIn();
      if (this.source.unavailable !== '') this.state.setUnavailable(this.source.unavailable);
    }
  }

  /** Why it could not be credited under a mask that names it; empty when it can. */
  whyUseless(mask: number): string {
    if (this.source.unavailable !== '') return this.source.unavailable;
    if (this.state.name === 'unavailable') return this.state.reason;
    if (this.state.failed) return 'it failed its health tests';
    return creditRateUnits(this.source.name, mask) === 0 ? UNCREDITED_BESIDE_RDSEED : '';
  }

  /** Credit of its next bytes, in 1/1024 bit a byte: the policy's for its mask, or what its bytes bring, if that is less. */
  get rateUnits(): number {
    return Math.min(this.#policyRateUnits, this.source.nextRateUnits ?? this.#policyRateUnits);
  }

  /** Most this source gives to one block, in bytes. */
  get bytesPerBlock(): number {
    return bytesPerBlock(this.rateUnits);
  }

  /** True for a source that is in the mask, works on this host and is credited. */
  get counts(): boolean {
    return this.#policyRateUnits > 0 && this.state.name !== 'masked-out' && this.state.name !== 'unavailable';
  }

  /** Whether what it gives next came into being after a moment, on the monotonic clock. */
  isFresh(sinceMs: number): boolean {
    return this.source.isFresh?.(sinceMs) ?? this.source.instant;
  }

  /** Configures the tests, begins gathering and the start-up test. One that is open already or may not be read is left alone. */
  open(): void {
    if (!this.state.readable || this.#isOpen) return;
    if (!this.#gather()) return;
    if (this.source.testedBefore === true) return this.state.beginTested();
    this.state.beginStartup('start');
    this.advanceStartup();
  }

  /** Feeds the start-up test with what is ready now; its samples are discarded. A failed test waits for the next call. */
  advanceStartup(): void {
    const failuresBefore = this.state.failures.intermittent;
    while (this.state.inStartup && this.state.failures.intermittent === failuresBefore) {
      const wantedBytes = this.state.startupSamplesLeft * this.source.sampleBytes;
      const bytes = this.#reader.withSamples(wantedBytes, (samples) => this.#testStartup(samples));
      if (bytes === 0) return;
    }
  }

  /** Gives the pool at most maximumBytes of what is ready now: tested, mixed and credited. Returns the bytes mixed. */
  contribute(maximumBytes: number): number {
    this.advanceStartup();
    if (!this.state.healthy) return 0;
    const rateUnits = this.rateUnits;
    return this.#reader.withSamples(maximumBytes, (samples, read) => {
      const creditedBefore = this.#credit();
      const credit = { creditableBytes: read.creditableBytes, rateUnits };
      this.#judge(samples.length, this.#mixer.ingest(this.#slot, samples, credit));
      this.#creditedUnits += Math.max(0, this.#credit() - creditedBefore);
    });
  }

  /**
   * Fills whole blocks from this source alone in one call of the mixer. Only for a pool without credit, and a source that makes its
   * samples on demand. Returns the number of blocks written to the target, each worth bytesPerBlock of this source.
   */
  condition(blocks: number, target: Uint8Array): number {
    this.advanceStartup();
    const most = Math.min(blocks, Math.floor(PIECE_LIMIT_BYTES / this.bytesPerBlock));
    if (!this.state.healthy || !this.source.instant || most === 0) return 0;
    let made = 0;
    this.#reader.withSamples(most * this.bytesPerBlock, (samples) => {
      const result = this.#mixer.condition(this.#slot, samples, this.bytesPerBlock, this.rateUnits, target);
      this.#judge(samples.length, result.verdict);
      made = result.blocks;
      if (result.verdict === 'healthy') this.#creditedUnits += samples.length * this.rateUnits;
    });
    return made;
  }

  /** The start-up test again, now. A gathering source needs time: see its state afterwards. */
  retest(reason: string): void {
    if (this.source.testedBefore === true) return;
    this.state.beginStartup(reason);
    this.advanceStartup();
  }

  /** Back from `failed`, by an operator's word. */
  restore(reason: string): void {
    this.state.restore(reason);
    if (this.source.testedBefore === true) this.state.beginTested();
    // One that failed and was masked out since is closed.
    if (this.#isOpen) this.#mixer.resetSlot(this.#slot);
    else if (!this.#gather()) return;
    this.advanceStartup();
  }

  close(): void {
    this.#isOpen = false;
    this.source.close();
  }

  report(): SourceReport {
    const bitsPerByte = this.rateUnits / CREDIT_UNITS_PER_BIT;
    const gives = this.counts && this.state.name !== 'failed' && this.state.name !== 'stalled';
    const bitsPerSecond = gives ? this.#reader.bytesPerSecond * bitsPerByte : 0;
    const failures = this.state.failures;
    return {
      name: this.source.name,
      bit: SOURCE_BITS[this.source.name],
      state: this.state.name,
      reason: this.#reason(),
      testBitsPerByte: TEST_BITS_PER_BYTE[this.source.name],
      creditBitsPerByte: bitsPerByte,
      creditBitsPerSecond: bitsPerSecond,
      secondsToBlock: bitsPerSecond === 0 ? null : FULL_ENTROPY_INPUT_BITS / bitsPerSecond,
      testedBytes: this.#testedBytes,
      creditedBits: this.#creditedUnits / CREDIT_UNITS_PER_BIT,
      intermittentFailures: failures.intermittent,
      permanentFailures: failures.permanent,
      cutoffs: {
        rctIntermittent: this.#tests.rctIntermittent,
        rctPermanent: this.#tests.rctPermanent,
        aptWindowSamples: this.#tests.aptWindowSamples,
        aptIntermittent: this.#tests.aptIntermittent,
        aptPermanent: this.#tests.aptPermanent,
      },
    };
  }

  /** Configures the tests and begins gathering; false when it cannot. */
  #gather(): boolean {
    this.#isOpen = true;
    this.#mixer.configureSlot(this.#slot, this.#tests);
    try {
      this.source.open();
      return true;
    } catch (error) {
      this.state.setUnavailable(messageOf(error));
      return false;
    }
  }

  #reason(): string {
    if (this.state.reason !== '' || this.#policyRateUnits > 0 || !this.state.readable)
      return this.state.reason;
    return UNCREDITED_BESIDE_RDSEED;
  }

  /** A failure here is a failure: what the source was credited since the last block is void, as it is in `contribute`. */
  #testStartup(samples: Uint8Array): void {
    const samplesLeft = this.state.startupSamplesLeft;
    if (samplesLeft === STARTUP_SAMPLES) this.#halvesDiffered = this.source.sampleBytes === 1;
    this.#halvesDiffered ||= someHalvesDiffer(samples);
    const verdict = this.#mixer.test(this.#slot, samples);
    if (verdict !== 'healthy') this.#mixer.voidCredit(this.#slot);
    const isLast = samples.length / this.source.sampleBytes >= samplesLeft;
    if (verdict === 'healthy' && isLast && !this.#halvesDiffered) {
      this.#mixer.voidCredit(this.#slot);
      return this.state.fail('upper and lower halves of all start-up words are equal');
    }
    this.#judge(samples.length, verdict);
  }

  #judge(bytes: number, verdict: Verdict): void {
    this.#testedBytes += bytes;
    this.#counters.add('ingest.bytes', bytes);
    if (verdict === 'intermittent') this.#counters.add('ingest.failures.intermittent');
    if (verdict === 'permanent') this.#counters.add('ingest.failures.permanent');
    this.state.tested(bytes / this.source.sampleBytes, verdict);
  }

  #credit(): number {
    return this.#mixer.creditUnits()[this.#slot];
  }
}
