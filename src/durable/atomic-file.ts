import { directoryOf, type DurableFile, type DurableFiles } from './durable-files.ts';

/** What a file is called until it takes its place. No file of a format may end so. */
const TEMPORARY_SUFFIX = '.new';
const COPY_CHUNK_BYTES = 65_536;

export interface ReplaceOptions {
  /** Keep what is replaced under this name, in the same directory. */
  readonly keepPreviousAs?: string;
}

/**
 * Replaces a file, or makes it: after a crash at any moment the name holds the old bytes or the new ones, whole, and
 * once this has resolved the new ones. With `keepPreviousAs` that name holds the bytes replaced by then, and at each
 * moment before them a whole earlier version; the main name is never missing in between, which renaming it away
 * would risk. Calls for one path must not overlap. When it fails, the old bytes are in force, except that after a
 * failed directory sync the new ones may be (`state-unwritable` in every case).
 */
export async function replaceFile(
  files: DurableFiles,
  path: string,
  bytes: Uint8Array,
  options: ReplaceOptions = {},
): Promise<void> {
  const previous = options.keepPreviousAs;
  try {
    const copied = previous !== undefined && (await copyToTemporary(files, path, previous));
    await writeTemporary(files, path, (file) => file.write(0, bytes));
    if (copied) await files.rename(temporaryOf(previous), previous);
    await files.rename(temporaryOf(path), path);
    await files.syncDirectory(directoryOf(path));
  } catch (error) {
    await removeQuietly(files, path, ...(previous === undefined ? [] : [previous]));
    throw error;
  }
}

/** Removes what an interrupted replacement left; called when the file is opened. Nothing depends on its success. */
export async function removeLeftover(files: DurableFiles, ...paths: readonly string[]): Promise<void> {
  await removeQuietly(files, ...paths);
}

/** Copies `from` beside `to`, durable in content but not yet in name; false when there is no `from`. */
async function copyToTemporary(files: DurableFiles, from: string, to: string): Promise<boolean> {
  const source = await files.open(from);
  if (source === undefined) return false;
  try {
    await writeTemporary(files, to, async (target) => {
      const sizeBytes = await source.sizeBytes();
      for (let offset = 0; offset < sizeBytes; offset += COPY_CHUNK_BYTES) {
        await target.write(offset, await source.read(offset, COPY_CHUNK_BYTES));
      }
    });
  } finally {
    await source.close();
  }
  return true;
}

async function writeTemporary(
  files: DurableFiles,
  path: string,
  fill: (file: DurableFile) => Promise<void>,
): Promise<void> {
  await files.remove(temporaryOf(path));
  const file = await files.create(temporaryOf(path));
  try {
    await fill(file);
    await file.sync();
  } finally {
    await file.close();
  }
}

async function removeQuietly(files: DurableFiles, ...paths: readonly string[]): Promise<void> {
  for (const path of paths) await files.remove(temporaryOf(path)).catch(() => false);
}

function temporaryOf(path: string): string {
  return path + TEMPORARY_SUFFIX;
}
