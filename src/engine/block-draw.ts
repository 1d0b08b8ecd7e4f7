import type { Counters } from '../base/counters.ts';
import { type PerSource, perSource } from '../base/names.ts';
import { BLOCK_BYTES } from '../base/units.ts';
import type { BlockSupply, DrawnBlocks } from '../kernel/pool-feeder.ts';
import type { Mixer } from '../mixer/mixer.ts';
import type { Gate } from '../policy/gate.ts';
import type { Collector } from './collector.ts';
import type { MonitoredSource } from './monitored-source.ts';

export interface BlockDrawDependencies {
  readonly mixer: Mixer;
  readonly collector: Collector;
  readonly gate: Gate;
  readonly counters: Counters;
}

/**
 * Where credit becomes blocks: the only caller of extraction, and the one that asks the gate, so that neither the kernel feed nor
 * served output can forget it.
 */
export class BlockDraw implements BlockSupply {
  readonly #mixer: Mixer;
  readonly #collector: Collector;
  readonly #gate: Gate;
  readonly #counters: Counters;

  constructor(dependencies: BlockDrawDependencies) {
    this.#mixer = dependencies.mixer;
    this.#collector = dependencies.collector;
    this.#gate = dependencies.gate;
    this.#counters = dependencies.counters;
  }

  /**
   * Fills the target with as many full-entropy blocks of 32 bytes as can be had now, at most as many as fit.
   * Each comes with the credit it was made from, in 1/1024 bit.
   */
  draw(target: Uint8Array): DrawnBlocks {
    const wanted = Math.floor(target.length / BLOCK_BYTES);
    const credits: PerSource<number>[] = [];
    while (credits.length < wanted) {
      const rest = target.subarray(credits.length * BLOCK_BYTES, wanted * BLOCK_BYTES);
      const more = this.#drawAlike(rest);
      if (more.length === 0) break;
      credits.push(...more);
    }
    if (credits.length === 0) this.#missed();
    else this.#gate.extracted();
    return { credits };
  }

  /** Moves one block into the DRBG's seeds; it never leaves the mixer. Not having one closes nothing: the caller is told. */
  reserveSeed(): boolean {
    const reserved = this.#fill() && this.#mixer.reserveSeed();
    if (!reserved) return false;
    this.#counters.add('blocks.extracted');
    this.#gate.extracted();
    return true;
  }

  /** One block from all sources, or many in one go when a single source in the mask makes its samples on demand. */
  #drawAlike(target: Uint8Array): readonly PerSource<number>[] {
    if (!this.#gate.mayExtract()) return [];
    const sole = this.#collector.soleSource;
    if (sole !== undefined && this.#poolIsEmpty()) {
      const blocks = sole.condition(target.length / BLOCK_BYTES, target);
      this.#counters.add('blocks.extracted', blocks);
      if (blocks > 0) return Array.from({ length: blocks }, () => creditOf(sole));
    }
    if (!this.#fill()) return [];
    const units = this.#mixer.extract(target.subarray(0, BLOCK_BYTES));
    if (units === undefined) return [];
    this.#counters.add('blocks.extracted');
    return [{ interrupts: units[0], rdrand: units[1], rdseed: units[2], external: units[3] }];
  }

  /**
   * Brings the pool to 320 credited bits: every healthy source gives once, at most what would fill the block alone; after that only
   * sources that have more ready are asked again, and none is waited for.
   */
  #fill(): boolean {
    if (!this.#gate.mayExtract()) return false;
    const given = new Map<MonitoredSource, number>();
    let gaveMore = true;
    for (let round = 0; gaveMore && (round === 0 || !this.#mixer.readyForBlock()); round++) {
      gaveMore = false;
      for (const source of this.#collector.sources) {
        const before = given.get(source) ?? 0;
        const bytes = before < source.bytesPerBlock ? source.contribute(source.bytesPerBlock - before) : 0;
        given.set(source, before + bytes);
        gaveMore ||= bytes > 0;
      }
    }
    return this.#mixer.readyForBlock();
  }

  #poolIsEmpty(): boolean {
    return this.#mixer.creditUnits().every((units) => units === 0);
  }

  #missed(): void {
    this.#counters.add('blocks.missed');
    this.#gate.missed(this.#collector.whyStarved());
  }
}

/** What a block filled by one source alone is made from. */
function creditOf(source: MonitoredSource): PerSource<number> {
  return perSource((name) => (name === source.source.name ? source.bytesPerBlock * source.rateUnits : 0));
}
