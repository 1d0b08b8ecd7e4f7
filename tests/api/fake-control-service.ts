import { EntropyError } from '../../src/base/errors.ts';
import { EVENTS, type EventId, type EventRecord } from '../../src/base/events.ts';
import { SOURCE_NAMES } from '../../src/base/names.ts';
import type {
  ControlService,
  EventPage,
  GateOverrideRequest,
  Peer,
  Readiness,
} from '../../src/contract/control-service.ts';
import type { ExternalReport } from '../../src/contract/external.ts';
import type { InstallSeedReport } from '../../src/contract/install-seed.ts';
import type { GateReport } from '../../src/contract/gate.ts';
import type { FeederEnrolment, FeederReport, ReceiptKeyReport } from '../../src/contract/feeders.ts';
import type {
  ConfigurationReport,
  FeedRecord,
  LedgerReport,
  SelfTestReport,
  SourceReport,
  StatusReport,
} from '../../src/contract/outputs.ts';
import { parseChange } from '../../src/contract/parameters.ts';
import { FakeEncryption } from './fake-encryption.ts';
import { FakeAccessService } from './fake-access-service.ts';
import { FakeRecovery, SAMPLE_RECOVERY } from './fake-recovery.ts';
import { FakeZeroize } from './fake-zeroize.ts';
import { FakeIntake } from './fake-intake.ts';
import { sampleConfiguration } from './sample-configuration.ts';
import { SAMPLE_RECEIPT_KEY, sampleExternal, sampleFeeders, sampleInstallSeed } from './sample-external.ts';

/** Every sample report stands at this moment. */
export const NOW_MS = Date.UTC(2026, 0, 2, 3, 4, 5);

const cutoffs = {
  rctIntermittent: 9,
  rctPermanent: 16,
  aptWindowSamples: 512,
  aptIntermittent: 78,
  aptPermanent: 108,
};

export function sampleSource(change: Partial<SourceReport> = {}): SourceReport {
  return {
    name: 'rdseed',
    bit: 4,
    state: 'healthy',
    reason: '',
    testBitsPerByte: 4,
    creditBitsPerByte: 4,
    creditBitsPerSecond: 51_234_567.89,
    secondsToBlock: 320 / 51_234_567.89,
    testedBytes: 65_536,
    creditedBits: 262_144.5,
    intermittentFailures: 0,
    permanentFailures: 0,
    cutoffs,
    ...change,
  };
}

export function sampleSources(): SourceReport[] {
  const masked = {
    state: 'masked-out',
    creditBitsPerSecond: 0,
    secondsToBlock: null,
    testedBytes: 0,
    creditedBits: 0,
  } as const;
  return [
    sampleSource({
      name: 'interrupts',
      bit: 1,
      testBitsPerByte: 0.5,
      creditBitsPerByte: 1 / 64,
      creditBitsPerSecond: 2.421875,
      secondsToBlock: 132.129,
      testedBytes: 1_024,
      creditedBits: 16,
    }),
    sampleSource({ ...masked, name: 'rdrand', bit: 2 }),
    sampleSource(),
    sampleSource({
      ...masked,
      name: 'external',
      bit: 8,
      state: 'unavailable',
      reason: 'no feeder is enrolled',
    }),
  ];
}

export function sampleFeed(change: Partial<FeedRecord> = {}): FeedRecord {
  return {
    sequence: 512,
    atMs: NOW_MS - 4_000,
    bytes: 64,
    path: 'ioctl',
    creditedBits: { interrupts: 0, rdrand: 0, rdseed: 640.5, external: 0 },
    creditAskedBits: 0,
    creditEffectiveBits: 0,
    reseed: 'done',
    ...change,
  };
}

export function sampleStatus(change: Partial<StatusReport> = {}): StatusReport {
  return {
    version: '0.1.0',
    startedMs: NOW_MS - 5_120_000,
    nowMs: NOW_MS,
    state: { directory: '/var/lib/entropy-mixer', encryptionMode: 'NONE', suspendedBoots: null, refused: '' },
    recovery: SAMPLE_RECOVERY,
    gate: {
      state: 'open',
      reason: null,
      sinceMs: NOW_MS - 5_119_000,
      degraded: false,
      whatToDo: '',
      override: null,
    },
    kernel: {
      path: 'ioctl',
      intervalSeconds: 10,
      bytesPerFeed: 64,
      feedsSinceStart: 512,
      lastFeed: sampleFeed(),
      waitingSinceMs: null,
      lastFailure: '',
    },
    mask: { configured: 0, running: 4, honoured: 4 },
    sources: sampleSources(),
    mixer: {
      build: 'simd',
      sha256: 'ab'.repeat(32),
      selfTest: { passed: true, failedTest: '', atMs: NOW_MS - 5_119_500 },
    },
    external: sampleExternal({ enabled: false, link: 'never', feedersConnected: 0 }),
    counters: { 'feed.blocks': 1_024 },
    ...change,
  };
}

export function sampleEvents(): EventRecord[] {
  const record = (sequence: number, id: EventId, detail: EventRecord['detail'] = {}): EventRecord => ({
    sequence,
    id,
    severity: EVENTS[id].severity,
    atMs: NOW_MS + sequence * 1_000,
    detail,
  });
  return [
    record(1, 'daemon.start', { version: '0.1.0', mask: 4 }),
    record(2, 'gate.open'),
    record(3, 'source.intermittent', { source: 'rdseed', test: 'APT', voided: true }),
  ];
}

/** A service that answers samples; tests change its fields, and look at what it was asked. */
export class FakeControlService implements ControlService {
  readonly recovery = new FakeRecovery();
  report = sampleStatus();
  feeds: FeedRecord[] = [
    sampleFeed(),
    sampleFeed({ sequence: 511, atMs: NOW_MS - 14_000, path: 'write', reseed: 'EPERM' }),
  ];
  kept: EventRecord[] = sampleEvents();
  readiness: Readiness = { ready: true, reason: null };
  selfTestReport: SelfTestReport = { passed: true, failedTest: '', atMs: NOW_MS };
  enrolled: FeederReport[] = sampleFeeders();
  receipts: ReceiptKeyReport = SAMPLE_RECEIPT_KEY;
  /** Every buffer of bytes that was answered, to see that it was wiped. */
  readonly answeredBytes: Uint8Array[] = [];
  readonly access = new FakeAccessService(
    (name, given, answer) => this.#noted(name, given, answer),
    this.answeredBytes,
  );
  readonly intake = new FakeIntake((name, given, answer) => this.#noted(name, given, answer));
  readonly zeroizing = new FakeZeroize((name, given, answer) => this.#noted(name, given, answer));
  readonly encryption = new FakeEncryption((name, given, answer) => this.#noted(name, given, answer));
  /** Copies of the keys that came in, and the buffers they came in. */
  readonly importedKeys: { readonly copy: Uint8Array; readonly given: Uint8Array }[] = [];
  /** Thrown by every call instead of an answer. */
  failure: Error | undefined;
  readonly calls: { readonly name: string; readonly given: readonly unknown[] }[] = [];
  readonly #subscribers = new Set<(record: EventRecord) => void>();

  get subscribers(): number {
    return this.#subscribers.size;
  }

  emit(record: EventRecord): void {
    this.kept.push(record);
    for (const deliver of this.#subscribers) deliver(record);
  }

  status(): Promise<StatusReport> {
    return this.#later('status', [], this.report);
  }

  sources(): Promise<SourceReport[]> {
    return this.#later('sources', [], this.report.sources);
  }

  ledger(limit: number): Promise<LedgerReport> {
    const totals = {
      feeds: 512,
      bytes: 32_768,
      creditedBits: { interrupts: 12.25, rdrand: 0, rdseed: 327_936, external: 0 },
      creditAskedBits: 0,
      creditEffectiveBits: 0,
      reseeds: 511,
      sinceMs: NOW_MS - 5_118_000,
    };
    return this.#later('ledger', [limit], { totals, records: this.feeds.slice(0, limit) });
  }

  events(after: number, limit: number): EventPage {
    const latest = this.kept.at(-1)?.sequence ?? 0;
    const records = this.kept.filter(({ sequence }) => sequence > after).slice(0, limit);
    return this.#answer('events', [after, limit], {
      oldest: this.kept[0]?.sequence ?? latest + 1,
      latest,
      records,
    });
  }

  subscribe(deliver: (record: EventRecord) => void): () => void {
    this.#subscribers.add(deliver);
    return () => this.#subscribers.delete(deliver);
  }

  selfTest(): Promise<SelfTestReport> {
    return this.#later('selfTest', [], this.selfTestReport);
  }

  testSource(name: string): Promise<SourceReport> {
    return this.#later('testSource', [name], () => this.#source(name));
  }

  restoreSource(name: string, reason: string, peer: Peer): Promise<SourceReport> {
    return this.#later('restoreSource', [name, reason, peer], () => ({
      ...this.#source(name),
      state: 'startup' as const,
    }));
  }

  overrideGate(request: GateOverrideRequest, peer: Peer): Promise<GateReport> {
    const { mask, seconds, reason } = request;
    const override = { mask, untilMs: NOW_MS + seconds * 1_000, reason, by: peer.name };
    return this.#later('overrideGate', [request, peer], () => ({
      ...this.report.gate,
      state: 'overridden' as const,
      degraded: true,
      override,
    }));
  }

  restoreGate(peer: Peer): Promise<GateReport> {
    return this.#later('restoreGate', [peer], this.report.gate);
  }

  configuration(): ConfigurationReport {
    return this.#answer('configuration', [], sampleConfiguration());
  }

  changeConfiguration(patch: unknown, peer: Peer): Promise<ConfigurationReport> {
    return this.#later('changeConfiguration', [patch, peer], () => {
      parseChange(patch);
      return this.configuration();
    });
  }

  external(): Promise<ExternalReport> {
    return this.#later('external', [], this.report.external);
  }

  installSeed(): Promise<InstallSeedReport> {
    return this.#later('installSeed', [], sampleInstallSeed());
  }

  feeders(): Promise<FeederReport[]> {
    return this.#later('feeders', [], this.enrolled);
  }

  enrollFeeder(
    name: string,
    enrolment: FeederEnrolment,
    key: Uint8Array | undefined,
    peer: Peer,
  ): Promise<Uint8Array> {
    this.#noteKey(key);
    return this.#later('enrollFeeder', [name, enrolment, peer], () => {
      if (this.enrolled.some((feeder) => feeder.name === name))
        throw new EntropyError('feeder-exists', `${name} is enrolled already`);
      return this.#enrolmentFile(name, key);
    });
  }

  rotateFeeder(name: string, key: Uint8Array | undefined, peer: Peer): Promise<Uint8Array> {
    this.#noteKey(key);
    return this.#later('rotateFeeder', [name, peer], () => this.#enrolmentFile(this.#feeder(name).name, key));
  }

  disableFeeder(name: string, peer: Peer): Promise<FeederReport> {
    return this.#later('disableFeeder', [name, peer], () => ({
      ...this.#feeder(name),
      state: 'disabled' as const,
    }));
  }

  enableFeeder(name: string, peer: Peer): Promise<FeederReport> {
    return this.#later('enableFeeder', [name, peer], () => ({
      ...this.#feeder(name),
      state: 'enabled' as const,
    }));
  }

  revokeFeeder(name: string, peer: Peer): Promise<FeederReport> {
    return this.#later('revokeFeeder', [name, peer], () => this.#feeder(name));
  }

  receiptKey(): Promise<ReceiptKeyReport> {
    return this.#later('receiptKey', [], this.receipts);
  }

  random(bytes: number, fresh: boolean): Promise<Uint8Array> {
    return this.#later('random', [bytes, fresh], () => this.#answeredOnce(new Uint8Array(bytes).fill(0xa5)));
  }

  ready(): Readiness {
    return this.#answer('ready', [], this.readiness);
  }

  /** The same as a promise; what the answer is made from is only asked for when there is no failure. */
  #later<T extends object>(name: string, given: readonly unknown[], answer: T | (() => T)): Promise<T> {
    return new Promise((resolve) => {
      this.#answer(name, given, undefined);
      resolve(typeof answer === 'function' ? answer() : answer);
    });
  }

  #feeder(name: string): FeederReport {
    const found = this.enrolled.find((feeder) => feeder.name === name);
    if (found === undefined) throw new EntropyError('feeder-unknown', `no feeder is called ${name}`);
    return found;
  }

  /** As the daemon writes it; the key is 0x11… unless one is imported. */
  #enrolmentFile(name: string, imported: Uint8Array | undefined): Uint8Array {
    const key = Buffer.from(imported ?? new Uint8Array(32).fill(0x11)).toString('hex');
    const { host, key: receiptKey } = this.receipts;
    const url = 'ws://127.0.0.1:8740/v1/feed';
    return this.#answeredOnce(
      Buffer.from(
        `entropy-feed enrolment v1\nurl ${url}\nhost ${host}\nfeeder ${name}\nreceipt-key ${receiptKey}\nkey ${key}\n`,
      ),
    );
  }

  #noteKey(key: Uint8Array | undefined): void {
    if (key !== undefined) this.importedKeys.push({ copy: Uint8Array.from(key), given: key });
  }

  #answeredOnce(bytes: Uint8Array): Uint8Array {
    this.answeredBytes.push(bytes);
    return bytes;
  }

  #source(name: string): SourceReport {
    const found = this.report.sources.find((source) => source.name === name);
    if (found === undefined) throw new EntropyError('source-unknown', `known are ${SOURCE_NAMES.join(', ')}`);
    return found;
  }

  #noted<T>(name: string, given: readonly unknown[], answer: () => T): T {
    this.#answer(name, given, undefined);
    return answer();
  }

  #answer<T>(name: string, given: readonly unknown[], answer: T): T {
    this.calls.push({ name, given });
    if (this.failure !== undefined) throw this.failure;
    return answer;
  }
}

export const silentLog = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};
