import { createHash, timingSafeEqual } from 'node:crypto';
import { wipe } from '../base/bytes.ts';
import type { Clock } from '../base/clock.ts';
import { EntropyError } from '../base/errors.ts';
import { randomBytes, type RandomSource } from '../base/random.ts';
import { MS_PER_SECOND } from '../base/units.ts';
import { TOKEN_NAME, TOKEN_SCOPES, type TokenScope } from '../contract/access.ts';
import { isFeederName, isInteger, isObject, MAXIMUM_FEEDER_ID } from './feeder-record.ts';
import { RecordList } from './record-list.ts';
import type { StateArchive } from './state-archive.ts';

/** Whose entropy comes with a token or an account: a name alone could be given to another feeder later. */
export interface FeederReference {
  readonly id: number;
  readonly name: string;
}

export interface TokenRecord {
  readonly name: string;
  readonly scopes: readonly TokenScope[];
  readonly feeder: FeederReference | undefined;
  readonly createdMs: number;
  /** Wall-clock time; undefined: until it is revoked. */
  readonly expiresMs: number | undefined;
  /** SHA-256 over a label and the token. It is random with 256 bits, so no slow hash is needed to keep it. */
  readonly digest: Buffer;
}

export interface TokenChoice {
  readonly scopes: readonly TokenScope[];
  readonly expiresSeconds: number | undefined;
  readonly feeder: FeederReference | undefined;
}

/** What every check reads through. */
export const MAXIMUM_TOKENS = 256;
const SECRET_BYTES = 32;
const DIGEST_BYTES = 32;
/** For people and for programs that look for secrets where they should not be. */
const PREFIX = 'emt_';
const ALPHABET = Buffer.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_');
const SECRET_CHARACTERS = Math.ceil((SECRET_BYTES * 8) / 6);
const DOMAIN = 'entropy-mixer token v1\0';
const NAME = new RegExp(TOKEN_NAME.pattern);

/** Tokens of the network interfaces. Only their digests are kept. */
export class Tokens {
  readonly #list: RecordList<TokenRecord>;
  readonly #random: RandomSource;
  readonly #clock: Clock;
  /** By name, since start. */
  readonly #lastUsedMs = new Map<string, number>();

  constructor(dependencies: {
    readonly archive: StateArchive;
    readonly random: RandomSource;
    readonly clock: Clock;
  }) {
    this.#random = dependencies.random;
    this.#clock = dependencies.clock;
    const options = { document: 'tokens.json', version: 1, maximum: MAXIMUM_TOKENS, encode, decode };
    this.#list = new RecordList(options, dependencies);
  }

  /** Why everything is refused; undefined when it is not. */
  get refused(): EntropyError | undefined {
    return this.#list.refused;
  }

  /** In the order of their making. */
  list(): readonly TokenRecord[] {
    return this.#list.records;
  }

  /** null: not since start. */
  lastUsedMs(name: string): number | null {
    return this.#lastUsedMs.get(name) ?? null;
  }

  isExpired({ expiresMs }: TokenRecord): boolean {
    return expiresMs !== undefined && this.#clock.wallMs() >= expiresMs;
  }

  /**
   * A new token. Its text, one line, is the caller's to wipe, and cannot be had again.
   * Throws `token-exists`, `token-limit`, `request-invalid`, `state-unwritable`.
   */
  async create(name: string, choice: TokenChoice): Promise<{ record: TokenRecord; text: Buffer }> {
    const { scopes, expiresSeconds, feeder } = choice;
    if (!NAME.test(name))
      throw new EntropyError('request-invalid', 'a token name has 1 to 32 characters a-z 0-9 . _ -');
    if (scopes.includes('external.write') !== (feeder !== undefined))
      throw new EntropyError(
        'request-invalid',
        'the scope external.write needs a feeder, and a feeder this scope',
      );
    const createdMs = this.#clock.wallMs();
    const expiresMs = expiresSeconds === undefined ? undefined : createdMs + expiresSeconds * MS_PER_SECOND;
    const text = tokenText(this.#random);
    const digest = digestOf(text.subarray(0, -1));
    const record: TokenRecord = { name, scopes, feeder, createdMs, expiresMs, digest };
    try {
      await this.#list.change((records) => {
        if (records.some((one) => one.name === name))
          throw new EntropyError('token-exists', `there is a token ${name} already`);
        if (records.length >= MAXIMUM_TOKENS)
          throw new EntropyError('token-limit', `there are ${records.length} tokens`);
        return [[...records, record], undefined];
      });
    } catch (error) {
      wipe(text);
      throw error;
    }
    this.#lastUsedMs.delete(name);
    return { record, text };
  }

  /** It is good for nothing from now on. Throws `token-unknown`, `state-unwritable`. */
  revoke(name: string): Promise<TokenRecord> {
    return this.#list.change((records) => {
      const revoked = records.find((one) => one.name === name);
      if (revoked === undefined) throw new EntropyError('token-unknown', 'there is no token of this name');
      return [records.filter((one) => one !== revoked), revoked];
    });
  }

  /**
   * The token of this text, expired or not; undefined for one that is unknown. All are compared, each in constant time, so the time
   * tells nothing but how many there are. Throws the error in `refused`: then nobody can be told from anybody.
   */
  find(text: Uint8Array): TokenRecord | undefined {
    if (this.refused !== undefined) throw this.refused;
    const digest = digestOf(text);
    let found: TokenRecord | undefined;
    for (const record of this.#list.records) if (timingSafeEqual(record.digest, digest)) found = record;
    if (found !== undefined) this.#lastUsedMs.set(found.name, this.#clock.wallMs());
    return found;
  }

  /** True while this very token is neither revoked nor expired. */
  holds(record: TokenRecord): boolean {
    return this.#list.records.includes(record) && !this.isExpired(record);
  }

  close(): Promise<void> {
    return this.#list.close();
  }
}

/** `emt_`, 43 characters of base64url (RFC 4648, 5), and the end of the line: 32 random bytes that never were a string. */
function tokenText(random: RandomSource): Buffer {
  const secret = randomBytes(random, SECRET_BYTES);
  const text = Buffer.alloc(PREFIX.length + SECRET_CHARACTERS + 1, '\n');
  text.write(PREFIX, 'latin1');
  for (let digit = 0; digit < SECRET_CHARACTERS; digit++)
    text.writeUInt8(ALPHABET.readUInt8(sixBitsAt(secret, digit * 6)), PREFIX.length + digit);
  wipe(secret);
  return text;
}

/** Six bits from this bit on, the missing ones at the end zero. */
function sixBitsAt(bytes: Uint8Array, bit: number): number {
  const at = bit >>> 3;
  const pair = ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
  return (pair >>> (10 - (bit & 7))) & 63;
}

function digestOf(text: Uint8Array): Buffer {
  return createHash('sha256').update(DOMAIN).update(text).digest();
}

function encode({ digest, ...record }: TokenRecord): object {
  return { ...record, digest: digest.toString('hex') };
}

function decode(value: unknown): TokenRecord | undefined {
  if (!isObject(value)) return undefined;
  const { name, scopes, feeder, createdMs, expiresMs, digest } = value;
  if (typeof name !== 'string' || !NAME.test(name) || !Array.isArray(scopes)) return undefined;
  const known = TOKEN_SCOPES.filter((scope) => scopes.includes(scope));
  const reference = feeder === undefined ? undefined : feederReferenceFrom(feeder);
  const bytes = Buffer.from(typeof digest === 'string' ? digest : '', 'hex');
  if (
    known.length !== scopes.length ||
    (feeder !== undefined && reference === undefined) ||
    known.includes('external.write') !== (reference !== undefined) ||
    !isInteger(createdMs, 0, Number.MAX_SAFE_INTEGER) ||
    !(expiresMs === undefined || isInteger(expiresMs, 0, Number.MAX_SAFE_INTEGER)) ||
    bytes.length !== DIGEST_BYTES
  )
    return undefined;
  return { name, scopes: known, feeder: reference, createdMs, expiresMs, digest: bytes };
}

/** As it stands in JSON; undefined when it does not fit its schema. */
export function feederReferenceFrom(value: unknown): FeederReference | undefined {
  if (!isObject(value)) return undefined;
  const { id, name } = value;
  if (!isInteger(id, 1, MAXIMUM_FEEDER_ID) || typeof name !== 'string' || !isFeederName(name))
    return undefined;
  return { id, name };
}
