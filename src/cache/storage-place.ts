import { EntropyError, isEntropyError } from '../base/errors.ts';
import type { RandomSource } from '../base/random.ts';
import { ensureDirectory, type DurableFile, type DurableFiles } from '../durable/durable-files.ts';
import type { HeldKeys } from './cache-keys.ts';
import { decodeStorageHeader, HEADER_BYTES, type StorageFileKind } from './storage-header.ts';
import type { Geometry } from './storage-layout.ts';

export interface StorageVolumeOptions {
  readonly directory: string;
  readonly geometry: Geometry;
}

export interface StorageVolumeDependencies {
  readonly files: DurableFiles;
  readonly random: RandomSource;
  /** Lent for as long as the volume is open. */
  readonly heldKeys: HeldKeys;
}

export const FILE_KINDS: readonly StorageFileKind[] = ['segments', 'keys'];
/** Where there may be such files: what feeders sent, and the install seed. */
export const CACHE_DIRECTORY = 'cache';
export const SEED_DIRECTORY = `${CACHE_DIRECTORY}/install-seed`;
export const CACHE_DIRECTORIES: readonly string[] = [CACHE_DIRECTORY, SEED_DIRECTORY];
/** What a file is called until both are whole. */
export const UNFINISHED = '.new';
const DAMAGED = '.damaged';

/** The directory of the two files, and what may lie in it. */
export class VolumePlace {
  readonly #options: StorageVolumeOptions;
  readonly #dependencies: StorageVolumeDependencies;

  constructor(options: StorageVolumeOptions, dependencies: StorageVolumeDependencies) {
    this.#options = options;
    this.#dependencies = dependencies;
  }

  /**
   * Leaves both files or none, all of it durable; tells what it set aside. `state-version-newer`: a later version of this
   * program made one of them, and both stay as they are.
   */
  async prepare(): Promise<{ readonly reason: string | undefined; readonly setAside: string[] }> {
    const { files } = this.#dependencies;
    await ensureDirectory(files, this.#options.directory);
    const names = await files.list(this.#options.directory);
    const unfinished = isUnfinished(names);
    const reason = unfinished ? undefined : await this.#whyUnusable(names);
    const setAside: string[] = [];
    for (const kind of FILE_KINDS) {
      const path = pathOf(this.#options, kind);
      await files.remove(path + UNFINISHED);
      if (unfinished) await files.remove(path);
      if (reason === undefined || !names.includes(kind)) continue;
      await files.rename(path, path + DAMAGED);
      setAside.push(kind + DAMAGED);
    }
    await files.syncDirectory(this.#options.directory);
    return { reason, setAside };
  }

  async #whyUnusable(names: readonly string[]): Promise<string | undefined> {
    const present = FILE_KINDS.filter((kind) => names.includes(kind));
    const ids: Buffer[] = [];
    const reasons: string[] = [];
    for (const kind of present) {
      try {
        ids.push(await readCacheId(kind, this.#options, this.#dependencies));
      } catch (error) {
        if (!isEntropyError(error, 'state-damaged')) throw error;
        reasons.push(`${error.code}: ${error.message}`);
      }
    }
    if (present.length === 1) return `${present.join()} stands alone`;
    const [segments, keys] = ids;
    if (segments !== undefined && keys !== undefined && !segments.equals(keys))
      return 'the two files are of different caches';
    return reasons[0];
  }
}

/** A crash while a new volume got its names: it held nothing yet. */
function isUnfinished(names: readonly string[]): boolean {
  const [segments, keys] = FILE_KINDS.map((kind) => ({
    whole: names.includes(kind),
    begun: names.includes(kind + UNFINISHED),
  }));
  return (
    (segments?.whole === true && keys?.whole === false && keys.begun) ||
    (keys?.whole === true && segments?.whole === false && segments.begun)
  );
}

/** Throws `state-version-newer`, and `state-damaged` when the file is not of this cache. */
export async function readCacheId(
  kind: StorageFileKind,
  options: StorageVolumeOptions,
  { files, heldKeys }: StorageVolumeDependencies,
): Promise<Buffer> {
  const file = await openExisting(files, pathOf(options, kind));
  try {
    return decodeStorageHeader(kind, await file.read(0, HEADER_BYTES), options.geometry, heldKeys.headerKey);
  } finally {
    await file.close();
  }
}

export function pathOf({ directory }: StorageVolumeOptions, kind: StorageFileKind): string {
  return `${directory}/${kind}`;
}

export async function openExisting(files: DurableFiles, path: string): Promise<DurableFile> {
  const file = await files.open(path);
  if (file === undefined) throw new EntropyError('state-unreadable', `${path} is gone`);
  return file;
}
