import { Counters } from '../../src/base/counters.ts';
import type { EventSink } from '../../src/base/events.ts';
import { KIB } from '../../src/base/units.ts';
import { Reservoir } from '../../src/cache/reservoir.ts';
import { StorageCache } from '../../src/cache/storage-cache.ts';
import type { ReceivedFrame } from '../../src/engine/engine-messages.ts';
import { SimulatedFiles } from '../durable/simulated-files.ts';
import { SeededStream, seededSource } from '../fakes/seeded-stream.ts';
import { engineFixture, type FixtureOptions } from './engine-fixture.ts';

/** 8 bits a byte. */
export const FULL_RATE = 8192;
/** 256 bits per 8,192 bytes. */
export const DRBG_RATE = 32;

export interface ExternalFixtureOptions extends FixtureOptions {
  readonly memoryKib?: number;
  readonly storageKib?: number;
  readonly files?: SimulatedFiles;
}

const SILENT: EventSink = { emit: () => undefined };
const PAYLOAD = new SeededStream('payloads');

/** An engine with real caches of external entropy on a simulated disk. */
export async function externalFixture(options: ExternalFixtureOptions) {
  const files = options.files ?? new SimulatedFiles();
  const memoryBytes = (options.memoryKib ?? 64) * KIB;
  const storage = await StorageCache.open(
    { directory: 'cache', capacityBytes: (options.storageKib ?? 256) * KIB, reserveBytes: memoryBytes },
    {
      files,
      random: seededSource('cache'),
      keys: { headerKey: new Uint8Array(32).fill(5), pageKeys: [new Uint8Array(32).fill(7)] },
      events: SILENT,
      counters: new Counters(),
    },
  );
  let reservoir: Reservoir | undefined;
  const fixture = engineFixture({
    ...options,
    reservoir: (parts) => {
      reservoir = new Reservoir({ memoryBytes, lowWatermarkPercent: 20 }, { ...parts, storage });
      return reservoir;
    },
  });
  if (reservoir === undefined) throw new Error('the fixture makes a reservoir');
  const { engine } = fixture;
  const start = async (): Promise<void> => {
    engine.start();
    await reservoir?.start();
  };
  /** A frame of fresh bytes from feeder 1, unless told otherwise. */
  const feed = (bytes: number, frame: Partial<ReceivedFrame> = {}) => {
    const payload = new Uint8Array(bytes);
    PAYLOAD.fill(payload);
    return engine.external.receive({ feeder: 1, door: 0, rateUnits: FULL_RATE, payload, ...frame });
  };
  return { ...fixture, reservoir, storage, files, start, feed };
}
