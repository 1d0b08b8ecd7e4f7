import { scrypt, timingSafeEqual } from 'node:crypto';
import { EntropyError } from '../base/errors.ts';
import { randomBytes, type RandomSource } from '../base/random.ts';
import { PASSWORD_BYTES } from '../contract/access.ts';
import { SerialQueue } from '../durable/serial-queue.ts';
import { isInteger, isObject } from './feeder-record.ts';

/** What is kept of a password: scrypt (RFC 7914) with its parameters. */
export interface PasswordHash {
  /** log2 of N. */
  readonly costLog2: number;
  /** r: a block has 128 r bytes. */
  readonly blockSize: number;
  /** p. */
  readonly parallelism: number;
  readonly salt: Buffer;
  readonly hash: Buffer;
}

export type PasswordCost = Pick<PasswordHash, 'costLog2' | 'blockSize' | 'parallelism'>;

export interface PasswordHasherOptions {
  readonly cost: PasswordCost;
  /** Passwords that may wait while one is hashed. */
  readonly maximumWaiting: number;
}

/** 32 MiB for a quarter of a second on a usual core. */
export const PASSWORD_HASHER_DEFAULTS: PasswordHasherOptions = {
  cost: { costLog2: 15, blockSize: 8, parallelism: 3 },
  maximumWaiting: 8,
};

/** The most that a stored hash may ask for. */
const MAXIMUM_COST: PasswordCost = { costLog2: 17, blockSize: 16, parallelism: 8 };
const SALT_BYTES = 16;
const HASH_BYTES = 32;
const BYTES_PER_BLOCK = 128;

/** Hashes passwords beside the event loop, one at a time; few may wait, so that asking costs the host a bounded part of itself. */
export class PasswordHasher {
  readonly #options: PasswordHasherOptions;
  readonly #random: RandomSource;
  readonly #queue = new SerialQueue();
  readonly #nobody: PasswordHash;
  #waiting = 0;

  constructor(options: PasswordHasherOptions, dependencies: { readonly random: RandomSource }) {
    this.#options = options;
    this.#random = dependencies.random;
    this.#nobody = { ...options.cost, salt: this.#bytes(SALT_BYTES), hash: this.#bytes(HASH_BYTES) };
  }

  /** Throws `request-invalid` for what cannot be a password, `credential-busy`. */
  async hash(password: Uint8Array): Promise<PasswordHash> {
    assertPassword(password);
    const { cost } = this.#options;
    const salt = this.#bytes(SALT_BYTES);
    return { ...cost, salt, hash: await this.#derived(password, { ...cost, salt }) };
  }

  /** True for the password of this hash. Without one it takes the same time, and is false. Throws `credential-busy`. */
  async matches(password: Uint8Array, expected: PasswordHash | undefined): Promise<boolean> {
    const known = expected ?? this.#nobody;
    const isSame = timingSafeEqual(await this.#derived(password, known), known.hash);
    return isSame && expected !== undefined;
  }

  #derived(password: Uint8Array, hash: Omit<PasswordHash, 'hash'>): Promise<Buffer> {
    const { maximumWaiting } = this.#options;
    if (this.#waiting > maximumWaiting)
      return Promise.reject(
        new EntropyError('credential-busy', `${maximumWaiting} passwords wait to be checked`),
      );
    this.#waiting++;
    return this.#queue.run(() => scryptOf(password, hash)).finally(() => this.#waiting--);
  }

  #bytes(length: number): Buffer {
    return randomBytes(this.#random, length);
  }
}

function scryptOf(password: Uint8Array, hash: Omit<PasswordHash, 'hash'>): Promise<Buffer> {
  const { costLog2, blockSize: r, parallelism: p, salt } = hash;
  const N = 2 ** costLog2;
  // What the algorithm needs (RFC 7914, 5 and 6), with one block to spare for OpenSSL's own count.
  const maxmem = BYTES_PER_BLOCK * r * (N + p + 2);
  return new Promise((resolve, reject) => {
    scrypt(password, salt, HASH_BYTES, { N, r, p, maxmem }, (error, derived) => {
      if (error === null) resolve(derived);
      else reject(error);
    });
  });
}

/** 8 to 256 bytes of UTF-8 without control characters. */
function assertPassword(password: Uint8Array): void {
  const { minimum, maximum } = PASSWORD_BYTES;
  if (password.length < minimum || password.length > maximum)
    throw new EntropyError('request-invalid', `a password has ${minimum} to ${maximum} bytes`);
  if (password.some((byte) => byte < 0x20 || byte === 0x7f))
    throw new EntropyError('request-invalid', 'a password has no control characters');
}

export function encodePasswordHash({ salt, hash, ...cost }: PasswordHash): object {
  return { ...cost, salt: salt.toString('hex'), hash: hash.toString('hex') };
}

/** As it stands in JSON; undefined when it does not fit its schema. */
export function passwordHashFrom(value: unknown): PasswordHash | undefined {
  if (!isObject(value)) return undefined;
  const { costLog2, blockSize, parallelism, salt, hash } = value;
  const saltBytes = Buffer.from(typeof salt === 'string' ? salt : '', 'hex');
  const hashBytes = Buffer.from(typeof hash === 'string' ? hash : '', 'hex');
  if (
    !isInteger(costLog2, 1, MAXIMUM_COST.costLog2) ||
    !isInteger(blockSize, 1, MAXIMUM_COST.blockSize) ||
    !isInteger(parallelism, 1, MAXIMUM_COST.parallelism) ||
    saltBytes.length !== SALT_BYTES ||
    hashBytes.length !== HASH_BYTES
  )
    return undefined;
  return { costLog2, blockSize, parallelism, salt: saltBytes, hash: hashBytes };
}
