import type { EventSink } from '../base/events.ts';
import { ensureDirectory, type DurableFiles } from '../durable/durable-files.ts';
import { INSTALL_SEED_FEEDER, type Origin } from './origin.ts';
import { StorageCache, type StorageCacheDependencies } from './storage-cache.ts';
import { DEFAULT_GEOMETRY, recordSpaceBytes, type Geometry } from './storage-layout.ts';
import { CACHE_DIRECTORY, FILE_KINDS, SEED_DIRECTORY, UNFINISHED } from './storage-place.ts';

/**
 * The area of the install seed: a storage cache of its own beside that of the feeders, in the same format and under the same
 * key-encryption key, so that its bytes have the same promise: none is given out twice.
 */

/** Appends of this size share segments and syncs. */
const PIECE_BYTES = 64 * 1024;
/** Segments beyond those of the seed: what was in memory at an orderly stop goes back, in other pieces than it came. */
const SPARE_SEGMENTS = 2;

export interface InstallSeedOptions {
  /** Bytes of the whole seed, used or not. */
  readonly seedBytes: number;
  readonly geometry?: Geometry;
}

/** Opens the area. What it holds is given out; see StorageCache.open for damage. */
export function openInstallSeed(
  { seedBytes, geometry = DEFAULT_GEOMETRY }: InstallSeedOptions,
  dependencies: StorageCacheDependencies,
): Promise<StorageCache> {
  return StorageCache.open(
    {
      directory: SEED_DIRECTORY,
      capacityBytes: seedBytes,
      reserveBytes: SPARE_SEGMENTS * recordSpaceBytes(geometry),
      geometry,
    },
    { ...dependencies, events: named(dependencies.events) },
  );
}

/**
 * Puts a seed into the area, in place of whatever is there; durable when it resolves. It counts from when the archive names it: until then a
 * crash leaves an area that nobody opens.
 *
 * @throws EntropyError state-unwritable, state-unreadable
 */
export async function writeInstallSeed(
  {
    seed,
    rateUnits,
    geometry,
  }: { readonly seed: Uint8Array; readonly rateUnits: number; readonly geometry?: Geometry },
  dependencies: StorageCacheDependencies,
): Promise<void> {
  await ensureDirectory(dependencies.files, CACHE_DIRECTORY);
  await removeInstallSeed(dependencies.files);
  const options = { seedBytes: seed.length, ...(geometry && { geometry }) };
  const area = await openInstallSeed(options, dependencies);
  try {
    if (area.failure !== undefined) throw area.failure;
    const origin: Origin = { feeder: INSTALL_SEED_FEEDER, rateUnits };
    const appends: Promise<void>[] = [];
    for (let at = 0; at < seed.length; at += PIECE_BYTES)
      appends.push(area.append(seed.subarray(at, at + PIECE_BYTES), origin));
    for (const result of await Promise.allSettled(appends))
      if (result.status === 'rejected') throw result.reason;
  } finally {
    await area.close();
  }
}

/** Takes the files of the area away, if there are any. @throws EntropyError state-unwritable */
export async function removeInstallSeed(files: DurableFiles): Promise<void> {
  if ((await files.list(SEED_DIRECTORY)).length === 0) return;
  for (const kind of FILE_KINDS) {
    await files.remove(`${SEED_DIRECTORY}/${kind}`);
    await files.remove(`${SEED_DIRECTORY}/${kind}${UNFINISHED}`);
  }
  await files.syncDirectory(SEED_DIRECTORY);
}

/** What happens to the area is told with its name. */
function named(events: EventSink): EventSink {
  return { emit: (id, detail) => events.emit(id, { ...detail, area: 'install-seed' }) };
}
