import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { open, realpath, type FileHandle } from 'node:fs/promises';
import net from 'node:net';
import path from 'node:path';
import { EntropyError, errnoOf, messageOf } from '../base/errors.ts';

/** The lock's file; it stays when the lock is released, because removing it would let two holders in. */
const LOCK_FILE = 'lock';
const PID_LENGTH = 10;

export interface DirectoryLockDependencies {
  /**
   * flock(fd, LOCK_EX | LOCK_NB): true when it was taken, false when another process holds it, undefined when this
   * host cannot tell (no native addon).
   */
  readonly lockFile: (fd: number) => boolean | undefined;
}

/**
 * One daemon per directory. The kernel releases the lock with the process, however that ends.
 *
 * Without flock an abstract Unix socket stands in, named after the directory's real path. It is known within one
 * network namespace only, any local user can take the name (and so keep the daemon from starting), and a daemon that
 * has flock does not see it: do not mix the two kinds on one directory.
 */
export class DirectoryLock {
  readonly #release: () => Promise<void>;

  private constructor(release: () => Promise<void>) {
    this.#release = release;
  }

  /**
   * Takes the lock of an existing directory. `state-in-use` when another process holds it, with its pid when known;
   * `state-unwritable` when the lock file cannot be made.
   */
  static async take(
    options: { readonly directory: string },
    dependencies: DirectoryLockDependencies,
  ): Promise<DirectoryLock> {
    const handle = await openLockFile(options.directory);
    try {
      const release = await hold(handle, options.directory, dependencies);
      if (release === undefined) {
        throw new EntropyError('state-in-use', `${options.directory} is used by ${await holderOf(handle)}`);
      }
      await writeOwnPid(handle);
      return new DirectoryLock(release);
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  async release(): Promise<void> {
    await this.#release();
  }
}

/** How to let go of the lock once it is taken; undefined when another process holds it. */
async function hold(
  handle: FileHandle,
  directory: string,
  { lockFile }: DirectoryLockDependencies,
): Promise<(() => Promise<void>) | undefined> {
  const locked = lockFile(handle.fd);
  if (locked === false) return undefined;
  if (locked === true) return () => handle.close();
  const server = await listen(abstractName(await realpath(directory)));
  if (server === undefined) return undefined;
  return async () => {
    await handle.close();
    await new Promise<void>((resolve) => server.close(() => resolve()));
  };
}

async function openLockFile(directory: string): Promise<FileHandle> {
  const { O_CREAT, O_NOFOLLOW, O_RDWR } = constants;
  try {
    return await open(path.join(directory, LOCK_FILE), O_RDWR | O_CREAT | O_NOFOLLOW, 0o600);
  } catch (error) {
    const reason = errnoOf(error) ?? messageOf(error);
    throw new EntropyError('state-unwritable', `the lock in ${directory}: ${reason}`, { cause: error });
  }
}

/** Abstract names begin with NUL and leave nothing in the file system. 107 bytes hold it with room to spare. */
function abstractName(directory: string): string {
  return `\0entropy-mixer/${createHash('sha256').update(directory).digest('hex')}`;
}

/** A server that answers nobody; undefined when the name is taken. */
async function listen(name: string): Promise<net.Server | undefined> {
  const server = net.createServer((socket) => socket.destroy());
  server.unref();
  return new Promise((resolve, reject) => {
    server.once('error', (error) => {
      if (errnoOf(error) === 'EADDRINUSE') resolve(undefined);
      else reject(error);
    });
    server.listen(name, () => resolve(server));
  });
}

/** For people only: the kernel's lock decides, so neither a stale nor a missing pid does harm. */
async function writeOwnPid(handle: FileHandle): Promise<void> {
  await handle.write(`${process.pid}\n`.padStart(PID_LENGTH + 1), 0).catch(() => undefined);
}

async function holderOf(handle: FileHandle): Promise<string> {
  const buffer = Buffer.alloc(PID_LENGTH + 1);
  await handle.read(buffer, 0, buffer.length, 0).catch(() => undefined);
  const pid = /^ *([1-9][0-9]*)\n$/.exec(buffer.toString('latin1'))?.[1];
  return pid === undefined ? 'another process' : `the process ${pid}`;
}
