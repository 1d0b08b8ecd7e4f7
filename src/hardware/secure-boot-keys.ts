import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { errnoOf } from '../base/errors.ts';
import { SECURE_BOOT_PCR } from '../base/names.ts';
import { EFI_VARIABLES } from './secure-boot.ts';

/**
 * Whether the lists of keys that Secure Boot goes by, db (allowed) and dbx (forbidden), are other ones than those that firmware measured
 * into PCR 7 at this boot: then PCR 7 is another one at the next. What was measured stands in the TCG's event log, which root alone may
 * read (TCG PC Client Platform Firmware Profile, 9.2).
 */
export const EVENT_LOG = '/sys/kernel/security/tpm0/binary_bios_measurements';

export const SECURE_BOOT_LISTS = ['db', 'dbx'] as const;
export type SecureBootList = (typeof SECURE_BOOT_LISTS)[number];

/** SHA-256 of each list; of one that is not there, of nothing. */
export type SecureBootKeys = Readonly<Record<SecureBootList, string>>;

/** EFI_IMAGE_SECURITY_DATABASE_GUID (UEFI 2.10, 32.6.1). */
const SECURITY = 'd719b2cb-3d3a-4596-a3bc-dad00e67656f';
const ATTRIBUTES_BYTES = 4;
const MAXIMUM_LOG_BYTES = 4 * 1024 * 1024;
const MAXIMUM_DIGESTS = 16;
/** EV_EFI_VARIABLE_DRIVER_CONFIG. */
const VARIABLE_EVENT = 0x80000001;
const SHA1_BYTES = 20;
const GUID_BYTES = 16;

/** The lists as the firmware has them now; undefined where it does not tell. */
export async function readSecureBootKeys(
  variables: string = EFI_VARIABLES,
): Promise<SecureBootKeys | undefined> {
  const lists = await Promise.all(SECURE_BOOT_LISTS.map((name) => readList(variables, name)));
  const [db, dbx] = lists;
  return db === undefined || dbx === undefined ? undefined : { db: digestOf(db), dbx: digestOf(dbx) };
}

/** The lists as they were measured at this boot; undefined where the log cannot be read, or holds none. */
export async function readMeasuredKeys(log: string = EVENT_LOG): Promise<SecureBootKeys | undefined> {
  try {
    const bytes = await readFile(log);
    return bytes.length > MAXIMUM_LOG_BYTES ? undefined : measuredKeys(bytes);
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return undefined;
  }
}

/** The same of the log's bytes; undefined for what is no whole log. */
export function measuredKeys(log: Uint8Array): SecureBootKeys | undefined {
  const found = new Map<string, string>();
  try {
    const reader = new LogReader(log);
    // The first event is of the older form, and says how long the digests are, which each repeats by its algorithm.
    const digestBytes = reader.header();
    while (!reader.isAtEnd) {
      const { pcr, type, data } = reader.event(digestBytes);
      if (pcr !== SECURE_BOOT_PCR || type !== VARIABLE_EVENT) continue;
      const { name, value } = variableOf(data);
      found.set(name, digestOf(value));
    }
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
  const [db, dbx] = SECURE_BOOT_LISTS.map((name) => found.get(name));
  return db === undefined || dbx === undefined ? undefined : { db, dbx };
}

/** A variable that is not there is an empty list, where there are variables at all. */
async function readList(variables: string, name: SecureBootList): Promise<Buffer | undefined> {
  try {
    const bytes = await readFile(path.join(variables, `${name}-${SECURITY}`));
    return bytes.length < ATTRIBUTES_BYTES ? undefined : bytes.subarray(ATTRIBUTES_BYTES);
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return undefined;
  }
}

/** UEFI_VARIABLE_DATA: GUID ‖ characters u64 ‖ bytes u64 ‖ name in UTF-16 ‖ value. */
function variableOf(data: Buffer): { readonly name: string; readonly value: Buffer } {
  const nameCharacters = Number(data.readBigUInt64LE(GUID_BYTES));
  const valueBytes = Number(data.readBigUInt64LE(GUID_BYTES + 8));
  const nameStart = GUID_BYTES + 16;
  const valueStart = nameStart + 2 * nameCharacters;
  if (valueStart + valueBytes > data.length) throw new RangeError('a variable is longer than its event');
  return {
    name: data.subarray(nameStart, valueStart).toString('utf16le'),
    value: data.subarray(valueStart, valueStart + valueBytes),
  };
}

function digestOf(list: Uint8Array): string {
  return createHash('sha256').update(list).digest('hex');
}

/** Little-endian; RangeError for what would go beyond the end. */
class LogReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get isAtEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  /** TCG_PCR_EVENT with TCG_EfiSpecIDEvent: the size of the digests by their algorithms. */
  header(): ReadonlyMap<number, number> {
    this.#take(4 + 4 + SHA1_BYTES);
    const event = new LogReader(this.#take(this.#u32()));
    if (event.#take(16).toString('latin1') !== 'Spec ID Event03\0') throw new RangeError('another log');
    event.#take(4 + 4);
    const sizes = new Map<number, number>();
    for (let left = event.#count(MAXIMUM_DIGESTS); left > 0; left--) sizes.set(event.#u16(), event.#u16());
    return sizes;
  }

  /** TCG_PCR_EVENT2. */
  event(digestBytes: ReadonlyMap<number, number>): { pcr: number; type: number; data: Buffer } {
    const pcr = this.#u32();
    const type = this.#u32();
    for (let left = this.#count(MAXIMUM_DIGESTS); left > 0; left--) {
      const bytes = digestBytes.get(this.#u16());
      if (bytes === undefined) throw new RangeError('a digest of an algorithm that was not announced');
      this.#take(bytes);
    }
    return { pcr, type, data: this.#take(this.#u32()) };
  }

  #take(bytes: number): Buffer {
    if (this.#at + bytes > this.#bytes.length) throw new RangeError('the log ends early');
    this.#at += bytes;
    return this.#bytes.subarray(this.#at - bytes, this.#at);
  }

  #count(maximum: number): number {
    const value = this.#u32();
    if (value > maximum) throw new RangeError('too many parts');
    return value;
  }

  #u16(): number {
    return this.#take(2).readUInt16LE();
  }

  #u32(): number {
    return this.#take(4).readUInt32LE();
  }
}
