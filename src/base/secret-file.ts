import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { secretCopyOf, wipe } from './bytes.ts';
import { type ErrorCode, EntropyError, messageOf } from './errors.ts';

/** Permissions that let anybody but the owner at the file. */
const OTHERS = 0o077;
const GROUP_READ = 0o040;

/**
 * The bytes of a file that holds a key or a PIN; the caller wipes them.
 *
 * @throws EntropyError key-file-exposed when anybody but its owner may read or write it; unreadable (the code that the caller names) when it
 * cannot be read, is no regular file, or is longer than maximumBytes
 */
export function readSecretFile(
  path: string,
  maximumBytes: number,
  unreadable: ErrorCode,
  { mayGroupRead = false }: { readonly mayGroupRead?: boolean } = {},
): Buffer {
  const descriptor = opened(path, unreadable);
  const bytes = Buffer.alloc(maximumBytes + 1);
  try {
    const stats = fstatSync(descriptor);
    if (!stats.isFile()) throw new EntropyError(unreadable, `${path} is no regular file`);
    if ((stats.mode & (mayGroupRead ? OTHERS & ~GROUP_READ : OTHERS)) !== 0) {
      const mode = (stats.mode & 0o777).toString(8).padStart(4, '0');
      throw new EntropyError(
        'key-file-exposed',
        `${path} has mode ${mode}; others than its owner can get at it`,
      );
    }
    const length = filled(descriptor, bytes);
    if (length > maximumBytes)
      throw new EntropyError(unreadable, `${path} is longer than ${maximumBytes} bytes`);
    return secretCopyOf(bytes.subarray(0, length));
  } catch (error) {
    throw asEntropyError(error, path, unreadable);
  } finally {
    wipe(bytes);
    closeSync(descriptor);
  }
}

function opened(path: string, unreadable: ErrorCode): number {
  try {
    return openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  } catch (error) {
    throw asEntropyError(error, path, unreadable);
  }
}

/** Reads until the target is full or the file ends; how many bytes came. */
export function filled(descriptor: number, target: Uint8Array): number {
  let length = 0;
  while (length < target.length) {
    const count = readSync(descriptor, target, length, target.length - length, null);
    if (count === 0) break;
    length += count;
  }
  return length;
}

function asEntropyError(error: unknown, path: string, unreadable: ErrorCode): EntropyError {
  if (error instanceof EntropyError) return error;
  return new EntropyError(unreadable, `${path}: ${messageOf(error)}`, { cause: error });
}
