import { createHash } from 'node:crypto';

export function sha512(...parts: readonly (Uint8Array | string)[]): Uint8Array {
  const hash = createHash('sha512');
  for (const part of parts) hash.update(part);
  return Uint8Array.from(hash.digest());
}

export const FULL_ENTROPY_UNITS = 320 * 1024;

/** The pool as the design words it, on node:crypto: what the module is compared with. Knows credit, not health tests. */
export class PoolModel {
  #absorbed: Uint8Array[];
  #credit = [0, 0, 0, 0];

  constructor(seed: Uint8Array) {
    this.#absorbed = [sha512('entropy-mixer/pool/start/1', seed).subarray(32)];
  }

  get credit(): readonly number[] {
    return this.#credit;
  }

  absorb(source: number, bytes: Uint8Array): void {
    const frame = new DataView(new ArrayBuffer(5));
    frame.setUint8(0, 1 << source);
    frame.setUint32(1, bytes.length, false);
    this.#absorbed.push(new Uint8Array(frame.buffer), Uint8Array.from(bytes));
  }

  addCredit(source: number, units: number): void {
    this.#credit[source] = Math.min(this.#credit[source]! + units, 2 ** 32 - 1);
  }

  voidCredit(source: number): void {
    this.#credit[source] = 0;
  }

  isReady(): boolean {
    return this.#credit.reduce((sum, units) => sum + units, 0) >= FULL_ENTROPY_UNITS;
  }

  /** The block and what it was made from; undefined below 320 bits. */
  extract(): { block: Uint8Array; credit: readonly number[] } | undefined {
    if (!this.isReady()) return undefined;
    const digest = sha512(...this.#absorbed);
    this.#absorbed = [digest.subarray(32)];
    const credit = this.#credit;
    this.#credit = [0, 0, 0, 0];
    return { block: digest.subarray(0, 32), credit };
  }
}
