import { FeedServer, FEED_SERVER_DEFAULTS } from '../api/feed-server.ts';
import type { HttpInterface } from '../api/http-interface.ts';
import { TcpListener } from '../api/tcp-listener.ts';
import type { TlsIdentityOptions } from '../api/tls-identity.ts';
import type { Clock } from '../base/clock.ts';
import type { Counters } from '../base/counters.ts';
import type { EventBus, EventId } from '../base/events.ts';
import type { Log } from '../base/log.ts';
import type { RandomSource } from '../base/random.ts';
import { wipe } from '../base/bytes.ts';
import { SeenPayloads } from '../cache/seen-payloads.ts';
import { SequenceMarks } from '../cache/sequence-marks.ts';
import type { DurableFiles } from '../durable/durable-files.ts';
import type { EngineClient } from '../engine/engine-client.ts';
import { FEED_PATH } from '../protocol/limits.ts';
import { EngineFeedPort } from '../service/engine-feed-port.ts';
import { FeederAdmission, FEEDER_LIMITS } from '../service/feeder-admission.ts';
import { FeederRegistry } from '../service/feeder-registry.ts';
import type { SeenPayloadStore, SequenceMarkStore } from '../service/feeder-visit.ts';
import { isInMask } from '../policy/source-mask.ts';
import { dataKey } from '../state/data-key.ts';
import type { Enrolment } from '../state/enrolment.ts';
import { cacheGeneration } from '../state/cache-key-ring.ts';
import type { StateArchive } from '../state/state-archive.ts';

export interface ExternalFeedOptions {
  readonly software: string;
  /** The mask in force; without bit 8 where nothing can be cached. */
  readonly mask: number;
  readonly lostTimeoutSeconds: number;
  /** HOST:PORT */
  readonly listen: string;
  readonly tls: TlsIdentityOptions | undefined;
  readonly runtimeDirectory: string;
}

export interface ExternalFeedDependencies {
  readonly archive: StateArchive;
  readonly enrolment: Enrolment;
  readonly files: DurableFiles;
  readonly engine: EngineClient;
  readonly random: RandomSource;
  readonly clock: Clock;
  readonly bus: EventBus;
  readonly counters: Counters;
  readonly log: Log;
}

/** Frames on their way to the engine at once, over all feeders: 4 MiB of plaintext at most. */
const BUFFERS = 64;

/** Told to feeders when it changes. */
const LEVEL_EVENTS: ReadonlySet<EventId> = new Set([
  'entropy.watermark.below',
  'entropy.watermark.above',
  'entropy.memory.exhausted',
  'entropy.data.exhausted',
  'entropy.level.risen',
  'cache.resized',
]);

/** A mask without bit 8 takes no frames: there is nothing to remember of them. */
const NO_MARKS: SequenceMarkStore = { next: () => 1, accept: () => undefined, forget: () => undefined };
const NOTHING_SEEN: SeenPayloadStore = { sawBefore: () => false, flush: () => Promise.resolve() };

interface Memory {
  readonly marks: SequenceMarkStore;
  readonly seen: SeenPayloadStore;
  close(): Promise<void>;
}

/** The network side of external entropy, put together: enrolment, admission, and the listener that feeders connect to. */
export class ExternalFeed {
  readonly admission: FeederAdmission;
  readonly registry: FeederRegistry;
  readonly #options: ExternalFeedOptions;
  readonly #dependencies: ExternalFeedDependencies;
  readonly #server: FeedServer;
  readonly #memory: Memory;
  #listener: TcpListener | undefined;

  private constructor(options: ExternalFeedOptions, dependencies: ExternalFeedDependencies, memory: Memory) {
    const { bus, engine } = dependencies;
    this.#options = options;
    this.#dependencies = dependencies;
    this.#memory = memory;
    const port = new EngineFeedPort({ buffers: BUFFERS }, { engine });
    const { marks, seen } = memory;
    const common = { ...dependencies, marks, seen, port, events: bus };
    this.admission = new FeederAdmission(options, common);
    this.#server = new FeedServer(FEED_SERVER_DEFAULTS, { ...common, admission: this.admission });
    this.registry = new FeederRegistry(
      { bytesPerSecond: FEEDER_LIMITS.bytesPerSecond },
      { ...common, admission: this.admission, url: () => this.url },
    );
  }

  /** Nobody can connect yet. @throws EntropyError state-version-newer, state-unreadable, state-unwritable */
  static async open(
    options: ExternalFeedOptions,
    dependencies: ExternalFeedDependencies,
  ): Promise<ExternalFeed> {
    const isEnabled = isInMask(options.mask, 'external');
    const memory = isEnabled ? await openMemory(dependencies) : withoutMemory();
    const feed = new ExternalFeed(options, dependencies, memory);
    if (isEnabled) followCaches(feed.admission, dependencies);
    return feed;
  }

  /** Where feeders connect. */
  get address(): string {
    return this.#listener?.address ?? this.#options.listen;
  }

  /** What feeders are told to connect to. */
  get url(): string {
    return `${this.#listener?.url ?? `ws://${this.#options.listen}`}${FEED_PATH}`;
  }

  /** From now on feeders may connect, and the routes are served. @throws EntropyError as TcpListener.open does */
  async listen(routes: HttpInterface): Promise<void> {
    const { bus: events } = this.#dependencies;
    this.#listener = await TcpListener.open(this.#options, {
      ...this.#dependencies,
      events,
      feed: this.#server,
      routes,
    });
  }

  /** Reads the TLS files of the listener again. */
  reloadTls(): void {
    this.#listener?.reloadTls();
  }

  /** Nobody can connect any more; resolves when all that were connected have gone. */
  async hangUp(): Promise<void> {
    await this.#listener?.close();
  }

  /** Feeders are told, their sessions end with a signed record, and what must be remembered is written. */
  async close(): Promise<void> {
    await this.hangUp();
    await this.admission.close();
    await this.#memory.close();
  }
}

async function openMemory(dependencies: ExternalFeedDependencies): Promise<Memory> {
  const { files, random, clock, bus } = dependencies;
  const marks = await SequenceMarks.open(
    { files, random, clock, events: bus },
    { generation: () => cacheGeneration(dependencies) },
  );
  const key = await dataKey('seen-key', dependencies);
  try {
    const seen = await SeenPayloads.open({}, { files, key, events: bus });
    const close = async (): Promise<void> => {
      await marks.close();
      await seen.close();
    };
    return { marks, seen, close };
  } finally {
    wipe(key);
  }
}

function withoutMemory(): Memory {
  return { marks: NO_MARKS, seen: NOTHING_SEEN, close: () => Promise.resolve() };
}

/** Feeders hear of the level, and get grants when there is room: at start, and when the caches tell. */
function followCaches(admission: FeederAdmission, { engine, bus, log }: ExternalFeedDependencies): void {
  const look = async (): Promise<void> => {
    const { external } = await engine.call('report');
    const { level, memoryBytes, storedBytes, memorySizeBytes, storageSizeBytes } = external;
    const share = (memoryBytes + storedBytes) / (memorySizeBytes + storageSizeBytes);
    admission.roomChanged(external.roomBytes);
    admission.levelChanged({ level, cachedPercent: Math.min(100, Math.floor(100 * share)) });
  };
  const lookLater = (): void => {
    look().catch(() => log.debug('the level of the caches could not be asked'));
  };
  bus.subscribe(({ id }) => {
    if (LEVEL_EVENTS.has(id)) lookLater();
  });
  lookLater();
}
