import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { open, unlink, type FileHandle } from 'node:fs/promises';
import path from 'node:path';
import { wipe } from '../base/bytes.ts';
import { EntropyError, errnoOf, messageOf } from '../base/errors.ts';
import { FEEDER_KEY_BYTES } from '../contract/feeders.ts';

/** Keys on their way between the daemon and files or descriptors: bytes that are wiped, and never a string. */

/** Read and write for the owner alone. */
const SECRET_MODE = 0o600;
/** Permissions that let anybody but the owner at a file. */
const OTHERS = 0o077;

/** A file as it was named on the command line. */
export interface SecretPlace {
  readonly workingDirectory: string;
  readonly name: string;
}

/**
 * Makes a file that was not there, mode 0600, with the bytes that `make` answers, and wipes them. The file is made first: where it cannot
 * be, nothing is asked for; and it goes again when nothing came. Throws `file-exists`, `file-unwritable` and what `make` throws.
 */
export async function writeSecretFile(place: SecretPlace, make: () => Promise<Uint8Array>): Promise<void> {
  const file = path.resolve(place.workingDirectory, place.name);
  const handle = await createFile(file, place.name);
  let bytes: Uint8Array | undefined;
  try {
    bytes = await make();
    await writeDurably(handle, bytes, place.name);
  } catch (error) {
    await unlink(file).catch(() => undefined);
    throw error;
  } finally {
    if (bytes !== undefined) wipe(bytes);
    await handle.close();
  }
}

async function createFile(file: string, name: string): Promise<FileHandle> {
  try {
    const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
    return await open(file, flags, SECRET_MODE);
  } catch (error) {
    if (errnoOf(error) === 'EEXIST') throw new EntropyError('file-exists', `there is a file ${name} already`);
    throw unwritable(name, error);
  }
}

async function writeDurably(handle: FileHandle, bytes: Uint8Array, name: string): Promise<void> {
  try {
    await handle.writeFile(bytes);
    await handle.sync();
  } catch (error) {
    throw unwritable(name, error);
  }
}

function unwritable(name: string, error: unknown): EntropyError {
  return new EntropyError('file-unwritable', `cannot write ${name} (${errnoOf(error) ?? messageOf(error)})`);
}

/** Exactly a key's bytes from an inherited descriptor, up to its end: the caller wipes them. Throws `usage`, `input-failed`. */
export function readKey(descriptor: number): Uint8Array {
  // One byte more than a key, so that what is longer is seen to be.
  const read = new Uint8Array(FEEDER_KEY_BYTES + 1);
  try {
    const lengthBytes = readUpTo(descriptor, read);
    if (lengthBytes === FEEDER_KEY_BYTES) return read.slice(0, FEEDER_KEY_BYTES);
    const found = lengthBytes > FEEDER_KEY_BYTES ? 'more' : `${lengthBytes}`;
    throw new EntropyError(
      'usage',
      `descriptor ${descriptor} holds ${found} bytes, and a key has ${FEEDER_KEY_BYTES}`,
    );
  } finally {
    wipe(read);
  }
}

function readUpTo(descriptor: number, target: Uint8Array): number {
  let lengthBytes = 0;
  try {
    while (lengthBytes < target.length) {
      const count = readSync(descriptor, target, lengthBytes, target.length - lengthBytes, null);
      if (count === 0) break;
      lengthBytes += count;
    }
    return lengthBytes;
  } catch (error) {
    throw new EntropyError(
      'input-failed',
      `descriptor ${descriptor} cannot be read (${errnoOf(error) ?? messageOf(error)})`,
    );
  }
}

const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;

/**
 * The one line of a file that holds a secret, without its end: the caller wipes it. A regular file must be its owner's alone; a pipe or
 * a terminal is read up to its end. Throws `key-file-exposed`, `usage` for more than a line or too long a one, `input-failed`.
 */
export function readSecretLine(place: SecretPlace, maximumBytes: number): Uint8Array {
  // With room for the end of the line.
  const read = readSecret(place, maximumBytes + 2);
  try {
    let lengthBytes = read.length;
    if (lengthBytes > 0 && read[lengthBytes - 1] === LINE_FEED) lengthBytes--;
    if (lengthBytes > 0 && read[lengthBytes - 1] === CARRIAGE_RETURN) lengthBytes--;
    if (lengthBytes > maximumBytes || read.subarray(0, lengthBytes).includes(LINE_FEED))
      throw new EntropyError('usage', `${place.name} holds more than one line of ${maximumBytes} bytes`);
    return read.slice(0, lengthBytes);
  } finally {
    wipe(read);
  }
}

/**
 * A file that holds a secret, as it is: the caller wipes it. A regular file must be its owner's alone; a pipe or a terminal is read up
 * to its end. Throws `key-file-exposed`, `usage` for more than that many bytes, `input-failed`.
 */
export function readSecret({ workingDirectory, name }: SecretPlace, maximumBytes: number): Uint8Array {
  const descriptor = openSecret(path.resolve(workingDirectory, name), name);
  // One byte more, so that what is longer is seen to be.
  const read = new Uint8Array(maximumBytes + 1);
  try {
    const stats = fstatSync(descriptor);
    if (stats.isFile() && (stats.mode & OTHERS) !== 0)
      throw new EntropyError('key-file-exposed', `${name} can be read or written by others than its owner`);
    const lengthBytes = readUpTo(descriptor, read);
    if (lengthBytes > maximumBytes)
      throw new EntropyError('usage', `${name} holds more than ${maximumBytes} bytes`);
    return read.slice(0, lengthBytes);
  } finally {
    wipe(read);
    closeSync(descriptor);
  }
}

function openSecret(file: string, name: string): number {
  try {
    return openSync(file, constants.O_RDONLY | constants.O_NOCTTY);
  } catch (error) {
    throw new EntropyError('input-failed', `cannot read ${name} (${errnoOf(error) ?? messageOf(error)})`);
  }
}
