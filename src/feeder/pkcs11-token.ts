import type { NativeError, PKCS11 } from 'pkcs11js';
import { EntropyError, messageOf } from '../base/errors.ts';
import { wipe } from '../base/bytes.ts';
import type { Pkcs11Fault } from './pkcs11-messages.ts';
import { readSecretFile } from '../base/secret-file.ts';

type Pkcs11js = typeof import('pkcs11js');

export interface Pkcs11TokenOptions {
  /** Path of the vendor's shared library. */
  readonly module: string;
  /** Label of the token, without its padding. */
  readonly token: string;
  /** Logs in with the PIN that stands there; without it, no login. */
  readonly pinFile: string | undefined;
}

/** PKCS#11 allows tokens any PIN length; none known takes more. */
const MAXIMUM_PIN_BYTES = 256;

/** A session on one token; every call blocks, which is why it lives in a process of its own. */
export class Pkcs11Token {
  readonly #cryptoki: PKCS11;
  readonly #session: Buffer;

  /**
   * Loads the module, finds the token, opens a session and logs in where a PIN is given, which is told right before. Throws what `faultOf`
   * understands.
   */
  constructor(options: Pkcs11TokenOptions, pkcs11js: Pkcs11js, beforeLogin: () => void) {
    this.#cryptoki = new pkcs11js.PKCS11();
    this.#cryptoki.load(options.module);
    this.#cryptoki.C_Initialize({ flags: pkcs11js.CKF_OS_LOCKING_OK });
    const slot = this.#slotOf(options.token, pkcs11js.CKF_RNG);
    this.#session = this.#cryptoki.C_OpenSession(slot, pkcs11js.CKF_SERIAL_SESSION);
    if (options.pinFile !== undefined) this.#login(options.pinFile, pkcs11js.CKU_USER, beforeLogin);
  }

  /** Fills the whole target with C_GenerateRandom. */
  fill(target: Buffer): void {
    this.#cryptoki.C_GenerateRandom(this.#session, target);
  }

  close(): void {
    this.#cryptoki.C_CloseSession(this.#session);
    this.#cryptoki.C_Finalize();
  }

  #slotOf(label: string, randomFlag: number): Buffer {
    const found = this.#cryptoki
      .C_GetSlotList(true)
      .map((slot) => ({ slot, token: this.#cryptoki.C_GetTokenInfo(slot) }))
      // Labels are 32 bytes, padded with blanks.
      .filter(({ token }) => token.label.trimEnd() === label);
    const [only, ...others] = found;
    if (only === undefined) throw new EntropyError('pkcs11-failed', `no token has the label "${label}"`);
    if (others.length > 0)
      throw new EntropyError('pkcs11-failed', `${found.length} tokens have the label "${label}"`);
    if ((only.token.flags & randomFlag) === 0)
      throw new EntropyError('pkcs11-failed', `the token "${label}" has no random generator (CKF_RNG)`);
    return only.slot;
  }

  #login(pinFile: string, userType: number, beforeLogin: () => void): void {
    const bytes = readSecretFile(pinFile, MAXIMUM_PIN_BYTES, 'pkcs11-failed');
    try {
      beforeLogin();
      // pkcs11js takes the PIN as a string, which cannot be wiped; it lives in this process alone.
      this.#cryptoki.C_Login(this.#session, userType, bytes.toString('utf8').replace(/\r?\n$/, ''));
    } catch (error) {
      if (nameOf(error) !== 'CKR_USER_ALREADY_LOGGED_IN') throw error;
    } finally {
      wipe(bytes);
    }
  }
}

/** What the parent is told of an error: method, CKR_ name and number; final for whatever has to do with the PIN. */
export function faultOf(error: unknown): Pkcs11Fault {
  if (error instanceof EntropyError) {
    const code = error.code === 'key-file-exposed' ? error.code : 'pkcs11-failed';
    return { code, detail: error.message, final: code === 'key-file-exposed' };
  }
  const name = nameOf(error);
  const detail = isCryptokiError(error)
    ? `${error.method === '' ? 'PKCS#11' : error.method} answered ${name} (0x${error.code.toString(16)})`
    : messageOf(error);
  return { code: 'pkcs11-failed', detail, final: name.startsWith('CKR_PIN_') };
}

function nameOf(error: unknown): string {
  return isCryptokiError(error) ? error.message : '';
}

/** By its shape: the module of the class is only there at run time. */
function isCryptokiError(error: unknown): error is NativeError & { readonly code: number } {
  return (
    error instanceof Error &&
    error.message.startsWith('CKR_') &&
    'code' in error &&
    typeof error.code === 'number' &&
    'method' in error &&
    typeof error.method === 'string'
  );
}
