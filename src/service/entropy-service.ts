import type { Clock } from '../base/clock.ts';
import type { Counters } from '../base/counters.ts';
import { EntropyError } from '../base/errors.ts';
import type { EventBus, EventRecord } from '../base/events.ts';
import { GATE_REASONS, SOURCE_NAMES, type GateReason, type SourceName } from '../base/names.ts';
import { configurationReport } from '../contract/configuration-report.ts';
import type { StartSettingReport } from '../contract/start-settings.ts';
import type {
  ControlService,
  EventPage,
  GateOverrideRequest,
  Peer,
  Readiness,
} from '../contract/control-service.ts';
import type { EntropyIntake } from '../contract/entropy-intake.ts';
import type { CacheKeyReport, ExternalReport } from '../contract/external.ts';
import type { FeederEnrolment, FeederReport, ReceiptKeyReport } from '../contract/feeders.ts';
import type { InstallSeedReport } from '../contract/install-seed.ts';
import type { GateReport } from '../contract/gate.ts';
import type {
  ConfigurationReport,
  EngineReport,
  LedgerReport,
  SelfTestReport,
  SourceReport,
  StateAtStart,
  StatusReport,
} from '../contract/outputs.ts';
import type { EngineClient } from '../engine/engine-client.ts';
import type { FeedLedger } from '../kernel/feed-ledger.ts';
import type { ConfigStore } from '../state/config-store.ts';
import type { AccessRegistry } from './access-registry.ts';
import type { EncryptionDesk } from './encryption-desk.ts';
import type { FeederAdmission } from './feeder-admission.ts';
import type { FeederRegistry } from './feeder-registry.ts';
import type { ZeroizeDesk } from './zeroize-desk.ts';
import type { RecoveryDesk } from './recovery-desk.ts';
import type { InstallSeed } from './install-seed.ts';
import type { ServedOutput } from './served-output.ts';

export interface EntropyServiceOptions {
  readonly version: string;
  readonly state: StateAtStart;
  readonly startSettings: readonly StartSettingReport[];
}

export interface EntropyServiceDependencies {
  readonly engine: EngineClient;
  readonly feeders: FeederRegistry;
  readonly access: AccessRegistry;
  readonly intake: EntropyIntake;
  readonly encryption: EncryptionDesk;
  /** Who feeds now; its links are part of what is told of external entropy. */
  readonly admission: FeederAdmission;
  readonly installSeed: InstallSeed;
  /** What is told of the key of the caches. */
  readonly cacheKey: () => CacheKeyReport;
  readonly output: ServedOutput;
  readonly recovery: RecoveryDesk;
  readonly zeroizing: ZeroizeDesk;
  readonly ledger: FeedLedger;
  readonly config: ConfigStore;
  readonly bus: EventBus;
  readonly counters: Counters;
  readonly clock: Clock;
}

/** All that the interfaces can ask of the daemon, put together from its parts. */
export class EntropyService implements ControlService {
  readonly access: AccessRegistry;
  readonly recovery: RecoveryDesk;
  readonly zeroizing: ZeroizeDesk;
  readonly intake: EntropyIntake;
  readonly encryption: EncryptionDesk;
  readonly #options: EntropyServiceOptions;
  readonly #engine: EngineClient;
  readonly #feeders: FeederRegistry;
  readonly #admission: FeederAdmission;
  readonly #installSeed: InstallSeed;
  readonly #cacheKey: () => CacheKeyReport;
  readonly #output: ServedOutput;
  readonly #ledger: FeedLedger;
  readonly #config: ConfigStore;
  readonly #bus: EventBus;
  readonly #counters: Counters;
  readonly #clock: Clock;
  readonly #startedMs: number;
  /** The gate as its events tell it, for answers that must not wait for the engine. */
  #closedBecause: GateReason | null = 'warming';
  #overridden = false;

  constructor(options: EntropyServiceOptions, dependencies: EntropyServiceDependencies) {
    this.#options = options;
    this.access = dependencies.access;
    this.recovery = dependencies.recovery;
    this.zeroizing = dependencies.zeroizing;
    this.intake = dependencies.intake;
    this.encryption = dependencies.encryption;
    this.#engine = dependencies.engine;
    this.#feeders = dependencies.feeders;
    this.#admission = dependencies.admission;
    this.#installSeed = dependencies.installSeed;
    this.#cacheKey = dependencies.cacheKey;
    this.#output = dependencies.output;
    this.#ledger = dependencies.ledger;
    this.#config = dependencies.config;
    this.#bus = dependencies.bus;
    this.#counters = dependencies.counters;
    this.#clock = dependencies.clock;
    this.#startedMs = dependencies.clock.wallMs();
    for (const record of this.#bus.since(0).records) this.#followGate(record);
    this.#bus.subscribe((record) => this.#followGate(record));
  }

  async status(): Promise<StatusReport> {
    const report = await this.#engine.call('report');
    const encryption = this.encryption.report();
    // The engine knows its feeds since start only; the ledger numbers them across restarts.
    const [recorded] = this.#ledger.report(1).records;
    const lastFeed = report.kernel.lastFeed === null ? null : (recorded ?? report.kernel.lastFeed);
    return {
      ...report,
      external: this.#external(report),
      kernel: { ...report.kernel, lastFeed },
      version: this.#options.version,
      startedMs: this.#startedMs,
      nowMs: this.#clock.wallMs(),
      recovery: this.recovery.report(),
      state: {
        ...this.#options.state,
        encryptionMode: encryption.mode,
        suspendedBoots: encryption.suspendedBoots,
      },
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

  /** Whoever begins to watch is told what is amiss with the recovery key. */
  subscribe(deliver: (record: EventRecord) => void): () => void {
    const end = this.#bus.subscribe(deliver);
    this.recovery.alarm();
    return end;
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

  overrideGate(request: GateOverrideRequest, peer: Peer): Promise<GateReport> {
    const { mask, seconds, reason } = request;
    return this.#engine.call('overrideGate', { mask, seconds, reason, by: peer.name });
  }

  restoreGate(peer: Peer): Promise<GateReport> {
    return this.#engine.call('restoreGate', peer.name);
  }

  configuration(): ConfigurationReport {
    const { values, origins, running, stored, refused } = this.#config;
    return {
      ...configurationReport({ values, origins }, stored, running),
      startSettings: [...this.#options.startSettings],
      refused: refused?.code ?? '',
    };
  }

  async changeConfiguration(patch: unknown, peer: Peer): Promise<ConfigurationReport> {
    const changed = await this.#config.change(patch);
    if (changed.length > 0) this.#bus.emit('config.changed', { keys: changed.join(', '), by: peer.name });
    return this.configuration();
  }

  async installSeed(): Promise<InstallSeedReport> {
    return this.#installSeed.report((await this.#engine.call('report')).external.installSeedBytes);
  }

  async external(): Promise<ExternalReport> {
    return this.#external(await this.#engine.call('report'));
  }

  feeders(): Promise<FeederReport[]> {
    return Promise.resolve(this.#feeders.list());
  }

  enrollFeeder(
    name: string,
    enrolment: FeederEnrolment,
    importedKey: Uint8Array | undefined,
    peer: Peer,
  ): Promise<Uint8Array> {
    return this.#feeders.enroll(name, enrolment, importedKey, peer);
  }

  rotateFeeder(name: string, importedKey: Uint8Array | undefined, peer: Peer): Promise<Uint8Array> {
    return this.#feeders.rotate(name, importedKey, peer);
  }

  disableFeeder(name: string, peer: Peer): Promise<FeederReport> {
    return this.#feeders.disable(name, peer);
  }

  enableFeeder(name: string, peer: Peer): Promise<FeederReport> {
    return this.#feeders.enable(name, peer);
  }

  revokeFeeder(name: string, peer: Peer): Promise<FeederReport> {
    return this.#feeders.revoke(name, peer);
  }

  receiptKey(): Promise<ReceiptKeyReport> {
    return this.#feeders.receiptKey();
  }

  random(bytes: number, fresh: boolean): Promise<Uint8Array> {
    return this.#output.serve(bytes, { fresh });
  }

  ready(): Readiness {
    const reason = this.#closedBecause ?? (this.#overridden ? 'overridden' : null);
    return { ready: reason === null, reason };
  }

  /** The engine knows the caches, and the network side who fills them. */
  #external({ external }: EngineReport): ExternalReport {
    const { isEnabled, hostLink, feedersConnected } = this.#admission;
    return { enabled: isEnabled, link: hostLink, feedersConnected, ...external, ...this.#cacheKey() };
  }

  #followGate({ id, detail }: EventRecord): void {
    if (id === 'gate.open') this.#closedBecause = null;
    if (id === 'gate.overridden') this.#overridden = true;
    // One that is replaced is followed by the event of its successor.
    if (id === 'gate.override.ended') this.#overridden = false;
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
