import type { Clock } from '../base/clock.ts';
import type { Counters } from '../base/counters.ts';
import { EntropyError, messageOf } from '../base/errors.ts';
import type { EventBus, EventRecord } from '../base/events.ts';
import { GATE_REASONS, SOURCE_NAMES, type GateReason, type SourceName } from '../base/names.ts';
import { configurationReport } from '../contract/configuration-report.ts';
import type { ControlService, EventPage, Peer } from '../contract/control-service.ts';
import type {
  ConfigurationReport,
  LedgerReport,
  SelfTestReport,
  SourceReport,
  StateReport,
  StatusReport,
} from '../contract/outputs.ts';
import type { EngineClient } from '../engine/engine-client.ts';
import type { FeedLedger } from '../kernel/feed-ledger.ts';
import type { Feed } from '../kernel/pool-feeder.ts';
import type { ConfigStore } from '../state/config-store.ts';

export interface EntropyServiceOptions {
  readonly version: string;
  readonly state: StateReport;
}

export interface EntropyServiceDependencies {
  readonly engine: EngineClient;
  readonly ledger: FeedLedger;
  readonly config: ConfigStore;
  readonly bus: EventBus;
  readonly counters: Counters;
  readonly clock: Clock;
}

/** All that the interfaces can ask of the daemon, put together from its parts. */
export class EntropyService implements ControlService {
  readonly #options: EntropyServiceOptions;
  readonly #engine: EngineClient;
  readonly #ledger: FeedLedger;
  readonly #config: ConfigStore;
  readonly #bus: EventBus;
  readonly #counters: Counters;
  readonly #clock: Clock;
  readonly #startedMs: number;
  /** The gate as its events tell it, for answers that must not wait for the engine. */
  #closedBecause: GateReason | null = 'warming';

  constructor(options: EntropyServiceOptions, dependencies: EntropyServiceDependencies) {
    this.#options = options;
    this.#engine = dependencies.engine;
    this.#ledger = dependencies.ledger;
    this.#config = dependencies.config;
    this.#bus = dependencies.bus;
    this.#counters = dependencies.counters;
    this.#clock = dependencies.clock;
    this.#startedMs = dependencies.clock.wallMs();
    this.#bus.subscribe((record) => this.#followGate(record));
  }

  async status(): Promise<StatusReport> {
    const report = await this.#engine.call('report');
    // The engine knows its feeds since start only; the ledger numbers them across restarts.
    const [recorded] = this.#ledger.report(1).records;
    const lastFeed = report.kernel.lastFeed === null ? null : (recorded ?? report.kernel.lastFeed);
    return {
      ...report,
      kernel: { ...report.kernel, lastFeed },
      version: this.#options.version,
      startedMs: this.#startedMs,
      nowMs: this.#clock.wallMs(),
      state: this.#options.state,
      counters: sumOf(report.counters, this.#counters.snapshot()),
    };
  }

  async sources(): Promise<SourceReport[]> {
    return (await this.#engine.call('report')).sources;
  }

  ledger(limit: number): Promise<LedgerReport> {
    return Promise.resolve(this.#ledger.report(limit));
  }

  events(after: number, limit: number): EventPage {
    const { oldest, latest, records } = this.#bus.since(after);
    return { oldest, latest, records: records.slice(0, limit) };
  }

  subscribe(deliver: (record: EventRecord) => void): () => void {
    return this.#bus.subscribe(deliver);
  }

  selfTest(): Promise<SelfTestReport> {
    return this.#engine.call('selfTest');
  }

  testSource(name: string): Promise<SourceReport> {
    return this.#engine.call('testSource', sourceName(name));
  }

  restoreSource(name: string, reason: string, peer: Peer): Promise<SourceReport> {
    return this.#engine.call('restoreSource', sourceName(name), `${reason} (${peer.name})`);
  }

  configuration(): ConfigurationReport {
    const { values, origins, running } = this.#config;
    return configurationReport({ values, origins }, running);
  }

  async changeConfiguration(patch: unknown, peer: Peer): Promise<ConfigurationReport> {
    await this.#config.change(patch);
    const keys = Object.keys(patch as object).join(', ');
    this.#bus.emit('config.changed', { keys, by: peer.name });
    return this.configuration();
  }

  ready(): { readonly ready: boolean; readonly reason: GateReason | null } {
    return { ready: this.#closedBecause === null, reason: this.#closedBecause };
  }

  /** Records a feed that the engine told of. A disk that fails is told, and the feed stays in the running totals. */
  async recordFeed(feed: Feed): Promise<void> {
    try {
      await this.#ledger.append(feed);
    } catch (error) {
      this.#counters.add('ledger.failures');
      this.#bus.emit('ledger.failed', { because: messageOf(error) });
    }
  }

  #followGate({ id, detail }: EventRecord): void {
    if (id === 'gate.open') this.#closedBecause = null;
    if (id === 'gate.closed')
      this.#closedBecause = GATE_REASONS.find((reason) => reason === detail.reason) ?? 'failed';
  }
}

function sourceName(name: string): SourceName {
  const known = SOURCE_NAMES.find((candidate) => candidate === name);
  if (known === undefined)
    throw new EntropyError('source-unknown', `there is no source ${JSON.stringify(name.slice(0, 32))}`);
  return known;
}

/** The engine thread and the main thread count for themselves; what is told is the sum. */
function sumOf(...snapshots: readonly Readonly<Record<string, number>>[]): Record<string, number> {
  const total: Record<string, number> = {};
  for (const snapshot of snapshots) {
    for (const [name, value] of Object.entries(snapshot)) total[name] = (total[name] ?? 0) + value;
  }
  return total;
}
