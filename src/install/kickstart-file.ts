import { closeSync, constants, fstatSync, openSync, readSync, type Stats } from 'node:fs';
import { wipe } from '../base/bytes.ts';
import { EntropyError, isEntropyError, messageOf } from '../base/errors.ts';
import { KickstartParser, type Kickstart } from './kickstart.ts';

export interface KickstartFile {
  readonly kickstart: Kickstart;
  /** Others than its owner may read it: they may know the seed. */
  readonly readableByOthers: boolean;
}

export interface KickstartFileOptions {
  readonly path: string;
  /**
   * Taken on behalf of whoever could have written it: a regular file of root or of this user, writable by its owner alone, or it is
   * refused.
   */
  readonly trusted?: { readonly uid: number };
}

const CHUNK_BYTES = 65_536;
const WRITABLE_BY_OTHERS = 0o022;
const READABLE_BY_OTHERS = 0o044;

/**
 * Reads a kickstart from a file, in pieces that are overwritten; undefined when there is no such file. The seed is the caller's to wipe.
 *
 * @throws EntropyError kickstart-invalid, input-failed, key-file-exposed
 */
export function readKickstartFile({ path, trusted }: KickstartFileOptions): KickstartFile | undefined {
  const descriptor = opened(path);
  if (descriptor === undefined) return undefined;
  try {
    const stats = fstatSync(descriptor);
    if (stats.isDirectory()) throw new EntropyError('input-failed', `${path} is a directory`);
    if (trusted !== undefined) assertTrustworthy(path, stats, trusted.uid);
    return {
      kickstart: read(descriptor),
      readableByOthers: stats.isFile() && (stats.mode & READABLE_BY_OTHERS) !== 0,
    };
  } catch (error) {
    if (isEntropyError(error, 'kickstart-invalid'))
      throw new EntropyError(error.code, `${path}, ${error.message}`, { cause: error });
    if (isEntropyError(error)) throw error;
    throw new EntropyError('input-failed', `${path}: ${messageOf(error)}`, { cause: error });
  } finally {
    closeSync(descriptor);
  }
}

function opened(path: string): number | undefined {
  try {
    return openSync(path, constants.O_RDONLY | constants.O_NOCTTY);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new EntropyError('input-failed', `${path}: ${messageOf(error)}`, { cause: error });
  }
}

function read(descriptor: number): Kickstart {
  const parser = new KickstartParser();
  const chunk = Buffer.alloc(CHUNK_BYTES);
  try {
    for (;;) {
      const count = readSync(descriptor, chunk, 0, chunk.length, null);
      if (count === 0) return parser.end();
      parser.write(chunk.subarray(0, count));
    }
  } catch (error) {
    parser.wipe();
    throw error;
  } finally {
    wipe(chunk);
  }
}

function assertTrustworthy(path: string, stats: Stats, uid: number): void {
  if (!stats.isFile()) throw new EntropyError('input-failed', `${path} is no regular file`);
  if (stats.uid !== 0 && stats.uid !== uid)
    throw new EntropyError(
      'key-file-exposed',
      `${path} belongs to uid ${stats.uid}, neither root nor this user`,
    );
  if ((stats.mode & WRITABLE_BY_OTHERS) !== 0)
    throw new EntropyError('key-file-exposed', `${path} can be written by others than its owner`);
}
