import { EntropyError } from '../base/errors.ts';
import { SerialQueue } from '../durable/serial-queue.ts';
import type { HeldKeys } from './cache-keys.ts';
import { isRefusal, type StorageState } from './storage-state.ts';
import type { StorageVolume } from './storage-volume.ts';

/** Key pages that are put under another key together: 512 KiB on the disk. */
const PAGES_AT_ONCE = 64;

export interface StorageRekeyDependencies {
  readonly state: StorageState;
  /** The cache's: appends and takes go on between two pieces of the work. */
  readonly queue: SerialQueue;
  readonly heldKeys: HeldKeys;
}

/** The change of the key-encryption key; see StorageCache.rekey. */
export class StorageRekey {
  readonly #state: StorageState;
  readonly #queue: SerialQueue;
  readonly #heldKeys: HeldKeys;
  readonly #rekeys = new SerialQueue();

  constructor(dependencies: StorageRekeyDependencies) {
    this.#state = dependencies.state;
    this.#queue = dependencies.queue;
    this.#heldKeys = dependencies.heldKeys;
  }

  /** One after the other: the second would wipe the key of pages that the first did not reach. */
  run(key: Uint8Array): Promise<void> {
    return this.#rekeys.run(async () => {
      let pages = await this.#queue.run(() => Promise.resolve().then(() => this.#adopt(key)));
      for (let first = 0; first < pages; first += PAGES_AT_ONCE)
        pages = await this.#queue.run(() => this.#rewrap(first));
      this.#heldKeys.forgetEarlier();
    });
  }

  #adopt(key: Uint8Array): number {
    const { keys } = this.#volume();
    this.#heldKeys.adopt(key);
    this.#state.spentSegments = 0;
    return keys.count;
  }

  /** How many pages there are by now; those that came meanwhile are under the new key. */
  async #rewrap(first: number): Promise<number> {
    const { keys } = this.#volume();
    try {
      await keys.rewrap(first, PAGES_AT_ONCE);
    } catch (error) {
      if (isRefusal(error)) this.#state.fail(error);
      throw error;
    }
    return keys.count;
  }

  #volume(): StorageVolume {
    const { volume, failure } = this.#state;
    if (volume !== undefined) return volume;
    throw failure ?? new EntropyError('state-unwritable', 'the storage cache is not open');
  }
}
