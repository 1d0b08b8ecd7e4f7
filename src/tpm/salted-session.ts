import { createCipheriv, createDecipheriv, createECDH, createHmac, timingSafeEqual } from 'node:crypto';
import { wipe } from '../base/bytes.ts';
import { EntropyError } from '../base/errors.ts';
import { randomBytes, type RandomSource } from '../base/random.ts';
import { ALGORITHM, DIGEST_BYTES, HANDLE, SESSION_ATTRIBUTE, SESSION_TYPE } from './codes.ts';
import type { Authorization, CommandChannel } from './command-channel.ts';
import { selfNamed } from './command-channel.ts';
import { kdfa, kdfe } from './kdf.ts';
import type { StorageRoot } from './storage-root.ts';
import { storageRootPoint } from './public-area.ts';
import { malformed, TpmReader, TpmWriter } from './wire.ts';

const AES_KEY_BITS = 128;
const AES_KEY_BYTES = 16;
const IV_BYTES = 16;
const ECC_BYTES = 32;

export interface SessionDependencies {
  readonly channel: CommandChannel;
  readonly random: RandomSource;
}

/** Which first parameter a command's authorization hides: of the command, of the response, or neither. */
export type Hiding = 'command' | 'response' | 'nothing';

/**
 * A session whose key was agreed on with the storage root key (part 1, 19.6.11 and B.6.2 of the specification): its HMAC
 * covers each command and response, and what is secret goes as AES-128-CFB. Who listens on the bus learns nothing, and
 * who alters it is found out, as long as the storage root key is the one that was pinned.
 *
 * All authorization values here are empty, so the session key is the whole HMAC key.
 */
export class SaltedSession {
  readonly handle: number;
  readonly #dependencies: SessionDependencies;
  readonly #key: Buffer;
  #nonceTpm: Buffer;

  private constructor(dependencies: SessionDependencies, handle: number, key: Buffer, nonceTpm: Buffer) {
    this.#dependencies = dependencies;
    this.handle = handle;
    this.#key = key;
    this.#nonceTpm = nonceTpm;
  }

  static async start(
    options: { readonly type: 'hmac' | 'policy'; readonly root: StorageRoot },
    dependencies: SessionDependencies,
  ): Promise<SaltedSession> {
    const { channel, random } = dependencies;
    const nonceCaller = randomBytes(random, DIGEST_BYTES);
    const { salt, sealedSalt } = agreedSalt(options.root, random);
    try {
      const { handle, parameters } = await channel.run('startAuthSession', {
        handles: [selfNamed(options.root.handle), selfNamed(HANDLE.null)],
        parameters: new TpmWriter()
          .sized(nonceCaller)
          .sized(sealedSalt)
          .u8(SESSION_TYPE[options.type])
          .u16(ALGORITHM.aes)
          .u16(AES_KEY_BITS)
          .u16(ALGORITHM.cfb)
          .u16(ALGORITHM.sha256)
          .bytes(),
      });
      const nonceTpm = nonceOf(parameters);
      parameters.end();
      const key = kdfa(salt, 'ATH', nonceTpm, nonceCaller, DIGEST_BYTES);
      return new SaltedSession(dependencies, handle, key, nonceTpm);
    } finally {
      wipe(salt);
    }
  }

  /** Authorizes one command, which may be asked for again with a fresh nonce. */
  authorization(hiding: Hiding = 'nothing'): Authorization {
    const attributes =
      SESSION_ATTRIBUTE.continue |
      (hiding === 'command' ? SESSION_ATTRIBUTE.decrypt : 0) |
      (hiding === 'response' ? SESSION_ATTRIBUTE.encrypt : 0);
    let nonceCaller: Buffer;
    return {
      hide: (parameters) => {
        nonceCaller = randomBytes(this.#dependencies.random, DIGEST_BYTES);
        return hiding === 'command' ? this.#hidden(parameters, nonceCaller) : parameters;
      },
      authorize: (cpHash) =>
        new TpmWriter()
          .u32(this.handle)
          .sized(nonceCaller)
          .u8(attributes)
          .sized(this.#hmac(cpHash, nonceCaller, this.#nonceTpm, attributes))
          .bytes(),
      accept: (rpHash, authorization, parameters) => {
        const nonceTpm = nonceOf(authorization);
        const answered = authorization.u8();
        const hmac = authorization.sized(DIGEST_BYTES);
        const expected = this.#hmac(rpHash, nonceTpm, nonceCaller, answered);
        if (hmac.length !== expected.length || !timingSafeEqual(hmac, expected)) throw forged();
        this.#nonceTpm = nonceTpm;
        return hiding === 'response' ? this.#shown(parameters, nonceCaller) : parameters;
      },
    };
  }

  /** Ends it in the TPM and wipes its key. */
  async end(): Promise<void> {
    wipe(this.#key);
    await flush(this.#dependencies.channel, this.handle);
  }

  #hmac(digest: Buffer, nonceNewer: Buffer, nonceOlder: Buffer, attributes: number): Buffer {
    return createHmac('sha256', this.#key)
      .update(digest)
      .update(nonceNewer)
      .update(nonceOlder)
      .update(Buffer.of(attributes))
      .digest();
  }

  /** The first parameter, a TPM2B, encrypted; its size stays in the clear (part 1, 21.3). */
  #hidden(parameters: Buffer, nonceCaller: Buffer): Buffer {
    return this.#withCipherKey(nonceCaller, this.#nonceTpm, (key, iv) => {
      const cipher = createCipheriv('aes-128-cfb', key, iv);
      return replaceFirst(parameters, (plain) => Buffer.concat([cipher.update(plain), cipher.final()]));
    });
  }

  #shown(parameters: Buffer, nonceCaller: Buffer): Buffer {
    return this.#withCipherKey(this.#nonceTpm, nonceCaller, (key, iv) => {
      const decipher = createDecipheriv('aes-128-cfb', key, iv);
      // CFB gives all of it at once.
      return replaceFirst(parameters, (hidden) => decipher.update(hidden));
    });
  }

  #withCipherKey<T>(nonceNewer: Buffer, nonceOlder: Buffer, use: (key: Buffer, iv: Buffer) => T): T {
    const material = kdfa(this.#key, 'CFB', nonceNewer, nonceOlder, AES_KEY_BYTES + IV_BYTES);
    try {
      return use(material.subarray(0, AES_KEY_BYTES), material.subarray(AES_KEY_BYTES));
    } finally {
      wipe(material);
    }
  }
}

/** Runs with a session, and ends it whatever happens. */
export async function withSession<T>(
  options: { readonly type: 'hmac' | 'policy'; readonly root: StorageRoot },
  dependencies: SessionDependencies,
  use: (session: SaltedSession) => Promise<T>,
): Promise<T> {
  const session = await SaltedSession.start(options, dependencies);
  try {
    return await use(session);
  } finally {
    await session.end();
  }
}

/** Frees what a TPM keeps only few of. */
export async function flush(channel: CommandChannel, handle: number): Promise<void> {
  await channel.run('flushContext', { parameters: new TpmWriter().u32(handle).bytes() });
}

/** One-pass Diffie-Hellman with the root key (part 1, C.6.1): the salt, and the ephemeral point as TPMS_ECC_POINT. */
function agreedSalt(root: StorageRoot, random: RandomSource): { salt: Buffer; sealedSalt: Buffer } {
  const peer = storageRootPoint(root.publicArea);
  const ephemeral = createECDH('prime256v1');
  const secret = ephemeralKey(ephemeral, random);
  let z: Buffer | undefined;
  try {
    const own = ephemeral.getPublicKey();
    const [x, y] = [own.subarray(1, 1 + ECC_BYTES), own.subarray(1 + ECC_BYTES)];
    z = sharedPoint(ephemeral, peer);
    const salt = kdfe(z, 'SECRET', x, peer.subarray(1, 1 + ECC_BYTES), DIGEST_BYTES);
    return { salt, sealedSalt: new TpmWriter().sized(x).sized(y).bytes() };
  } finally {
    wipe(secret);
    if (z !== undefined) wipe(z);
  }
}

/** Random numbers from the group's order on up are no keys: one in 2^32 is drawn again. */
function ephemeralKey(ecdh: ReturnType<typeof createECDH>, random: RandomSource): Buffer {
  for (;;) {
    const secret = randomBytes(random, ECC_BYTES);
    try {
      ecdh.setPrivateKey(secret);
      return secret;
    } catch {
      wipe(secret);
    }
  }
}

function sharedPoint(ecdh: ReturnType<typeof createECDH>, peer: Buffer): Buffer {
  try {
    return ecdh.computeSecret(peer);
  } catch (error) {
    throw new EntropyError('tpm-protocol', 'the storage key is not a point of the curve', { cause: error });
  }
}

/** The first parameter changed, in a copy: what `change` gives is wiped. */
function replaceFirst(parameters: Buffer, change: (first: Buffer) => Buffer): Buffer {
  const reader = new TpmReader(parameters);
  const first = change(reader.sized(parameters.length));
  const replaced = new TpmWriter().sized(first).raw(reader.rest()).bytes();
  wipe(first);
  return replaced;
}

/** A nonce of the TPM's hash size; a shorter one would be guessable. */
function nonceOf(reader: TpmReader): Buffer {
  const nonce = Buffer.from(reader.sized(DIGEST_BYTES));
  if (nonce.length < DIGEST_BYTES / 2) throw malformed('has a nonce that is too short');
  return nonce;
}

function forged(): EntropyError {
  return new EntropyError(
    'tpm-protocol',
    'a response is not authentic: something sits between us and the TPM',
  );
}
