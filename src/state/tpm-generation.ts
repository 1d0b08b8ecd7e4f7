import { createHash } from 'node:crypto';
import { EntropyError } from '../base/errors.ts';
import type { NvCounter } from '../tpm/nv-counter.ts';
import type { StorageRoot } from '../tpm/storage-root.ts';
import type { Tpm } from '../tpm/tpm.ts';
import type { CounterReading, GenerationCounter } from './generation.ts';

/** More is no change of keys, which is a few ahead at most: it would wear the memory out. */
const MOST_STEPS = 16;

/**
 * The counter of generations in the TPM: the NV index that also marks the state directory as of mode TPM. It is named by the storage root
 * key, which a clearing or another TPM changes.
 */
export class TpmGeneration implements GenerationCounter {
  readonly #subject: string;
  readonly #openTpm: () => Promise<Tpm>;

  constructor(options: { readonly subject: string }, dependencies: { readonly openTpm: () => Promise<Tpm> }) {
    this.#subject = options.subject;
    this.#openTpm = dependencies.openTpm;
  }

  /** Throws as the TPM does; tpm-nv-full, tpm-nv-foreign. */
  read(): Promise<CounterReading> {
    return this.#withCounter(async (counter, root) => {
      // A new counter has more than any ever had: whoever takes one away makes every archive look older, and none newer.
      if (!(await counter.isDefined())) await counter.define(root);
      const id = createHash('sha256').update('entropy-mixer generations\0').update(root.name).digest();
      return { id, value: await valueOf(counter, root) };
    });
  }

  advanceTo(value: number): Promise<void> {
    return this.#withCounter(async (counter, root) => {
      const steps = value - (await valueOf(counter, root));
      if (steps > MOST_STEPS)
        throw new EntropyError('tpm-protocol', `the NV counter is ${steps} behind what it said before`);
      for (let step = 0; step < steps; step++) await counter.increment(root);
      const reached = await valueOf(counter, root);
      if (reached < value)
        throw new EntropyError('tpm-protocol', `the NV counter says ${reached} after it counted to ${value}`);
    });
  }

  async #withCounter<T>(use: (counter: NvCounter, root: StorageRoot) => Promise<T>): Promise<T> {
    const tpm = await this.#openTpm();
    try {
      return await tpm.withStorageRoot({}, (root) => use(tpm.counter(this.#subject), root));
    } finally {
      await tpm.close();
    }
  }
}

async function valueOf(counter: NvCounter, root: StorageRoot): Promise<number> {
  const value = Number(await counter.read(root));
  if (!Number.isSafeInteger(value))
    throw new EntropyError('tpm-protocol', 'the NV counter holds no count that can be');
  return value;
}
