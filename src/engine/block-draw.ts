import type { Counters } from '../base/counters.ts';
import { type PerSource, perSource, SOURCE_NAMES } from '../base/names.ts';
import { BLOCK_BYTES, FULL_ENTROPY_INPUT_UNITS } from '../base/units.ts';
import type { BlockSupply, DrawnBlocks } from '../kernel/pool-feeder.ts';
import type { Mixer, SourceSlot } from '../mixer/mixer.ts';
import { shareUnits } from '../policy/credit.ts';
import type { Gate } from '../policy/gate.ts';
import type { Collector } from './collector.ts';
import type { MonitoredSource } from './monitored-source.ts';

export interface BlockDrawDependencies {
  readonly mixer: Mixer;
  readonly collector: Collector;
  readonly gate: Gate;
  readonly counters: Counters;
}

/** Which sources may give to a block. */
export type SourceFilter = (source: MonitoredSource) => boolean;

const EVERY_SOURCE: SourceFilter = () => true;

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

  /**
   * Moves one block into the DRBG's seeds; it never leaves the mixer. Gives the credit it was made from, in 1/1024 bit; undefined
   * when there is none, which closes nothing: the caller is told.
   */
  reserveSeed(allowed: SourceFilter = EVERY_SOURCE): PerSource<number> | undefined {
    const reserved = this.#fill(allowed) && this.#mixer.reserveSeed();
    if (!reserved) return undefined;
    this.#counters.add('blocks.extracted');
    this.#gate.extracted();
    return named(this.#mixer.lastSpentUnits());
  }

  /**
   * As reserveSeed, and nothing that was credited before this call counts towards the block: that credit is given up, and told as
   * spent. Nothing is given up when no allowed source could make a block.
   */
  reserveFreshSeed(allowed: SourceFilter): PerSource<number> | undefined {
    const canGive = (source: MonitoredSource): boolean =>
      source.counts && source.state.honoured && allowed(source);
    if (!this.#collector.sources.some(canGive)) return undefined;
    const givenUp = named(this.#mixer.creditUnits());
    SOURCE_NAMES.forEach((_, slot) => this.#mixer.voidCredit(slot as SourceSlot));
    const spent = this.reserveSeed(allowed);
    return spent && perSource((name) => givenUp[name] + spent[name]);
  }

  /**
   * Another mask is in force: brings the pool to a block's credit, so that the gate tells at once whether a block can be had. It stays
   * there for whoever draws next.
   */
  probe(): void {
    if (this.#fill(EVERY_SOURCE)) this.#gate.extracted();
    else this.#gate.missed(this.#collector.whyStarved() ?? 'warming');
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
    if (!this.#fill(EVERY_SOURCE)) return [];
    const units = this.#mixer.extract(target.subarray(0, BLOCK_BYTES));
    if (units === undefined) return [];
    this.#counters.add('blocks.extracted');
    return [named(units)];
  }

  /**
   * Brings the pool to 320 credited bits: every healthy source gives once, at most what would fill the block alone; after that only
   * sources that have more ready are asked again, and none is waited for.
   */
  #fill(allowed: SourceFilter): boolean {
    if (!this.#gate.mayExtract()) return false;
    // Left there by `probe`, to which every source gave its part.
    if (this.#mixer.readyForBlock()) return true;
    const sources = this.#collector.sources.filter(allowed);
    const given = new Map<MonitoredSource, number>();
    let gaveMore = true;
    for (let round = 0; gaveMore && (round === 0 || !this.#mixer.readyForBlock()); round++) {
      gaveMore = false;
      for (const source of sources) {
        // Asked each time: the bytes of the next feeder may be worth more or less than those before.
        const unitsPerByte = shareUnits(source.rateUnits);
        const before = given.get(source) ?? 0;
        const wantedBytes = Math.ceil((FULL_ENTROPY_INPUT_UNITS - before) / unitsPerByte);
        const bytes = wantedBytes > 0 ? source.contribute(wantedBytes) : 0;
        given.set(source, before + bytes * unitsPerByte);
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
    const reason = this.#collector.whyStarved();
    if (reason !== undefined) this.#gate.missed(reason);
  }
}

function named(units: readonly number[]): PerSource<number> {
  return perSource((name) => units[SOURCE_NAMES.indexOf(name)] ?? 0);
}

/** What a block filled by one source alone is made from. */
function creditOf(source: MonitoredSource): PerSource<number> {
  return perSource((name) => (name === source.source.name ? source.bytesPerBlock * source.rateUnits : 0));
}
