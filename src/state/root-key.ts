import { wipe } from '../base/bytes.ts';
import { EntropyError } from '../base/errors.ts';
import { randomBytes, type RandomSource } from '../base/random.ts';
import type { EncryptionInfo } from './encryption-info.ts';
import { KEY_BYTES, KEY_ID_BYTES, type EnvelopeKey } from './envelope.ts';
import { wrapForRecovery, type RecoveryKey } from './recovery-wrapping.ts';

export { isObfuscation, NoneWrapping } from './none-wrapping.ts';

/**
 * One way to get at the archive key: none, TPM, and beside either of them a recovery key. What it needs it keeps as
 * fields of encryption.info. Secrets that it lends are the caller's to wipe.
 */
export interface KeyWrapping {
  /** The value of `mode` in encryption.info. */
  readonly mode: string;
  /** Fields from which `unwrap` gets this key again. */
  wrap(key: EnvelopeKey): Promise<ReadonlyMap<string, string>>;
  /** The 32 secret bytes. Throws `state-damaged` when the fields do not hold the key that the info names. */
  unwrap(info: EncryptionInfo): Promise<Buffer>;
  /**
   * Told once every archive on disk is wrapped as this info says, also at a start that finds it so: what only older
   * fields needed can be let go, and the mode be marked. It may run again after a crash, and refuses nothing.
   */
  settle?(info: EncryptionInfo): Promise<void>;
}

/** The archive key K: random, named by its id, and independent of how it is wrapped. */
export class RootKey implements EnvelopeKey {
  readonly id: Buffer;
  readonly secret: Buffer;

  private constructor(id: Buffer, secret: Buffer) {
    this.id = id;
    this.secret = secret;
  }

  static create(random: RandomSource): RootKey {
    return new RootKey(randomBytes(random, KEY_ID_BYTES), randomBytes(random, KEY_BYTES));
  }

  /** Throws as the wrapping does, and `state-version-newer` for a mode that none of the wrappings knows. */
  static async open(info: EncryptionInfo, wrappings: readonly KeyWrapping[]): Promise<RootKey> {
    const wrapping = wrappings.find(({ mode }) => mode === info.mode);
    if (wrapping === undefined) {
      throw new EntropyError(
        'state-version-newer',
        `encryption.info has mode ${info.mode}, unknown to this version`,
      );
    }
    return RootKey.of(info, await wrapping.unwrap(info));
  }

  /** The key that the info names, from its secret bytes, which it takes over. Throws `state-damaged`. */
  static of(info: EncryptionInfo, secret: Buffer): RootKey {
    if (secret.length === KEY_BYTES) return new RootKey(info.keyId, secret);
    wipe(secret);
    throw new EntropyError('state-damaged', 'encryption.info holds a key of the wrong length');
  }

  /** This key wrapped twice: by the mode and by the recovery key. */
  async wrapped(wrapping: KeyWrapping, recovery: RecoveryKey, random: RandomSource): Promise<EncryptionInfo> {
    const fields = [...(await wrapping.wrap(this)), ...wrapForRecovery(this, recovery, random)];
    return { mode: wrapping.mode, keyId: this.id, fields: new Map(fields) };
  }

  wipe(): void {
    wipe(this.secret);
  }
}
