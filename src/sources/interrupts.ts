import type { InterruptCollector, InterruptCollectorOptions } from '../hardware/hardware.ts';
import { NOTHING_READ, type NoiseSource, type SampleRead } from './noise-source.ts';

/** An idle host still ticks: a second without one event in 5 % of a core is the longest in good order. */
const EXPECTED_SAMPLE_MS = 1000;

/** Seen at 5 % of a core on an idle two-core guest: 155 events a second. Replaced by measurement. */
const EXPECTED_EVENTS_PER_SECOND = 150;

export interface InterruptSourceDependencies {
  /** undefined without the native addon. */
  readonly collector: InterruptCollector | undefined;
  /** Sum of all counts of /proc/interrupts; undefined when it cannot be read. */
  readonly interruptCount: () => number | undefined;
}

/** Where events and interrupts stood at the last look. */
interface Running {
  /** Events kept since the start. */
  events: number;
  /** undefined while the count cannot be read: no rise is known then. */
  interrupts: number | undefined;
  /** Events gathered and not yet taken that interrupts account for. */
  creditable: number;
}

/**
 * Times of interruptions of a busy thread, in native code. A gap in back-to-back counter reads is an event, and its time's low
 * bits are the sample. Hypervisor exits make gaps too, so no more events are creditable than /proc/interrupts rose by
 * meanwhile. The native ring is small: full, it stops the thread's work, so an idle source costs nothing.
 */
export class InterruptSource implements NoiseSource {
  readonly name = 'interrupts';
  readonly unavailable: string;
  readonly sampleBytes = 1;
  readonly instant = false;
  readonly expectedSampleMs = EXPECTED_SAMPLE_MS;
  readonly expectedBytesPerSecond = EXPECTED_EVENTS_PER_SECOND;
  readonly #options: InterruptCollectorOptions;
  readonly #collector: InterruptCollector | undefined;
  readonly #interruptCount: () => number | undefined;
  #running: Running | undefined;

  constructor(options: InterruptCollectorOptions, dependencies: InterruptSourceDependencies) {
    this.#options = options;
    this.#collector = dependencies.collector;
    this.#interruptCount = dependencies.interruptCount;
    this.unavailable = this.#whyUnavailable();
  }

  open(): void {
    if (this.#running !== undefined || this.unavailable !== '') return;
    this.#collector?.start(this.#options);
    this.#running = { events: 0, interrupts: this.#interruptCount(), creditable: 0 };
  }

  read(target: Uint8Array): SampleRead {
    if (this.#running === undefined || this.#collector === undefined) return NOTHING_READ;
    const { running, events, dropped, lastError } = this.#collector.status();
    if (!running) return { ...NOTHING_READ, failure: `the collecting thread ended (errno ${lastError})` };
    const bytes = this.#collector.take(target);
    // Reading /proc/interrupts takes longer than all else here, so not for nothing.
    if (bytes > 0) this.#accountForRise(this.#running, events - dropped);
    const creditableBytes = Math.min(bytes, this.#running.creditable);
    this.#running.creditable -= creditableBytes;
    return { bytes, creditableBytes, failure: '' };
  }

  close(): void {
    if (this.#running === undefined) return;
    this.#running = undefined;
    this.#collector?.stop();
  }

  #whyUnavailable(): string {
    if (this.#collector === undefined) return 'no native addon';
    return this.#interruptCount() === undefined ? '/proc/interrupts cannot be read' : '';
  }

  /** Of the events since the last look, as many are creditable as interrupts were counted meanwhile. */
  #accountForRise(running: Running, events: number): void {
    const interrupts = this.#interruptCount();
    const rise = Math.max(0, (interrupts ?? 0) - (running.interrupts ?? Infinity));
    running.creditable += Math.min(events - running.events, rise);
    running.events = events;
    running.interrupts = interrupts;
  }
}
