import { secretCopyOf, wipe } from '../base/bytes.ts';
import { EntropyError } from '../base/errors.ts';
import { randomBytes, type RandomSource } from '../base/random.ts';
import type { StateArchive } from './state-archive.ts';

/** Who this host is to feeders. Both are made on first use and stay. */
export interface HostIdentity {
  /** 16 bytes that an enrolment is bound to. */
  readonly host: Buffer;
  /** 32 bytes: the Ed25519 private key of receipts (RFC 8032, 5.1.5). A copy, the caller's to wipe. */
  readonly receiptSeed: Buffer;
}

export interface HostIdentityDependencies {
  readonly archive: StateArchive;
  readonly random: RandomSource;
}

const HOST = 'host';
const RECEIPT_KEY = 'receipt-key';
const HOST_BYTES = 16;
const SEED_BYTES = 32;

/** Makes the identity, durably, or reads it; one call at a time. */
export class HostIdentityKeeper {
  readonly #archive: StateArchive;
  readonly #random: RandomSource;
  #identity: HostIdentity | undefined;

  constructor(dependencies: HostIdentityDependencies) {
    this.#archive = dependencies.archive;
    this.#random = dependencies.random;
  }

  /** Throws `state-unwritable` when it had to be made and could not; `state-damaged`. */
  async identity(): Promise<HostIdentity> {
    this.#identity ??= await this.#readOrMake();
    return { host: secretCopyOf(this.#identity.host), receiptSeed: secretCopyOf(this.#identity.receiptSeed) };
  }

  wipe(): void {
    if (this.#identity !== undefined) wipe(this.#identity.receiptSeed);
    this.#identity = undefined;
  }

  async #readOrMake(): Promise<HostIdentity> {
    const host = this.#archive.document(HOST) ?? randomBytes(this.#random, HOST_BYTES);
    const receiptSeed = this.#archive.document(RECEIPT_KEY) ?? randomBytes(this.#random, SEED_BYTES);
    if (host.length !== HOST_BYTES || receiptSeed.length !== SEED_BYTES)
      throw new EntropyError('state-damaged', `${HOST} or ${RECEIPT_KEY} has another length`);
    const known = this.#archive.documentNames();
    if (!known.includes(HOST) || !known.includes(RECEIPT_KEY)) {
      await Promise.all([this.#archive.save(HOST, host), this.#archive.save(RECEIPT_KEY, receiptSeed)]);
    }
    return { host, receiptSeed };
  }
}
