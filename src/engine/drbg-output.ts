import { secretBytes, wipe } from '../base/bytes.ts';
import type { Clock } from '../base/clock.ts';
import type { Counters } from '../base/counters.ts';
import type { RandomSource } from '../base/random.ts';
import { type Mixer, OUTPUT_BYTES_PER_SEED } from '../mixer/mixer.ts';
import type { BlockDraw } from './block-draw.ts';

/** Distinguishes this DRBG from any other use of the same construction (SP 800-90A 8.7.1). Public. */
const PERSONALIZATION = new TextEncoder().encode('entropy-mixer output v1');

/** By time, as the design sets it: a seed is used for ten minutes at most. */
const RESEED_AFTER_MS = 600_000;

const ADDITIONAL_INPUT_BYTES = 32;

/** Seed blocks that instantiation takes. */
const INSTANTIATE_SEEDS = 2;

/** Moves one full-entropy block into the mixer's seeds; false when it cannot be had. */
export type SeedReserve = () => boolean;

export interface DrbgOutputDependencies {
  readonly mixer: Mixer;
  readonly draw: BlockDraw;
  readonly random: RandomSource;
  readonly clock: Clock;
  readonly counters: Counters;
}

/**
 * Output of the mixer's Hash_DRBG. Every block that a request needs is reserved before its first byte is made; 32 bytes of
 * getrandom go into each call as additional input, worth nothing, so that clones of a machine part ways.
 */
export class DrbgOutput {
  readonly #mixer: Mixer;
  readonly #draw: BlockDraw;
  readonly #random: RandomSource;
  readonly #clock: Clock;
  readonly #counters: Counters;
  #seededMs = 0;

  constructor(dependencies: DrbgOutputDependencies) {
    this.#mixer = dependencies.mixer;
    this.#draw = dependencies.draw;
    this.#random = dependencies.random;
    this.#clock = dependencies.clock;
    this.#counters = dependencies.counters;
  }

  /** Fills the target, at most 65,536 bytes; false, and nothing written, when a block it needs cannot be had. */
  generate(target: Uint8Array, reserveSeed: SeedReserve = this.#reserveAny): boolean {
    if (!this.#seed(reserveSeed)) return false;
    return this.#withAdditionalInput((additional) => {
      if (this.#generate(target, additional)) return true;
      const seeds = Math.ceil(target.length / OUTPUT_BYTES_PER_SEED);
      return this.#reserveUpTo(seeds, reserveSeed) && this.#generate(target, additional);
    });
  }

  /**
   * As generate, with prediction resistance (SP 800-90A 8.8): each piece of 16 KiB is made after a reseed from a block that
   * `reserveSeed` makes during this call. Blocks reserved before stay for later: the newest are used first.
   */
  generateFresh(target: Uint8Array, reserveSeed: SeedReserve): boolean {
    const first = this.#mixer.drbgState() === 'uninstantiated';
    const seeds = Math.ceil(target.length / OUTPUT_BYTES_PER_SEED) + (first ? INSTANTIATE_SEEDS - 1 : 0);
    for (let reserved = 0; reserved < seeds; reserved++) if (!reserveSeed()) return false;
    this.#takeSeed(first);
    return this.#withAdditionalInput((additional) => this.#generate(target, additional));
  }

  /** A long answer reseeds on its way, from seeds that are all there; otherwise false. */
  #generate(target: Uint8Array, additional: Uint8Array): boolean {
    const seedsBefore = this.#mixer.seedsReserved();
    const done = this.#mixer.generate(target, additional);
    this.#counters.add('drbg.reseeds', seedsBefore - this.#mixer.seedsReserved());
    return done;
  }

  /** Instantiates the first time, and reseeds what is ten minutes old. */
  #seed(reserveSeed: SeedReserve): boolean {
    const first = this.#mixer.drbgState() === 'uninstantiated';
    // Boot time: a seed ages while the host sleeps.
    if (!first && this.#clock.bootMs() - this.#seededMs < RESEED_AFTER_MS) return true;
    if (!this.#reserveUpTo(first ? INSTANTIATE_SEEDS : 1, reserveSeed)) return false;
    this.#takeSeed(first);
    return true;
  }

  #takeSeed(first: boolean): void {
    if (first) this.#mixer.instantiate(PERSONALIZATION);
    else this.#mixer.reseed(new Uint8Array(0));
    this.#seededMs = this.#clock.bootMs();
    this.#counters.add('drbg.reseeds');
  }

  #reserveUpTo(seeds: number, reserveSeed: SeedReserve): boolean {
    while (this.#mixer.seedsReserved() < seeds) if (!reserveSeed()) return false;
    return true;
  }

  readonly #reserveAny: SeedReserve = () => this.#draw.reserveSeed() !== undefined;

  #withAdditionalInput(use: (additional: Uint8Array) => boolean): boolean {
    const additional = secretBytes(ADDITIONAL_INPUT_BYTES);
    this.#random(additional);
    try {
      return use(additional);
    } finally {
      wipe(additional);
    }
  }
}
