import { hkdfSync } from 'node:crypto';
import { wipe } from '../base/bytes.ts';
import { EntropyError, isEntropyError } from '../base/errors.ts';
import { randomBytes, type RandomSource } from '../base/random.ts';
import { bytesOfField, type EncryptionInfo } from './encryption-info.ts';
import {
  ENVELOPE_OVERHEAD_BYTES,
  KEY_BYTES,
  openEnvelope,
  sealEnvelope,
  type EnvelopeKey,
} from './envelope.ts';
import {
  hasPassphrase,
  newPassphraseKey,
  passphraseKey,
  PASSPHRASE_COST,
  type PassphraseKey,
  type ScryptCost,
} from './passphrase.ts';
import type { KeyWrapping } from './root-key.ts';

const PURPOSE = 'archive key, mode NONE';
const INPUTS = 'none.inputs';
const WRAPPED = 'none.wrappedKey';

export interface NoneWrappingDependencies {
  readonly random: RandomSource;
  /** Reads the passphrase that this start was given, the caller's to wipe; undefined when it was given none. Throws why it cannot. */
  readonly passphrase?: () => Buffer | undefined;
  /** Of the passphrase; smaller in tests. */
  readonly cost?: ScryptCost;
}

/**
 * Mode NONE: the wrapping key comes from inputs that lie beside it in the clear. Whoever has the file has the key: this is
 * obfuscation, not protection, and exists so that every other mode is a change of wrapping only.
 *
 * With a passphrase joined in, the file alone does not suffice, and it is protection as good as the passphrase. What is kept of it in
 * memory is the key that scrypt made, which wraps again at a rotation. Joining and leaving is asked for and never happens by itself: an
 * archive without a passphrase is refused by whoever was given one, for anybody can make such an archive.
 */
export class NoneWrapping implements KeyWrapping {
  readonly mode = 'NONE';
  readonly #dependencies: NoneWrappingDependencies;
  /** What the next `wrap` does. `as-given`: what this start was given decides, as for a new archive. */
  #next: PassphraseKey | 'plain' | 'as-given' = 'as-given';

  constructor(dependencies: NoneWrappingDependencies) {
    this.#dependencies = dependencies;
  }

  /** Whether a passphrase is joined into what is wrapped from now on. */
  get isJoined(): boolean {
    return typeof this.#next === 'object';
  }

  /** Joins a passphrase into what is wrapped from now on; undefined for none. Gives what takes that back. */
  async join(passphrase: Uint8Array | undefined): Promise<() => void> {
    const before = this.#next;
    this.#next = passphrase === undefined ? 'plain' : await this.#newKey(passphrase);
    return () => (this.#next = before);
  }

  /** @throws EntropyError what keeps the passphrase that was given from being read */
  async wrap(key: EnvelopeKey): Promise<ReadonlyMap<string, string>> {
    const { random } = this.#dependencies;
    if (this.#next === 'as-given') this.#next = await this.#given();
    const made = this.#next === 'plain' ? newObfuscation(key.id, random) : this.#next;
    const wrapped = sealEnvelope({ id: key.id, secret: made.key }, PURPOSE, key.secret, random);
    if (this.#next === 'plain') wipe(made.key);
    return new Map([...made.fields, [WRAPPED, wrapped.toString('base64')]]);
  }

  /**
   * @throws EntropyError state-damaged, passphrase-needed, passphrase-wrong, passphrase-unjoined, and what keeps the passphrase that
   *   was given from being read
   */
  async unwrap(info: EncryptionInfo): Promise<Buffer> {
    const isJoined = hasPassphrase(info);
    if (isJoined === info.fields.has(INPUTS))
      throw new EntropyError(
        'state-damaged',
        'encryption.info says neither or both: with and without a passphrase',
      );
    return isJoined ? this.#unwrapJoined(info) : this.#unwrapPlain(info);
  }

  #unwrapPlain(info: EncryptionInfo): Buffer {
    const given = this.#dependencies.passphrase?.();
    if (given !== undefined) {
      wipe(given);
      throw new EntropyError(
        'passphrase-unjoined',
        'a passphrase was given, and the archive opens without one',
      );
    }
    const key = obfuscationKey(bytesOfField(info, INPUTS, KEY_BYTES), info.keyId);
    try {
      const secret = opened(info, key);
      if (this.#next === 'as-given') this.#next = 'plain';
      return secret;
    } finally {
      wipe(key);
    }
  }

  async #unwrapJoined(info: EncryptionInfo): Promise<Buffer> {
    const derived = await passphraseKey(info, () => this.#required());
    try {
      const secret = opened(info, derived.key);
      if (this.#next !== 'as-given') wipe(derived.key);
      else this.#next = derived;
      return secret;
    } catch (error) {
      wipe(derived.key);
      if (!isEntropyError(error, 'state-damaged')) throw error;
      throw new EntropyError('passphrase-wrong', 'the passphrase does not open the archive', {
        cause: error,
      });
    }
  }

  #required(): Buffer {
    const given = this.#dependencies.passphrase?.();
    if (given !== undefined) return given;
    throw new EntropyError(
      'passphrase-needed',
      'a passphrase is joined into the archive, and none was given',
    );
  }

  async #given(): Promise<PassphraseKey | 'plain'> {
    const passphrase = this.#dependencies.passphrase?.();
    if (passphrase === undefined) return 'plain';
    try {
      return await this.#newKey(passphrase);
    } finally {
      wipe(passphrase);
    }
  }

  #newKey(passphrase: Uint8Array): Promise<PassphraseKey> {
    const { random, cost = PASSPHRASE_COST } = this.#dependencies;
    return newPassphraseKey(passphrase, random, cost);
  }
}

/** True when what lies in the file suffices to open the archive. */
export function isObfuscation(info: EncryptionInfo): boolean {
  return info.mode === 'NONE' && !hasPassphrase(info);
}

function opened(info: EncryptionInfo, wrappingKey: Buffer): Buffer {
  const wrapped = bytesOfField(info, WRAPPED, KEY_BYTES + ENVELOPE_OVERHEAD_BYTES);
  return openEnvelope({ id: info.keyId, secret: wrappingKey }, PURPOSE, wrapped);
}

function newObfuscation(id: Uint8Array, random: RandomSource): PassphraseKey {
  const inputs = randomBytes(random, KEY_BYTES);
  return { fields: new Map([[INPUTS, inputs.toString('base64')]]), key: obfuscationKey(inputs, id) };
}

function obfuscationKey(inputs: Buffer, id: Uint8Array): Buffer {
  return Buffer.from(hkdfSync('sha256', inputs, id, 'entropy-mixer mode NONE: obfuscation', KEY_BYTES));
}
