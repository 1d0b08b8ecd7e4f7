import { createHash } from 'node:crypto';
import { KIB } from '../base/units.ts';

/**
 * The install seed: external entropy that goes into a host's kickstart file as base64, in the command
 * `entropy --sources=N --data=BASE64` (VMware ESXi 8.0 U1). Whoever writes such a line and whoever reads it keep to the same bounds.
 */

/** Bytes before base64. */
export const SEED_MINIMUM_BYTES = 512_000;
export const SEED_MAXIMUM_BYTES = 10 * KIB * KIB;

/** The mask of entropy sources, 0 (the defaults) to 15. */
export const MAXIMUM_SOURCES = 15;

const FINGERPRINT_LABEL = 'entropy-mixer install seed\0';
const FINGERPRINT_BYTES = 8;

/**
 * What tells equal seeds, on two hosts or on the way to one: 64 bits of a labelled SHA-256. Enough that two seeds in a fleet are never taken
 * for one, and of half a megabyte of entropy nothing that anybody could use who does not have it.
 */
export class SeedFingerprint {
  readonly #hash = createHash('sha256').update(FINGERPRINT_LABEL);

  /** The next bytes of the seed. */
  update(bytes: Uint8Array): this {
    this.#hash.update(bytes);
    return this;
  }

  /** The fingerprint as it is shown, once all bytes were given: 0123-4567-89ab-cdef. */
  text(): string {
    const hex = this.#hash.digest().toString('hex', 0, FINGERPRINT_BYTES);
    return (hex.match(/.{4}/g) ?? []).join('-');
  }
}
