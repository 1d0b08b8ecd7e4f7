import { randomBytes } from '../base/random.ts';
import type { DurableFile } from '../durable/durable-files.ts';
import { KeyPages } from './key-pages.ts';
import { SEGMENT_HEADER_BYTES } from './segment-format.ts';
import { CACHE_ID_BYTES, encodeStorageHeader, type StorageFileKind } from './storage-header.ts';
import { FILE_HEADER_BYTES } from './storage-layout.ts';
import {
  FILE_KINDS,
  openExisting,
  pathOf,
  readCacheId,
  UNFINISHED,
  type StorageVolumeDependencies,
  type StorageVolumeOptions,
} from './storage-place.ts';

export interface OpenedVolume {
  readonly volume: StorageVolume;
  /** Segments that the keys speak of and the segments file does not reach. */
  readonly missingSegments: number;
}

/**
 * The two files of the storage cache as one thing: as many segments as the key pages have keys, all of it allocated.
 * The order in which they grow and shrink lets a crash leave nothing that looks like a loss.
 */
export class StorageVolume {
  readonly cacheId: Buffer;
  readonly keys: KeyPages;
  readonly #options: StorageVolumeOptions;
  readonly #dependencies: StorageVolumeDependencies;
  #segments: DurableFile;

  /** For `open`, which gives it parts that fit together. */
  constructor(
    options: StorageVolumeOptions,
    dependencies: StorageVolumeDependencies,
    parts: { readonly cacheId: Buffer; readonly keys: KeyPages; readonly segments: DurableFile },
  ) {
    this.#options = options;
    this.#dependencies = dependencies;
    this.cacheId = parts.cacheId;
    this.keys = parts.keys;
    this.#segments = parts.segments;
  }

  /**
   * Opens the two files, or makes them with this many pages when there are none (storage-place.ts sees to it that
   * there are both or none). `state-unreadable`, `state-unwritable` when the disk does not let it.
   */
  static async open(
    options: StorageVolumeOptions & { readonly pages: number },
    dependencies: StorageVolumeDependencies,
  ): Promise<OpenedVolume> {
    const names = await dependencies.files.list(options.directory);
    if (!names.includes('segments')) await create(options, dependencies);
    return attach(options, dependencies);
  }

  get segmentCount(): number {
    return this.keys.count * this.#options.geometry.keysPerPage;
  }

  /** Bytes from the start of a segment; fewer than asked when the file ends before. */
  readSegments(first: number, lengthBytes: number): Promise<Buffer> {
    return this.#segments.read(this.#offsetOf(first), lengthBytes);
  }

  writeSegment(segment: number, offset: number, bytes: Uint8Array): Promise<void> {
    return this.#segments.write(this.#offsetOf(segment) + offset, bytes);
  }

  /** Makes what was written to segments durable. */
  syncSegments(): Promise<void> {
    return this.#segments.sync();
  }

  /** Makes sure that the segments file has all its bytes, and more pages when asked: segments first, then their keys. */
  async grow(pages: number): Promise<void> {
    const count = Math.max(pages, this.keys.count);
    await this.#segments.preallocate(this.#offsetOf(count * this.#options.geometry.keysPerPage));
    await this.#segments.sync();
    if (count > this.keys.count) await this.keys.grow(count);
  }

  /** Gives pages at the end back to the disk; their segments must be free. Void headers go first: without keys they would look like damage. */
  async shrink(pages: number): Promise<void> {
    const first = pages * this.#options.geometry.keysPerPage;
    for (let segment = first; segment < this.segmentCount; segment++) {
      await this.writeSegment(segment, 0, Buffer.alloc(SEGMENT_HEADER_BYTES));
    }
    await this.#segments.sync();
    await this.keys.shrink(pages);
    await this.#segments.truncate(this.#offsetOf(first));
  }

  /** Whether both files take writes now: their headers are written again as they are, under new handles. */
  async tryWriting(): Promise<void> {
    for (const kind of FILE_KINDS) {
      const file = await openExisting(this.#dependencies.files, pathOf(this.#options, kind));
      const before = kind === 'keys' ? this.keys.attach(file) : this.#segments;
      if (kind === 'segments') this.#segments = file;
      await before.close();
      await file.write(0, headerOf(kind, this.#options, this.#dependencies, this.cacheId));
      await file.sync();
    }
  }

  /** Lets go of the files and wipes the keys. */
  async close(): Promise<void> {
    this.keys.wipe();
    try {
      await this.#segments.close();
    } finally {
      await this.keys.close();
    }
  }

  #offsetOf(segment: number): number {
    return FILE_HEADER_BYTES + segment * this.#options.geometry.segmentBytes;
  }
}

/** Both files are made under other names and whole before they get their own. */
async function create(
  options: StorageVolumeOptions & { readonly pages: number },
  dependencies: StorageVolumeDependencies,
): Promise<void> {
  const { files } = dependencies;
  const cacheId = randomBytes(dependencies.random, CACHE_ID_BYTES);
  const opened: DurableFile[] = [];
  try {
    for (const kind of FILE_KINDS) {
      const file = await files.create(pathOf(options, kind) + UNFINISHED);
      opened.push(file);
      await file.write(0, headerOf(kind, options, dependencies, cacheId));
      await file.preallocate(FILE_HEADER_BYTES);
    }
    const [segments, keysFile] = opened;
    if (segments === undefined || keysFile === undefined) throw new Error('broken invariant: two files');
    const keys = await KeyPages.read(keyOptions(options, cacheId, 0), { ...dependencies, file: keysFile });
    const volume = new StorageVolume(options, dependencies, { cacheId, keys, segments });
    await volume.grow(options.pages);
    keys.wipe();
    await files.syncDirectory(options.directory); // so that a crash among the renames is told from a lost file
    for (const kind of FILE_KINDS) {
      await files.rename(pathOf(options, kind) + UNFINISHED, pathOf(options, kind));
    }
    await files.syncDirectory(options.directory);
  } finally {
    for (const file of opened) await file.close();
  }
}

async function attach(
  options: StorageVolumeOptions,
  dependencies: StorageVolumeDependencies,
): Promise<OpenedVolume> {
  const { segmentBytes, keysPerPage } = options.geometry;
  const cacheId = await readCacheId('segments', options, dependencies);
  const opened: DurableFile[] = [];
  const open = async (kind: StorageFileKind): Promise<DurableFile> => {
    const file = await openExisting(dependencies.files, pathOf(options, kind));
    opened.push(file);
    return file;
  };
  try {
    const [segments, file] = [await open('segments'), await open('keys')];
    const present = Math.floor(((await segments.sizeBytes()) - FILE_HEADER_BYTES) / segmentBytes);
    const pages = Math.max(
      Math.ceil(present / keysPerPage),
      KeyPages.countIn(await file.sizeBytes(), keysPerPage),
    );
    const keys = await KeyPages.read(keyOptions(options, cacheId, pages), { ...dependencies, file });
    const volume = new StorageVolume(options, dependencies, { cacheId, keys, segments });
    return { volume, missingSegments: missingFrom(volume, Math.max(0, present), keysPerPage) };
  } catch (error) {
    for (const file of opened) await file.close().catch(() => undefined); // the first error is the one to tell
    throw error;
  }
}

function missingFrom(volume: StorageVolume, present: number, keysPerPage: number): number {
  let missing = 0;
  for (let segment = present; segment < volume.segmentCount; segment++) {
    if (volume.keys.stateOf(Math.floor(segment / keysPerPage)) === 'sound') missing++;
  }
  return missing;
}

function keyOptions(
  { geometry }: StorageVolumeOptions,
  cacheId: Buffer,
  count: number,
): { cacheId: Buffer; keysPerPage: number; count: number } {
  return { cacheId, keysPerPage: geometry.keysPerPage, count };
}

function headerOf(
  kind: StorageFileKind,
  { geometry }: StorageVolumeOptions,
  { heldKeys }: StorageVolumeDependencies,
  cacheId: Buffer,
): Buffer {
  return encodeStorageHeader(kind, cacheId, geometry, heldKeys.headerKey);
}
