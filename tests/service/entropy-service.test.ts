import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Counters } from '../../src/base/counters.ts';
import { EntropyError } from '../../src/base/errors.ts';
import { EventBus } from '../../src/base/events.ts';
import type { Log } from '../../src/base/log.ts';
import type { Peer } from '../../src/contract/control-service.ts';
import { NodeFiles } from '../../src/durable/node-files.ts';
import type { EngineClient } from '../../src/engine/engine-client.ts';
import { FeedLedger } from '../../src/kernel/feed-ledger.ts';
import type { Feed } from '../../src/kernel/pool-feeder.ts';
import { cacheParticipant, feedSettings, liveParticipant } from '../../src/service/apply-config.ts';
import { FeedRecorder } from '../../src/service/feed-recorder.ts';
import type { AccessRegistry } from '../../src/service/access-registry.ts';
import type { FeederAdmission } from '../../src/service/feeder-admission.ts';
import type { RequestIntake } from '../../src/service/request-intake.ts';
import type { FeederRegistry } from '../../src/service/feeder-registry.ts';
import { InstallSeed } from '../../src/service/install-seed.ts';
import type { EncryptionDesk } from '../../src/service/encryption-desk.ts';
import { EntropyService } from '../../src/service/entropy-service.ts';
import { ConfigStore } from '../../src/state/config-store.ts';
import { ZeroizeDesk } from '../../src/service/zeroize-desk.ts';
import { RecoveryDesk } from '../../src/service/recovery-desk.ts';
import { NoneWrapping } from '../../src/state/root-key.ts';
import { StateArchive } from '../../src/state/state-archive.ts';
import { engineFixture } from '../engine/engine-fixture.ts';
import { FakeClock } from '../fakes/fake-clock.ts';
import { seededSource } from '../fakes/seeded-stream.ts';
import { rejectsWith } from '../rejects.ts';

const nothing = (): void => undefined;
const SILENT: Log = { debug: nothing, info: nothing, warn: nothing, error: nothing };

const operator: Peer = { name: 'uid 0, pid 7', access: 'change' };

const feed: Feed = {
  atMs: 1,
  bytes: 64,
  path: 'ioctl',
  creditedBits: { interrupts: 0, rdrand: 0, rdseed: 640, external: 0 },
  creditAskedBits: 0,
  creditEffectiveBits: 0,
  reseed: 'done',
};

/** The service over a real store and ledger in a folder of its own, and an engine that answers at once. */
async function withService(
  use: (parts: {
    readonly service: EntropyService;
    readonly recorder: FeedRecorder;
    readonly bus: EventBus;
    readonly ledger: FeedLedger;
    readonly config: ConfigStore;
    readonly counters: Counters;
    readonly calls: unknown[][];
  }) => Promise<void>,
): Promise<void> {
  const root = mkdtempSync(path.join(tmpdir(), 'service-'));
  const random = seededSource();
  const files = await NodeFiles.open({ root });
  const archive = await StateArchive.open(
    { mode: 'NONE' },
    { files, random, wrappings: [new NoneWrapping({ random })] },
  );
  const config = ConfigStore.open({ flags: {}, file: {} }, { archive });
  const ledger = await FeedLedger.open({ capacity: 16 }, { files, random });
  const clock = new FakeClock();
  const counters = new Counters();
  const bus = new EventBus({ capacity: 100 }, { clock, counters });
  const fixture = engineFixture({ mask: 4 });
  fixture.engine.start();
  await fixture.clock.advance(0);
  const calls: unknown[][] = [];
  const engine = {
    call: (name: string, ...parameters: unknown[]) => {
      calls.push([name, ...parameters]);
      return Promise.resolve(name === 'report' ? fixture.engine.report() : null);
    },
  } as unknown as EngineClient;
  const state = { directory: root, refused: '' };
  const admission = {
    isEnabled: false,
    hostLink: 'never',
    feedersConnected: 0,
  } as unknown as FeederAdmission;
  const output = {
    serve: (bytes: number) => Promise.resolve(new Uint8Array(bytes)),
    absorb: () => Promise.resolve(),
    availableBits: () => Promise.resolve(0),
  };
  const feeders = { list: () => [] } as unknown as FeederRegistry;
  const access = {} as unknown as AccessRegistry;
  const intake = {} as unknown as RequestIntake;
  const installSeed = new InstallSeed(
    { record: undefined, inUse: false, keptBytes: undefined },
    { archive, bus, log: SILENT },
  );
  const zeroizing = new ZeroizeDesk({
    engine,
    archive,
    events: bus,
    confirm: () => undefined,
    destroy: () => Promise.resolve({ complete: true, parts: [] }),
    onEnd: () => undefined,
  });
  const recovery = new RecoveryDesk({ archive, files, clock, events: bus });
  const encryption = { report: () => ({ mode: 'NONE' }) } as unknown as EncryptionDesk;
  const service = new EntropyService(
    { version: '1.2.3', state, startSettings: [] },
    {
      engine,
      feeders,
      access,
      intake,
      admission,
      installSeed,
      cacheKey: () => ({ keyGeneration: 42, keyChangedMs: null, keyFailure: '' }),
      encryption,
      output,
      recovery,
      zeroizing,
      ledger,
      config,
      bus,
      counters,
      clock,
    },
  );
  const recorder = new FeedRecorder({ ledger, events: bus, counters });
  try {
    await use({ service, recorder, bus, ledger, config, counters, calls });
  } finally {
    await ledger.close();
    await archive.close();
    rmSync(root, { recursive: true });
  }
}

test('status joins what engine, ledger and daemon know; the ledger numbers the last feed', () =>
  withService(async ({ service, recorder }) => {
    for (let n = 0; n < 3; n++) await recorder.record(feed);
    const status = await service.status();
    assert.is(status.version, '1.2.3');
    assert.is(status.gate.state, 'open');
    assert.is(status.kernel.lastFeed?.sequence, 3);
    assert.is(status.counters['feed.blocks'], 2, 'of the engine');
  }));

test('a change is durable, told with who asked for it, and reaches the engine', () =>
  withService(async ({ service, bus, config, calls }) => {
    config.register(liveParticipant((next) => calls.push(['configureFeed', feedSettings(next)])));
    const report = await service.changeConfiguration({ feedIntervalSeconds: 5 }, operator);
    assert.is(report.parameters.find(({ name }) => name === 'feedIntervalSeconds')?.runtime, 5);
    assert.equal(calls, [['configureFeed', { intervalSeconds: 5, bytesPerFeed: 64, creditCpu: false }]]);
    assert.equal(bus.since(0).records[0]?.detail, { keys: 'feedIntervalSeconds', by: 'uid 0, pid 7' });
  }));

test('a refused change is told to nobody and changes nothing', () =>
  withService(async ({ service, bus, config }) => {
    await rejectsWith(service.changeConfiguration({ feedIntervalSeconds: 0 }, operator), 'parameter-invalid');
    await rejectsWith(service.changeConfiguration({ feedIntervall: 5 }, operator), 'parameter-unknown');
    assert.is(config.values.feedIntervalSeconds, 10);
    assert.equal(bus.since(0).records, []);
  }));

test('a ledger that cannot be written is told and counted; the feed itself stands', () =>
  withService(async ({ recorder, bus, ledger, counters }) => {
    ledger.append = () => Promise.reject(new EntropyError('state-unwritable', 'ENOSPC'));
    await recorder.record(feed);
    assert.is(bus.since(0).records[0]?.id, 'ledger.failed');
    assert.is(counters.value('ledger.failures'), 1);
  }));

test('other cache sizes are prepared before they are durable, and settled after', () =>
  withService(async ({ service, config, calls }) => {
    config.register(
      cacheParticipant({
        prepare: (sizes) => Promise.resolve(void calls.push(['prepare', sizes])),
        settle: (commit) => calls.push(['settle', commit]),
      }),
    );
    await service.changeConfiguration({ memoryCacheSizeKibibytes: 1024 }, operator);
    assert.equal(calls, [
      ['prepare', { memoryBytes: 1_048_576, lowWatermarkPercent: 20, storageBytes: 4_194_304 }],
      ['settle', true],
    ]);
    await service.changeConfiguration({ feedIntervalSeconds: 7 }, operator);
    assert.is(calls.length, 2, 'what does not concern the caches does not touch them');
  }));

test('sizes for which there is no space change nothing', () =>
  withService(async ({ service, config }) => {
    const full = new EntropyError('state-unwritable', 'ENOSPC');
    config.register(cacheParticipant({ prepare: () => Promise.reject(full), settle: () => undefined }));
    const change = service.changeConfiguration({ storageCacheSizeKibibytes: 1_048_576 }, operator);
    await rejectsWith(change, 'state-unwritable');
    assert.is(config.values.storageCacheSizeKibibytes, 4096);
  }));

test('what the gate was before the service began counts for readiness', () =>
  withService(async ({ bus, ...parts }) => {
    bus.emit('gate.open');
    assert.is(parts.service.ready().ready, true);
    return Promise.resolve();
  }));

test('readiness follows the gate', () =>
  withService(async ({ service, bus }) => {
    assert.equal(service.ready(), { ready: false, reason: 'warming' });
    bus.emit('gate.open');
    assert.equal(service.ready(), { ready: true, reason: null });
    bus.emit('gate.closed', { reason: 'credit-starved' });
    assert.equal(service.ready(), { ready: false, reason: 'credit-starved' });
    return Promise.resolve();
  }));

test('an overridden gate is open and not ready, until the override ends', () =>
  withService(async ({ service, bus }) => {
    bus.emit('gate.overridden');
    assert.equal(service.ready(), { ready: false, reason: 'warming' }, 'closed is worse');
    bus.emit('gate.open');
    assert.equal(service.ready(), { ready: false, reason: 'overridden' });
    bus.emit('gate.override.ended', { why: 'replaced' });
    bus.emit('gate.overridden');
    assert.equal(service.ready(), { ready: false, reason: 'overridden' });
    bus.emit('gate.override.ended', { why: 'time' });
    assert.equal(service.ready(), { ready: true, reason: null });
    return Promise.resolve();
  }));

test('names that are no source are refused before the engine is asked', () =>
  withService(async ({ service, calls }) => {
    await rejectsWith(
      Promise.resolve().then(() => service.testSource('rdseed\n')),
      'source-unknown',
    );
    assert.equal(calls, []);
  }));

test('who restored a source is part of its reason', () =>
  withService(async ({ service, calls }) => {
    await service.restoreSource('rdseed', 'CPU replaced', operator);
    assert.equal(calls, [['restoreSource', 'rdseed', 'CPU replaced (uid 0, pid 7)']]);
  }));

test.run();
