import { createCipheriv, createHash } from 'node:crypto';
import type { RandomSource } from '../../src/base/random.ts';

/** Reproducible bytes that pass every statistical test: AES-128-CTR under a key made from the seed. */
export class SeededStream {
  readonly #cipher;

  constructor(seed: string | number) {
    const key = createHash('sha256').update(`seeded stream ${seed}`).digest().subarray(0, 16);
    this.#cipher = createCipheriv('aes-128-ctr', key, Buffer.alloc(16));
  }

  bytes(length: number): Uint8Array {
    return this.#cipher.update(Buffer.alloc(length));
  }

  fill(target: Uint8Array): void {
    target.set(this.bytes(target.length));
  }
}

/** A random source that gives the same bytes in each run. Never for secrets. */
export function seededSource(seed = 'seed'): RandomSource {
  const stream = new SeededStream(seed);
  return (target) => stream.fill(target);
}
