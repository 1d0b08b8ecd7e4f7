import { constants, rmSync } from 'node:fs';
import { lstat, open, opendir, readdir, rm, rmdir, type FileHandle } from 'node:fs/promises';
import path from 'node:path';
import { errnoOf, messageOf } from '../base/errors.ts';
import { ZEROIZED_MARKER, type ZeroizePart } from '../contract/zeroize.ts';

/**
 * Ours in a state directory, keys first: whatever stops the work, what it reached before opened the rest. Nothing else is touched, for a
 * directory may have been named by mistake.
 */
const PARTS = ['bootbank', 'cache', 'counters'] as const;
const AT_ONCE_BYTES = 65_536;

/**
 * Overwrites each file once, syncs, and removes it. On flash, on a copy-on-write file system or in a snapshot the old bytes may remain:
 * what makes them worthless is that their keys are gone.
 */
export async function destroyFiles(directory: string): Promise<ZeroizePart[]> {
  const parts: ZeroizePart[] = [];
  for (const name of await namesIn(directory)) parts.push(await destroyed(directory, name));
  await syncDirectory(directory);
  return parts;
}

/** Removes at once what was made since by work that was under way. */
export function sweep(directory: string): void {
  for (const name of PARTS) {
    try {
      rmSync(path.join(directory, name), { recursive: true, force: true });
    } catch {
      // It was told when it was first tried.
    }
  }
}

/** Leaves word that it was meant, for no daemon to begin a new state in silence. */
export async function leaveMarker(directory: string, text: string): Promise<ZeroizePart> {
  try {
    const handle = await open(path.join(directory, ZEROIZED_MARKER), 'w', 0o600);
    await handle.writeFile(text);
    await handle.sync();
    await handle.close();
    await syncDirectory(directory);
    return { part: `${ZEROIZED_MARKER} (marker)`, outcome: 'destroyed', because: '' };
  } catch (error) {
    return failed(`${ZEROIZED_MARKER} (marker)`, error);
  }
}

export function isZeroized(directory: string): Promise<boolean> {
  return exists(path.join(directory, ZEROIZED_MARKER));
}

async function namesIn(directory: string): Promise<string[]> {
  const found = await readdir(directory).catch(() => [] as string[]);
  return [...PARTS, ...found.filter((name) => name.startsWith('feed-ledger')).sort()];
}

async function destroyed(directory: string, name: string): Promise<ZeroizePart> {
  const place = path.join(directory, name);
  try {
    await destroyTree(place);
    return { part: name, outcome: 'destroyed', because: '' };
  } catch (error) {
    return errnoOf(error) === 'ENOENT' && !(await exists(place))
      ? { part: name, outcome: 'absent', because: '' }
      : failed(name, error);
  }
}

/** Links are removed and never followed. What fails does not keep the rest of the tree. */
async function destroyTree(place: string): Promise<void> {
  const stats = await lstat(place);
  if (stats.isFile()) {
    let overwriting: unknown;
    await overwritten(place, stats.size).catch((error: unknown) => (overwriting = error));
    await rm(place);
    if (overwriting instanceof Error) throw overwriting;
    return;
  }
  if (!stats.isDirectory()) return rm(place);
  let first: unknown;
  for await (const { name } of await opendir(place)) {
    try {
      await destroyTree(path.join(place, name));
    } catch (error) {
      first ??= error;
    }
  }
  if (first instanceof Error) throw first;
  await syncDirectory(place);
  await rmdir(place);
}

async function overwritten(file: string, bytes: number): Promise<void> {
  let handle: FileHandle | undefined;
  try {
    handle = await open(file, constants.O_WRONLY | constants.O_NOFOLLOW);
    const zeros = Buffer.alloc(AT_ONCE_BYTES);
    for (let at = 0; at < bytes; at += AT_ONCE_BYTES)
      await handle.write(zeros, 0, Math.min(AT_ONCE_BYTES, bytes - at), at);
    await handle.sync();
  } finally {
    await handle?.close();
  }
}

async function exists(place: string): Promise<boolean> {
  try {
    await lstat(place);
    return true;
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return false;
  }
}

/** As far as the file system does that. */
async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, constants.O_RDONLY).catch(() => undefined);
  await handle?.sync().catch(() => undefined);
  await handle?.close();
}

function failed(part: string, error: unknown): ZeroizePart {
  return { part, outcome: 'failed', because: errnoOf(error) ?? messageOf(error) };
}
