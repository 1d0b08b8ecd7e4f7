import { Counters } from '../../src/base/counters.ts';
import type { EventSink } from '../../src/base/events.ts';
import type { Verdict } from '../../src/base/names.ts';
import { openInstallSeed } from '../../src/cache/install-seed.ts';
import type { Portion } from '../../src/cache/origin.ts';
import type { StorageCache } from '../../src/cache/storage-cache.ts';
import type { Geometry } from '../../src/cache/storage-layout.ts';
import type { DurableFiles } from '../../src/durable/durable-files.ts';
import type { InstallDependencies } from '../../src/install/install.ts';
import type { Kickstart } from '../../src/install/kickstart.ts';
import { ConfigStore } from '../../src/state/config-store.ts';
import { cacheKeys } from '../../src/state/cache-key-ring.ts';
import { Enrolment } from '../../src/state/enrolment.ts';
import { NoneWrapping } from '../../src/state/root-key.ts';
import { StateArchive } from '../../src/state/state-archive.ts';
import { FakeClock } from '../fakes/fake-clock.ts';
import { SeededStream, seededSource } from '../fakes/seeded-stream.ts';

export const SMALL: Geometry = { segmentBytes: 512, keysPerPage: 2 };
/** 1 bit per byte. */
export const RATE_UNITS = 1024;

const SILENT: EventSink = { emit: () => undefined };
let lives = 0;

export interface OpenedParts extends InstallDependencies {
  close(): Promise<void>;
}

/** The parts of a state as a process opens them; each life draws other keys. */
export async function openParts(
  files: DurableFiles,
  test: (bytes: Uint8Array) => Verdict = () => 'healthy',
): Promise<OpenedParts> {
  const random = seededSource(`install ${lives++}`);
  const clock = new FakeClock();
  const wrappings = [new NoneWrapping({ random })];
  const archive = await StateArchive.open({ mode: 'NONE' }, { files, random, wrappings });
  const enrolment = Enrolment.open({ archive, random, clock });
  const config = ConfigStore.open({ flags: {}, file: {} }, { archive });
  const close = async (): Promise<void> => {
    await enrolment.close();
    await archive.close();
  };
  return {
    files,
    archive,
    config,
    enrolment,
    random,
    clock,
    events: SILENT,
    counters: new Counters(),
    test,
    close,
  };
}

/** The area of the installed seed, as the engine opens it. */
export async function openArea(
  parts: OpenedParts,
  seedBytes: number,
  events: EventSink = SILENT,
): Promise<StorageCache> {
  const keys = await cacheKeys(parts);
  return openInstallSeed({ seedBytes, geometry: SMALL }, { ...parts, events, keys });
}

/** What a kickstart says; the seed is a copy. */
export function asked(sources: number | undefined, seed?: Uint8Array): Kickstart {
  return { entropy: { line: 7, sources, seed: seed && Uint8Array.from(seed) }, dryRun: false, notRun: [] };
}

export function seedOf(bytes: number, name = 'a seed'): Buffer {
  const seed = Buffer.alloc(bytes);
  new SeededStream(name).fill(seed);
  return seed;
}

/** What was taken, put in the order of the seed: a part that is there twice or not at all makes it another. */
export function inOrder(portions: readonly Portion[], seed: Buffer): Buffer {
  const placed = portions.map(({ bytes }) => ({ bytes, at: seed.indexOf(bytes) }));
  return Buffer.concat(placed.sort((a, b) => a.at - b.at).map(({ bytes }) => bytes));
}
