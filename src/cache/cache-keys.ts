import { secretCopyOf, wipe } from '../base/bytes.ts';
import { KEY_BYTES } from './segment-format.ts';

/** The keys of a cache's files, 32 secret bytes each. */
export interface CacheKeys {
  /** Vouches for the headers of the files; the same for as long as they live. */
  readonly headerKey: Uint8Array;
  /** Key-encryption keys, the one in force first. Pages that a change of keys did not reach yet are under one of the others. */
  readonly pageKeys: readonly Uint8Array[];
}

export function wipeKeys({ headerKey, pageKeys }: CacheKeys): void {
  for (const key of [headerKey, ...pageKeys]) wipe(key);
}

/** The keys while the files are open: copies, of which those that nothing is under any more are wiped. */
export class HeldKeys {
  readonly headerKey: Uint8Array;
  #current: Uint8Array;
  #earlier: Uint8Array[];

  /** Throws RangeError for keys that cannot be. */
  constructor({ headerKey, pageKeys: [current, ...earlier] }: CacheKeys) {
    if (current === undefined) throw new RangeError('there is at least one key');
    for (const key of [headerKey, current, ...earlier]) assertKey(key);
    this.headerKey = secretCopyOf(headerKey);
    this.#current = secretCopyOf(current);
    this.#earlier = earlier.map(secretCopyOf);
  }

  /** What pages are written under. */
  get current(): Uint8Array {
    return this.#current;
  }

  /** What pages may be under, the one in force first. */
  get all(): readonly Uint8Array[] {
    return [this.#current, ...this.#earlier];
  }

  /** From now on pages are written under this key, which is copied; the earlier ones go on opening those they wrap. */
  adopt(key: Uint8Array): void {
    assertKey(key);
    this.#earlier = [this.#current, ...this.#earlier];
    this.#current = secretCopyOf(key);
  }

  /** No page is under an earlier key any more. */
  forgetEarlier(): void {
    for (const key of this.#earlier.splice(0)) wipe(key);
  }

  wipe(): void {
    this.forgetEarlier();
    wipe(this.#current);
    wipe(this.headerKey);
  }
}

function assertKey(key: Uint8Array): void {
  if (key.length !== KEY_BYTES) throw new RangeError(`the key has ${KEY_BYTES} bytes`);
}
