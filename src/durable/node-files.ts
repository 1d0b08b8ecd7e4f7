import { constants } from 'node:fs';
import { mkdir, open, readdir, realpath, rename, stat, unlink, type FileHandle } from 'node:fs/promises';
import path from 'node:path';
import { EntropyError, errnoOf, messageOf, type ErrorCode } from '../base/errors.ts';
import {
  assertPath,
  directoryOf,
  type DurableCounter,
  type DurableFile,
  type DurableFiles,
} from './durable-files.ts';
import { FileCounter } from './file-counter.ts';
import { makeDirectories } from './make-directories.ts';

const FILE_MODE = 0o600;
const DIRECTORY_MODE = 0o700;
const WRITABLE_BY_OTHERS = 0o022;

const { O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_RDONLY, O_RDWR } = constants;

/** The most that one read or write moves: what holds it is allocated at once. */
const TRANSFER_LIMIT_BYTES = 64 * 1024 * 1024;
const ZEROS_CHUNK_BYTES = 65_536;

/** DurableFiles on the file system of this host. */
export class NodeFiles implements DurableFiles {
  readonly #root: string;
  readonly #counters = new Map<string, DurableCounter>();

  private constructor(root: string) {
    this.#root = root;
  }

  /**
   * Opens a directory as a root, making it (mode 0700) when it is not there. The root itself may be a link, as systemd
   * makes it for dynamic users; where it leads, `runtime-dir-unusable` when that is not a directory of this user, or
   * when others may write into it.
   */
  static async open(options: { readonly root: string }): Promise<NodeFiles> {
    const given = path.resolve(options.root);
    try {
      await makeRoot(given);
      const root = await realpath(given);
      await assertPrivate(root);
      return new NodeFiles(root);
    } catch (error) {
      if (error instanceof EntropyError) throw error;
      throw new EntropyError('runtime-dir-unusable', `${given}: ${errnoOf(error) ?? messageOf(error)}`, {
        cause: error,
      });
    }
  }

  async open(name: string): Promise<DurableFile | undefined> {
    assertPath(name);
    try {
      return new NodeFile(name, await this.#openExisting(name));
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return undefined;
      throw operational('state-unreadable', 'open', name, error);
    }
  }

  async create(name: string): Promise<DurableFile> {
    assertPath(name);
    try {
      const handle = await open(this.#absolute(name), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, FILE_MODE);
      return new NodeFile(name, handle);
    } catch (error) {
      if (errnoOf(error) === 'EEXIST')
        throw new Error(`broken invariant: ${name} exists already`, { cause: error });
      throw operational('state-unwritable', 'create', name, error);
    }
  }

  async rename(from: string, to: string): Promise<void> {
    assertPath(from);
    assertPath(to);
    if (directoryOf(from) !== directoryOf(to)) throw new RangeError('a file is renamed within its directory');
    await writing('rename', from, () => rename(this.#absolute(from), this.#absolute(to)));
  }

  async remove(name: string): Promise<boolean> {
    assertPath(name);
    return unlessErrno('ENOENT', 'remove', name, () => unlink(this.#absolute(name)));
  }

  async makeDirectory(name: string): Promise<boolean> {
    assertPath(name);
    return unlessErrno('EEXIST', 'make directory', name, () => mkdir(this.#absolute(name), DIRECTORY_MODE));
  }

  async list(name: string): Promise<string[]> {
    assertPath(name, true);
    try {
      return (await readdir(this.#absolute(name))).sort();
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return [];
      throw operational('state-unreadable', 'list', name, error);
    }
  }

  async syncDirectory(name: string): Promise<void> {
    assertPath(name, true);
    await writing('sync directory', name, () => syncDirectoryAt(this.#absolute(name)));
  }

  counter(name: string): DurableCounter {
    assertPath(name);
    const known = this.#counters.get(name);
    if (known !== undefined) return known;
    const counter = new FileCounter({ name }, { files: this });
    this.#counters.set(name, counter);
    return counter;
  }

  /** On a read-only file system old state can still be read; writing then fails as `state-unwritable`. */
  async #openExisting(name: string): Promise<FileHandle> {
    const absolute = this.#absolute(name);
    try {
      return await open(absolute, O_RDWR | O_NOFOLLOW);
    } catch (error) {
      if (errnoOf(error) !== 'EROFS') throw error;
      return open(absolute, O_RDONLY | O_NOFOLLOW);
    }
  }

  #absolute(name: string): string {
    return path.join(this.#root, name);
  }
}

class NodeFile implements DurableFile {
  readonly #name: string;
  readonly #handle: FileHandle;

  constructor(name: string, handle: FileHandle) {
    this.#name = name;
    this.#handle = handle;
  }

  sizeBytes(): Promise<number> {
    return reading('size', this.#name, async () => (await this.#handle.stat()).size);
  }

  read(offset: number, lengthBytes: number): Promise<Buffer> {
    assertRange(offset, lengthBytes);
    return reading('read', this.#name, async () => {
      const buffer = Buffer.alloc(lengthBytes);
      let done = 0;
      while (done < lengthBytes) {
        const { bytesRead } = await this.#handle.read(buffer, done, lengthBytes - done, offset + done);
        if (bytesRead === 0) break;
        done += bytesRead;
      }
      return buffer.subarray(0, done);
    });
  }

  write(offset: number, bytes: Uint8Array): Promise<void> {
    assertRange(offset, bytes.length);
    return writing('write', this.#name, async () => {
      let done = 0;
      while (done < bytes.length) {
        const { bytesWritten } = await this.#handle.write(bytes, done, bytes.length - done, offset + done);
        done += bytesWritten;
      }
    });
  }

  async preallocate(sizeBytes: number): Promise<void> {
    assertRange(sizeBytes, 0);
    const zeros = Buffer.alloc(ZEROS_CHUNK_BYTES);
    for (let offset = await this.sizeBytes(); offset < sizeBytes; offset += zeros.length) {
      await this.write(offset, zeros.subarray(0, Math.min(zeros.length, sizeBytes - offset)));
    }
  }

  truncate(sizeBytes: number): Promise<void> {
    assertRange(sizeBytes, 0);
    return writing('truncate', this.#name, () => this.#handle.truncate(sizeBytes));
  }

  sync(): Promise<void> {
    return writing('sync', this.#name, () => this.#handle.datasync());
  }

  close(): Promise<void> {
    return writing('close', this.#name, () => this.#handle.close());
  }
}

/** Makes the root and what is missing above it, each durable in its parent where that may be opened. */
async function makeRoot(root: string): Promise<void> {
  const made = await makeDirectories(root, DIRECTORY_MODE);
  for (const directory of made) await syncDirectoryAt(path.dirname(directory)).catch(() => undefined);
}

async function assertPrivate(root: string): Promise<void> {
  const status = await stat(root);
  const refuse = (reason: string): never => {
    throw new EntropyError('runtime-dir-unusable', `${root} ${reason}`);
  };
  if (!status.isDirectory()) refuse('is not a directory');
  if (status.uid !== process.getuid?.()) refuse('belongs to another user');
  if ((status.mode & WRITABLE_BY_OTHERS) !== 0) refuse('can be written by other users');
}

async function syncDirectoryAt(absolute: string): Promise<void> {
  const handle = await open(absolute, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function assertRange(offset: number, lengthBytes: number): void {
  if (!Number.isSafeInteger(offset) || offset < 0)
    throw new RangeError('an offset is a whole number of bytes from 0');
  if (!Number.isInteger(lengthBytes) || lengthBytes < 0 || lengthBytes > TRANSFER_LIMIT_BYTES) {
    throw new RangeError(`a transfer has 0 to ${TRANSFER_LIMIT_BYTES} bytes`);
  }
}

async function unlessErrno(
  errno: string,
  operation: string,
  name: string,
  work: () => Promise<void>,
): Promise<boolean> {
  try {
    await work();
    return true;
  } catch (error) {
    if (errnoOf(error) === errno) return false;
    throw operational('state-unwritable', operation, name, error);
  }
}

async function reading<T>(operation: string, name: string, work: () => Promise<T>): Promise<T> {
  return work().catch((error: unknown) => {
    throw operational('state-unreadable', operation, name, error);
  });
}

async function writing<T>(operation: string, name: string, work: () => Promise<T>): Promise<T> {
  return work().catch((error: unknown) => {
    throw operational('state-unwritable', operation, name, error);
  });
}

/** An errno is the world's fault and operational; anything else (ERR_…, TypeError) is ours and stays what it is. */
function operational(code: ErrorCode, operation: string, name: string, error: unknown): unknown {
  const errno = errnoOf(error);
  if (errno === undefined || !/^E[A-Z0-9]+$/.test(errno)) return error;
  return new EntropyError(code, `${operation} ${name === '' ? 'the root' : name}: ${errno}`, {
    cause: error,
  });
}
