import type { Clock } from '../base/clock.ts';
import type { Counters } from '../base/counters.ts';
import { EntropyError, type ErrorMembers } from '../base/errors.ts';
import type { PerSource } from '../base/names.ts';
import {
  BITS_PER_BYTE,
  CREDIT_UNITS_PER_BIT,
  FULL_ENTROPY_INPUT_BITS,
  FULL_ENTROPY_INPUT_UNITS,
  MS_PER_SECOND,
} from '../base/units.ts';
import { OUTPUT_BYTES_PER_SEED } from '../mixer/mixer.ts';
import { ServedBudget, type ServedBudgetOptions } from '../policy/budget.ts';
import type { Gate } from '../policy/gate.ts';
import type { BlockDraw } from './block-draw.ts';
import type { DrbgOutput } from './drbg-output.ts';
import type { MonitoredSource } from './monitored-source.ts';

/** External credit in the caches, in 1/1024 bit: all of it, and what is above the kernel's reserve. */
export interface CachedCredit {
  readonly creditedUnits: number;
  readonly servableUnits: number;
}

export interface ServedDrawDependencies {
  readonly draw: BlockDraw;
  readonly output: DrbgOutput;
  readonly gate: Gate;
  readonly cached: CachedCredit;
  /** Whether a source beside the external one can make a block. */
  readonly hasOtherSource: () => boolean;
  readonly clock: Clock;
  readonly counters: Counters;
}

const WHY_REFUSED = {
  'gate-closed': 'no full-entropy block is ready',
  'served-budget-spent': 'served-draw-limit allows no more external entropy for now',
  'served-reserve-kept': 'a fifth of what was cached is for the kernel',
} as const;

/**
 * DRBG output for readers. A reader cannot starve the host: the external credit that its seeds cost comes from a budget, and never
 * from the reserve; when either forbids it, seeds are made of the other sources alone, or not at all.
 */
export class ServedDraw {
  readonly #draw: BlockDraw;
  readonly #output: DrbgOutput;
  readonly #gate: Gate;
  readonly #cached: CachedCredit;
  readonly #hasOtherSource: () => boolean;
  readonly #clock: Clock;
  readonly #counters: Counters;
  readonly #budget: ServedBudget;
  /** What kept the last block from being made, if none could be made. */
  #refusedBy: keyof typeof WHY_REFUSED = 'gate-closed';

  constructor(options: ServedBudgetOptions, dependencies: ServedDrawDependencies) {
    this.#draw = dependencies.draw;
    this.#output = dependencies.output;
    this.#gate = dependencies.gate;
    this.#cached = dependencies.cached;
    this.#hasOtherSource = dependencies.hasOtherSource;
    this.#clock = dependencies.clock;
    this.#counters = dependencies.counters;
    this.#budget = new ServedBudget(options, dependencies.clock.monotonicMs());
  }

  configure(options: ServedBudgetOptions): void {
    this.#budget.reconfigure(options, this.#clock.monotonicMs());
  }

  /**
   * Fills the target (1 to 65,536 bytes); `fresh`: from entropy alone that arrived after the call.
   *
   * @throws EntropyError gate-closed, served-budget-spent, served-reserve-kept, fresh-entropy-unavailable; the target is
   *   untouched then
   */
  serve(target: Uint8Array, fresh: boolean): void {
    const done = this.#gate.open && (fresh ? this.#serveFresh(target) : this.#serveCached(target));
    if (!done) {
      this.#counters.add('served.refused');
      throw this.#refusal(fresh);
    }
    this.#counters.add('served.bytes', target.length);
  }

  /** Bits that could be served now, by what one more seed allows: 0 when none can be made. */
  availableBits(): number {
    if (!this.#gate.open) return 0;
    const nowMs = this.#clock.monotonicMs();
    const affordable =
      this.#cached.servableUnits >= FULL_ENTROPY_INPUT_UNITS &&
      this.#budget.availableBits(nowMs) >= FULL_ENTROPY_INPUT_BITS;
    return affordable || this.#hasOtherSource() ? OUTPUT_BYTES_PER_SEED * BITS_PER_BYTE : 0;
  }

  #serveCached(target: Uint8Array): boolean {
    return this.#output.generate(target, () =>
      this.#paid((mayCost) => this.#draw.reserveSeed((source) => mayCost || !isExternal(source))),
    );
  }

  #serveFresh(target: Uint8Array): boolean {
    const sinceMs = this.#clock.monotonicMs();
    return this.#output.generateFresh(target, () =>
      this.#paid((mayCost) =>
        this.#draw.reserveFreshSeed((source) => source.isFresh(sinceMs) && (mayCost || !isExternal(source))),
      ),
    );
  }

  /** Makes a seed, with external credit if that may be spent, and books what it really cost. */
  #paid(reserve: (mayCost: boolean) => PerSource<number> | undefined): boolean {
    const takenBits = this.#takeBudget();
    const spent = reserve(takenBits > 0);
    // With its cost paid for, a block that is missing is missing for want of entropy, or of a refill under way.
    if (takenBits > 0) this.#refusedBy = 'gate-closed';
    const spentBits = (spent?.external ?? 0) / CREDIT_UNITS_PER_BIT;
    this.#budget.settle(takenBits, spentBits);
    this.#counters.add('served.externalBits', Math.ceil(spentBits));
    return spent !== undefined;
  }

  /** What a block may cost at most; 0 when budget or reserve forbid that it costs anything. */
  #takeBudget(): number {
    if (this.#cached.creditedUnits === 0) this.#refusedBy = 'gate-closed';
    else if (this.#cached.servableUnits < FULL_ENTROPY_INPUT_UNITS) this.#refusedBy = 'served-reserve-kept';
    else if (this.#budget.take(FULL_ENTROPY_INPUT_BITS, this.#clock.monotonicMs()))
      return FULL_ENTROPY_INPUT_BITS;
    else this.#refusedBy = 'served-budget-spent';
    return 0;
  }

  /** When the budget allows another seed, in whole seconds; nothing when another reason refused, or when it never does. */
  #retry(): ErrorMembers {
    if (this.#refusedBy !== 'served-budget-spent') return {};
    const waitMs = this.#budget.waitMs(FULL_ENTROPY_INPUT_BITS, this.#clock.monotonicMs());
    return Number.isFinite(waitMs)
      ? { retryAfterSeconds: Math.max(1, Math.ceil(waitMs / MS_PER_SECOND)) }
      : {};
  }

  #refusal(fresh: boolean): EntropyError {
    if (!this.#gate.open) return new EntropyError('gate-closed', this.#gate.state().reason ?? 'closed');
    if (fresh) {
      return new EntropyError(
        'fresh-entropy-unavailable',
        'no source in the mask is sampled on demand: what is cached arrived before the request',
      );
    }
    return new EntropyError(this.#refusedBy, WHY_REFUSED[this.#refusedBy], { members: this.#retry() });
  }
}

function isExternal({ source }: MonitoredSource): boolean {
  return source.name === 'external';
}
