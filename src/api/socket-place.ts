import { lstat, unlink } from 'node:fs/promises';
import net from 'node:net';
import { EntropyError, errnoOf, messageOf } from '../base/errors.ts';
import { controlSocketPath } from '../contract/directories.ts';
import { makeDirectories } from '../durable/make-directories.ts';

/** sun_path of unix(7) holds 108 bytes with its final NUL; a longer name is cut in silence and means another file. */
const MAXIMUM_SOCKET_PATH_BYTES = 107;

const DIRECTORY_MODE = 0o755;
const WRITABLE_BY_OTHERS = 0o022;

/**
 * Makes the place for the control socket safe and free, and returns the socket's path: a short enough name, in a
 * folder that only its owner (this user) can write, where no other daemon answers. A socket that a dead daemon left is
 * removed; anything else of that name is not touched.
 * Throws `socket-path-too-long`, `runtime-dir-unusable`, `state-in-use`.
 */
export async function prepareSocketPlace(directory: string, uid: number): Promise<string> {
  const socketPath = controlSocketPath(directory);
  assertLength(socketPath);
  await prepareDirectory(directory, uid);
  await removeStaleSocket(socketPath);
  return socketPath;
}

/** The same for another socket in a folder that was made safe already. */
export async function prepareSocketFile(socketPath: string): Promise<void> {
  assertLength(socketPath);
  await removeStaleSocket(socketPath);
}

function assertLength(socketPath: string): void {
  const lengthBytes = Buffer.byteLength(socketPath);
  if (lengthBytes > MAXIMUM_SOCKET_PATH_BYTES)
    throw new EntropyError('socket-path-too-long', `${socketPath} has ${lengthBytes} bytes`);
}

async function prepareDirectory(directory: string, uid: number): Promise<void> {
  const unusable = (reason: string): EntropyError =>
    new EntropyError('runtime-dir-unusable', `${directory}: ${reason}`);
  try {
    await makeDirectories(directory, DIRECTORY_MODE);
  } catch (error) {
    throw unusable(messageOf(error));
  }
  const found = await lstat(directory);
  if (!found.isDirectory()) throw unusable('it is not a directory');
  if (found.uid !== uid) throw unusable(`it belongs to uid ${found.uid}, not to ${uid}`);
  if ((found.mode & WRITABLE_BY_OTHERS) !== 0) throw unusable('others than its owner can write to it');
}

async function removeStaleSocket(socketPath: string): Promise<void> {
  const found = await lstat(socketPath).catch(() => undefined);
  if (found === undefined) return;
  if (!found.isSocket())
    throw new EntropyError('runtime-dir-unusable', `${socketPath} exists and is not a socket`);
  if (await answers(socketPath))
    throw new EntropyError('state-in-use', `another daemon answers on ${socketPath}`);
  await unlink(socketPath);
}

/** Only ECONNREFUSED says that nobody listens; a full backlog (EAGAIN) or a denial is a daemon too. */
function answers(socketPath: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = net.connect({ path: socketPath });
    probe.once('connect', () => {
      probe.destroy();
      resolve(true);
    });
    probe.once('error', (error) => {
      const errno = errnoOf(error);
      resolve(errno !== 'ECONNREFUSED' && errno !== 'ENOENT');
    });
  });
}
