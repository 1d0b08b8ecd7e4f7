import { createHmac } from 'node:crypto';
import { secretBytes, wipe } from '../base/bytes.ts';
import type { RandomSource } from '../base/random.ts';

export interface OwnRandomnessDependencies {
  /** getrandom(2). */
  readonly kernel: RandomSource;
  /** 32 bytes of DRBG output; rejects while the gate is closed. */
  readonly generate: (bytes: number) => Promise<Uint8Array>;
}

const LABEL = 'entropy-mixer own randomness v1';
const CHUNK_BYTES = 32;
const FRESH_BYTES = 64;

/**
 * The one source of the daemon's own keys, nonces and salts: getrandom(2), hashed with DRBG output when that can be had. Each
 * chunk takes 64 fresh bytes of the kernel, so it is never weaker than the kernel alone; the mixed-in secret ratchets on with every
 * use and does not depend on a generator inside this process, which a cloned machine would repeat.
 */
export class OwnRandomness {
  readonly #kernel: RandomSource;
  readonly #generate: (bytes: number) => Promise<Uint8Array>;
  readonly #secret = secretBytes(CHUNK_BYTES);

  constructor(dependencies: OwnRandomnessDependencies) {
    this.#kernel = dependencies.kernel;
    this.#generate = dependencies.generate;
  }

  /** Fills the target, at once. */
  readonly fill: RandomSource = (target) => {
    for (let at = 0; at < target.length; at += CHUNK_BYTES) {
      const fresh = secretBytes(FRESH_BYTES);
      this.#kernel(fresh);
      const output = this.#ratchet(fresh);
      target.set(output.subarray(0, Math.min(CHUNK_BYTES, target.length - at)), at);
      wipe(output);
    }
  };

  /** Mixes in DRBG output, when it can be had. Never fails: without it the kernel's bytes stand alone. */
  async refresh(): Promise<void> {
    const more = await this.#generate(CHUNK_BYTES).catch(() => undefined);
    if (more !== undefined) wipe(this.#ratchet(more));
  }

  close(): void {
    wipe(this.#secret);
  }

  /**
   * HMAC-SHA-512 over secret and input: one half is the next secret, the other the output. Wipes the input. Not a plain hash:
   * Node's object keeps the digest that it gave until the collector comes by.
   */
  #ratchet(input: Uint8Array): Uint8Array {
    const digest = createHmac('sha512', LABEL).update(this.#secret).update(input).digest();
    wipe(input);
    this.#secret.set(digest.subarray(CHUNK_BYTES));
    wipe(digest.subarray(CHUNK_BYTES));
    return digest.subarray(0, CHUNK_BYTES);
  }
}
