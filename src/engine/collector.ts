import type { Counters } from '../base/counters.ts';
import type { Clock } from '../base/clock.ts';
import type { EventSink } from '../base/events.ts';
import { SOURCE_BITS, type GateReason, type SourceName } from '../base/names.ts';
import type { Mixer } from '../mixer/mixer.ts';
import type { NoiseSource } from '../sources/noise-source.ts';
import type { SampleTap } from '../sources/sample-tap.ts';
import { MonitoredSource } from './monitored-source.ts';
import { PIECE_LIMIT_BYTES } from './sample-reader.ts';

export interface CollectorDependencies {
  readonly sources: readonly NoiseSource[];
  readonly mixer: Mixer;
  readonly tap: SampleTap;
  readonly clock: Clock;
  readonly events: EventSink;
  readonly counters: Counters;
}

/** All sources under the mask in force. It reads only when asked: what nobody needs is not collected. */
export class Collector {
  readonly sources: readonly MonitoredSource[];
  #mask: number;

  constructor(options: { readonly mask: number }, dependencies: CollectorDependencies) {
    const scratch = new Uint8Array(PIECE_LIMIT_BYTES);
    this.#mask = options.mask;
    this.sources = dependencies.sources.map(
      (source) => new MonitoredSource({ ...dependencies, source, scratch }),
    );
    for (const source of this.sources) source.useMask(options.mask);
  }

  open(): void {
    for (const source of this.sources) source.open();
  }

  close(): void {
    for (const source of this.sources) source.close();
  }

  /** Another mask: its sources are read from now on, after their start-up tests where they are new in it, and no others. */
  useMask(mask: number): void {
    this.#mask = mask;
    for (const source of this.sources) source.useMask(mask);
    this.open();
  }

  source(name: SourceName): MonitoredSource | undefined {
    return this.sources.find((candidate) => candidate.source.name === name);
  }

  /** Why a source could not be credited under a mask that names it; empty when it can. */
  whyUseless(name: SourceName, mask: number): string {
    return this.source(name)?.whyUseless(mask) ?? 'not built into this engine';
  }

  /** Bits of the mask whose source is healthy and gives samples. */
  get honoured(): number {
    const honoured = this.sources.filter((source) => source.state.honoured);
    return honoured.reduce((mask, source) => mask | SOURCE_BITS[source.source.name], 0);
  }

  /** The only source that can be read, when there is just one. */
  get soleSource(): MonitoredSource | undefined {
    const readable = this.sources.filter((source) => source.state.readable);
    return readable.length === 1 ? readable[0] : undefined;
  }

  /** Whether a credited source beside the external one is healthy and gives samples. */
  get hasLocalSource(): boolean {
    return this.sources.some((one) => one.source.testedBefore !== true && one.counts && one.state.honoured);
  }

  /** External bytes came: the source is no longer taken for empty, once it gives again. */
  noticeExternal(): void {
    const external = this.source('external');
    if (external !== undefined && external.rateUnits > 0) external.state.sampleArrived();
  }

  advanceStartups(): void {
    for (const source of this.sources) source.advanceStartup();
  }

  /** The host slept: what the hardware says after that is tested anew. */
  retestAll(reason: string): void {
    for (const source of this.sources) if (source.state.readable) source.retest(reason);
  }

  /** Why no block can be had, judged by the sources that count; undefined while what is missing is on its way by itself. */
  whyStarved(): GateReason | undefined {
    const counting = this.sources.filter((source) => source.counts);
    if (this.#mask === 0 || counting.length === 0) return 'no-source';
    if (counting.every((source) => source.state.name === 'failed')) return 'failed';
    if (counting.some((source) => source.source.pending === true)) return undefined;
    const exhausted = counting.filter(isExhausted);
    const others = counting.filter((source) => !exhausted.includes(source));
    if (others.some((source) => source.state.healthy)) return 'credit-starved';
    if (others.some((source) => source.state.inStartup)) return 'warming';
    return exhausted.length > 0 ? 'exhausted' : 'credit-starved';
  }
}

/** A source that gives away what it was given, and has nothing left. */
function isExhausted({ source, state }: MonitoredSource): boolean {
  return source.testedBefore === true && state.name === 'stalled';
}
