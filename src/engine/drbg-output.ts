import { wipe } from '../base/bytes.ts';
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
  generate(target: Uint8Array): boolean {
    if (!this.#seed()) return false;
    const additional = new Uint8Array(ADDITIONAL_INPUT_BYTES);
    this.#random(additional);
    try {
      if (this.#generate(target, additional)) return true;
      const seeds = Math.ceil(target.length / OUTPUT_BYTES_PER_SEED);
      return this.#reserve(seeds) && this.#generate(target, additional);
    } finally {
      wipe(additional);
    }
  }

  /** A long answer reseeds on its way, from seeds that are all there; otherwise false. */
  #generate(target: Uint8Array, additional: Uint8Array): boolean {
    const seedsBefore = this.#mixer.seedsReserved();
    const done = this.#mixer.generate(target, additional);
    this.#counters.add('drbg.reseeds', seedsBefore - this.#mixer.seedsReserved());
    return done;
  }

  /** Instantiates the first time, and reseeds what is ten minutes old. */
  #seed(): boolean {
    // Boot time: a seed ages while the host sleeps.
    const nowMs = this.#clock.bootMs();
    if (this.#mixer.drbgState() === 'uninstantiated') {
      if (!this.#reserve(INSTANTIATE_SEEDS)) return false;
      this.#mixer.instantiate(PERSONALIZATION);
    } else {
      if (nowMs - this.#seededMs < RESEED_AFTER_MS) return true;
      if (!this.#reserve(1)) return false;
      this.#mixer.reseed(new Uint8Array(0));
    }
    this.#seededMs = nowMs;
    this.#counters.add('drbg.reseeds');
    return true;
  }

  #reserve(seeds: number): boolean {
    while (this.#mixer.seedsReserved() < seeds) {
      if (!this.#draw.reserveSeed()) return false;
    }
    return true;
  }
}
