import type { Clock } from '../base/clock.ts';
import type { EventSink } from '../base/events.ts';
import type { SourceName, SourceStateName, Verdict } from '../base/names.ts';

/** A source that gave nothing for this many times the time expected between samples is stalled. */
const STALLED_AFTER_EXPECTED_TIMES = 3;

export interface SourceStateOptions {
  readonly name: SourceName;
  /** Consecutive samples that must pass before the source counts: at least 1,024 (SP 800-90B 4.3 item 4). */
  readonly startupSamples: number;
  /** Longest time between two samples in good order, in milliseconds. */
  readonly expectedSampleMs: number;
}

/**
 * The life of one source's health, without the source: what happened goes in, the state comes out.
 *
 *   startup ──passed──► healthy ──intermittent──► intermittent ──start-up passed again──► healthy
 *      │                   │                           │
 *      └────permanent──────┴───────────permanent───────┴──► failed ──restored──► startup
 *
 * `stalled` lies over startup, healthy and intermittent while nothing arrives, and lifts with the next sample. `masked-out` lies
 * over every state while the mask in force leaves the source out: a failed source is failed still when it comes back.
 * `unavailable` is for life. Credit may be given in `healthy` alone.
 */
export class SourceState {
  readonly #options: SourceStateOptions;
  readonly #clock: Clock;
  readonly #events: EventSink;
  #state: Exclude<SourceStateName, 'stalled' | 'masked-out'> = 'startup';
  #maskedOut = false;
  #reason = '';
  #passedSamples = 0;
  #stalled = false;
  #stallReason = '';
  /** When the first read in a row gave nothing; undefined while samples come. */
  #waitingSinceMs: number | undefined;
  #intermittentFailures = 0;
  #permanentFailures = 0;

  constructor(
    options: SourceStateOptions,
    dependencies: { readonly clock: Clock; readonly events: EventSink },
  ) {
    this.#options = options;
    this.#clock = dependencies.clock;
    this.#events = dependencies.events;
  }

  get name(): SourceStateName {
    if (this.#maskedOut) return 'masked-out';
    return this.#stalled ? 'stalled' : this.#state;
  }

  get reason(): string {
    if (this.#maskedOut) return '';
    return this.#stalled ? this.#stallReason : this.#reason;
  }

  get healthy(): boolean {
    return this.#state === 'healthy' && !this.#maskedOut;
  }

  /** Healthy, and giving samples: the mask is honoured for this source. */
  get honoured(): boolean {
    return this.healthy && !this.#stalled;
  }

  /** True while samples go to the start-up test instead of the pool. */
  get inStartup(): boolean {
    return (this.#state === 'startup' || this.#state === 'intermittent') && !this.#maskedOut;
  }

  /** True for a source that may be read at all. */
  get readable(): boolean {
    return this.inStartup || this.healthy;
  }

  get failures(): { readonly intermittent: number; readonly permanent: number } {
    return { intermittent: this.#intermittentFailures, permanent: this.#permanentFailures };
  }

  /** Samples the start-up test still wants. */
  get startupSamplesLeft(): number {
    return this.inStartup ? this.#options.startupSamples - this.#passedSamples : 0;
  }

  /** Whether it failed for good, in the mask or not. */
  get failed(): boolean {
    return this.#state === 'failed';
  }

  /** The mask in force leaves it out: it is not read. */
  maskOut(): void {
    this.#maskedOut = true;
    this.sampleArrived();
  }

  /** It is in the mask in force (again); the start-up test is the caller's to begin. */
  maskIn(): void {
    this.#maskedOut = false;
  }

  setUnavailable(reason: string): void {
    this.#state = 'unavailable';
    this.#reason = reason;
    this.#events.emit('source.unavailable', { source: this.#options.name, reason });
  }

  /** Begins the start-up test, at start, on demand or after the host slept. A failed source needs `restore`. */
  beginStartup(reason: string): void {
    if (this.#maskedOut || this.#state === 'failed' || this.#state === 'unavailable') return;
    this.#enterStartup(reason);
  }

  /** For samples that were tested before they came here: healthy from the start. */
  beginTested(): void {
    if (this.#state === 'startup') this.#state = 'healthy';
  }

  /** An operator vouches for a failed source: back to the start-up test. */
  restore(reason: string): void {
    if (this.name !== 'failed')
      throw new RangeError(`source ${this.#options.name} is ${this.name}, not failed`);
    this.#events.emit('source.restored', { source: this.#options.name, reason });
    this.#enterStartup('restored');
  }

  /** Samples arrived and were tested: how many, and the verdict over them. */
  tested(samples: number, verdict: Verdict): void {
    this.sampleArrived();
    if (verdict === 'permanent') return this.fail('a health test reached its permanent cutoff');
    if (verdict === 'intermittent') return this.#failIntermittently();
    if (!this.inStartup) return;
    this.#passedSamples += samples;
    if (this.#passedSamples < this.#options.startupSamples) return;
    this.#state = 'healthy';
    this.#reason = '';
    this.#events.emit('source.healthy', { source: this.#options.name, samples: this.#passedSamples });
  }

  /** Total failure: no more credit until an operator restores the source. */
  fail(reason: string): void {
    if (this.#state === 'failed') return;
    this.#permanentFailures += 1;
    this.#state = 'failed';
    this.sampleArrived();
    this.#reason = reason;
    this.#events.emit('source.failed', { source: this.#options.name, reason });
  }

  /** A read gave nothing; tells a stall once it has lasted too long. */
  gaveNothing(): void {
    if (this.#stalled || !this.readable) return;
    this.#waitingSinceMs ??= this.#clock.monotonicMs();
    const limitMs = STALLED_AFTER_EXPECTED_TIMES * this.#options.expectedSampleMs;
    if (this.#clock.monotonicMs() - this.#waitingSinceMs <= limitMs) return;
    this.stall('no sample came in three times the expected time');
  }

  /** It has nothing to give, and why; lifts with the next sample. */
  stall(reason: string): void {
    if (this.#stalled || !this.readable) return;
    this.#stalled = true;
    this.#stallReason = reason;
    this.#events.emit('source.stalled', { source: this.#options.name, reason });
  }

  /** There is something to give again. */
  sampleArrived(): void {
    this.#stalled = false;
    this.#waitingSinceMs = undefined;
  }

  #enterStartup(reason: string): void {
    this.#state = 'startup';
    this.#reason = reason;
    this.#passedSamples = 0;
    this.#events.emit('source.startup', { source: this.#options.name, reason });
  }

  #failIntermittently(): void {
    this.#intermittentFailures += 1;
    this.#state = 'intermittent';
    this.#passedSamples = 0;
    this.#reason = 'a health test reached its intermittent cutoff; the start-up test runs again';
    this.#events.emit('source.intermittent', { source: this.#options.name });
  }
}
