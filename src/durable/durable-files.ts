import { EntropyError } from '../base/errors.ts';

/**
 * The one interface over which all state goes, and what it promises about a crash (power loss, kernel panic):
 *
 *   content     written bytes, sizes        durable when `sync` of that file has resolved
 *   entries     create, rename, remove,     durable when `syncDirectory` of the directory they stand in has resolved
 *               makeDirectory
 *   counters    advance                     durable when it has resolved
 *
 * Before that, any part of it may survive in any order, a write also in part. A `rename` survives whole or not at all.
 * The death of the process alone loses nothing of it, so a program that reads what an earlier one left must sync it
 * before it acts on it.
 *
 * Paths are relative to one root, with components of NAME_PATTERN; anything else is a RangeError. Operational errors
 * are `state-unwritable` (no space, read-only, failing disk) and `state-unreadable`. One process owns a root at a time
 * (directory-lock.ts), so no operation defends against another writer.
 */
export interface DurableFiles {
  /** Opens an existing file; undefined when there is none. */
  open(path: string): Promise<DurableFile | undefined>;
  /** Makes a new empty file, mode 0600. An Error (broken invariant) when the name is taken. */
  create(path: string): Promise<DurableFile>;
  /** Renames a file within one directory, replacing what has the new name. */
  rename(from: string, to: string): Promise<void>;
  /** Removes a file; false when there was none. */
  remove(path: string): Promise<boolean>;
  /** Makes a directory, mode 0700, in an existing one; false when it is there already. */
  makeDirectory(path: string): Promise<boolean>;
  /** Names in a directory, sorted; `''` is the root. Empty when there is no such directory. */
  list(path: string): Promise<string[]>;
  /** Makes the entries of a directory durable; `''` is the root. */
  syncDirectory(path: string): Promise<void>;
  /** A monotone counter that outlives the process; a TPM's NV index can stand behind it. */
  counter(name: string): DurableCounter;
}

/** An open file. It stays the same file when it is renamed or replaced meanwhile. */
export interface DurableFile {
  sizeBytes(): Promise<number>;
  /** Bytes from an offset, fewer at the end of the file; the buffer is the caller's own. */
  read(offset: number, lengthBytes: number): Promise<Buffer>;
  /** Writes all bytes at an offset; a gap before it reads as zeros. */
  write(offset: number, bytes: Uint8Array): Promise<void>;
  /** Grows the file to this size with written zeros, so that writing inside it later needs no free space. */
  preallocate(sizeBytes: number): Promise<void>;
  truncate(sizeBytes: number): Promise<void>;
  /** Makes content and size durable (fdatasync). */
  sync(): Promise<void>;
  close(): Promise<void>;
}

export interface DurableCounter {
  /** The present value, already durable; 0 when it was never advanced. */
  read(): Promise<number>;
  /** Adds one and gives the new value. When it fails, the next value is still higher than every one given. */
  advance(): Promise<number>;
}

/** One component of a path: no upper case, no leading dot, so neither `..` nor hidden names. */
export const NAME_PATTERN = /^[a-z0-9_-][a-z0-9._-]{0,63}$/;
const MAXIMUM_DEPTH = 4;

/** Throws RangeError unless the path is relative, bounded and made of plain names; `''` only where the root may stand. */
export function assertPath(path: string, rootAllowed = false): void {
  if (path === '' && rootAllowed) return;
  const names = path.split('/');
  if (names.length > MAXIMUM_DEPTH || !names.every((name) => NAME_PATTERN.test(name))) {
    throw new RangeError('a path has 1 to 4 names of 1 to 64 characters a-z 0-9 . _ -');
  }
}

/** The directory a path stands in; `''` for the root. */
export function directoryOf(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf('/')));
}

/** The whole of a file, or undefined when there is none; `state-damaged` when it is larger than its format allows. */
export async function readWhole(
  files: DurableFiles,
  path: string,
  maximumBytes: number,
): Promise<Buffer | undefined> {
  const file = await files.open(path);
  if (file === undefined) return undefined;
  try {
    const sizeBytes = await file.sizeBytes();
    if (sizeBytes > maximumBytes) {
      throw new EntropyError(
        'state-damaged',
        `${path} has ${sizeBytes} bytes; ${maximumBytes} is the most it can have`,
      );
    }
    return await file.read(0, sizeBytes);
  } finally {
    await file.close();
  }
}

/** Makes sure that a directory is there and durable, whether this process or an earlier one made it. */
export async function ensureDirectory(files: DurableFiles, path: string): Promise<void> {
  await files.makeDirectory(path);
  await files.syncDirectory(directoryOf(path));
}
