import { scrypt } from 'node:crypto';
import { wipe } from '../base/bytes.ts';
import { EntropyError } from '../base/errors.ts';
import { randomBytes, type RandomSource } from '../base/random.ts';
import { PASSPHRASE_BYTES } from '../contract/passphrase.ts';
import { bytesOfField, type EncryptionInfo } from './encryption-info.ts';
import { KEY_BYTES } from './envelope.ts';

/**
 * A passphrase joined into mode NONE: the wrapping key is scrypt (RFC 7914) of it. In encryption.info:
 *
 *   none.scrypt   "N=131072,r=8,p=1"
 *   none.salt     32 bytes, new whenever a passphrase is joined
 *
 * 128 MiB and about half a second for each guess. The parameters are read from a file that nothing vouches for yet, so they are
 * bounded before any work is done: a forged file can make a start take a few seconds and 512 MiB, and no more.
 */
export interface ScryptCost {
  readonly N: number;
  readonly r: number;
  readonly p: number;
}

export const PASSPHRASE_COST: ScryptCost = { N: 2 ** 17, r: 8, p: 1 };
const MINIMUM_N = 2 ** 10;
const MAXIMUM_N = 2 ** 19;
const MAXIMUM_R = 8;
const MAXIMUM_P = 4;
const SALT_BYTES = 32;
const BYTES_PER_BLOCK = 128;

const COST = 'none.scrypt';
const SALT = 'none.salt';
const COST_PATTERN = /^N=([1-9][0-9]{0,7}),r=([1-9][0-9]?),p=([1-9])$/;

/** What a passphrase amounts to: the fields by which it gives the key again, and the wrapping key, 32 bytes. */
export interface PassphraseKey {
  readonly fields: ReadonlyMap<string, string>;
  readonly key: Buffer;
}

/** Whether a passphrase is joined in, or somebody wants it to look so. */
export function hasPassphrase(info: EncryptionInfo): boolean {
  return info.fields.has(COST) || info.fields.has(SALT);
}

/** The key of a passphrase that is joined in anew. The passphrase stays the caller's. */
export async function newPassphraseKey(
  passphrase: Uint8Array,
  random: RandomSource,
  cost: ScryptCost = PASSPHRASE_COST,
): Promise<PassphraseKey> {
  const salt = randomBytes(random, SALT_BYTES);
  return { fields: fieldsOf(cost, salt), key: await derived(passphrase, salt, cost) };
}

/**
 * The key that these fields and a passphrase give, right or wrong.
 *
 * @param ask gives the passphrase, once the fields are known to be in bounds; it is wiped here
 * @throws EntropyError state-damaged for parameters out of bounds, before any work is done
 */
export async function passphraseKey(info: EncryptionInfo, ask: () => Buffer): Promise<PassphraseKey> {
  const cost = costOf(info.fields.get(COST) ?? '');
  const salt = bytesOfField(info, SALT, SALT_BYTES);
  if (salt.length !== SALT_BYTES) throw invalid(SALT);
  const passphrase = ask();
  try {
    return { fields: fieldsOf(cost, salt), key: await derived(passphrase, salt, cost) };
  } finally {
    wipe(passphrase);
  }
}

/**
 * A passphrase as a file holds it: line ends behind it do not count, since editors add them. The bytes given are wiped.
 *
 * @throws EntropyError passphrase-refused for what is too short or long
 */
export function passphraseOf(content: Buffer): Buffer {
  let length = content.length;
  while (length > 0 && (content[length - 1] === 0x0a || content[length - 1] === 0x0d)) length--;
  const passphrase = Buffer.alloc(length);
  content.copy(passphrase);
  wipe(content);
  if (length >= PASSPHRASE_BYTES.minimum && length <= PASSPHRASE_BYTES.maximum) return passphrase;
  wipe(passphrase);
  throw new EntropyError(
    'passphrase-refused',
    `a passphrase has ${PASSPHRASE_BYTES.minimum} to ${PASSPHRASE_BYTES.maximum} bytes, and this one ${length}`,
  );
}

function fieldsOf({ N, r, p }: ScryptCost, salt: Buffer): ReadonlyMap<string, string> {
  return new Map([
    [COST, `N=${N},r=${r},p=${p}`],
    [SALT, salt.toString('base64')],
  ]);
}

function costOf(text: string): ScryptCost {
  const [, N = 0, r = 0, p = 0] = (COST_PATTERN.exec(text) ?? []).map(Number);
  const isPowerOfTwo = N > 0 && Number.isInteger(Math.log2(N));
  if (!isPowerOfTwo || N < MINIMUM_N || N > MAXIMUM_N || r > MAXIMUM_R || p > MAXIMUM_P) throw invalid(COST);
  return { N, r, p };
}

function invalid(field: string): EntropyError {
  return new EntropyError('state-damaged', `encryption.info has no valid ${field}`);
}

/** In a thread of the pool, so that the event loop goes on. */
function derived(passphrase: Uint8Array, salt: Buffer, { N, r, p }: ScryptCost): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    // OpenSSL counts a little more than the table of N blocks.
    const maxmem = BYTES_PER_BLOCK * r * (N + p + 2) + 65_536;
    scrypt(passphrase, salt, KEY_BYTES, { N, r, p, maxmem }, (error, key) => {
      if (error === null) resolve(key);
      else reject(error);
    });
  });
}
