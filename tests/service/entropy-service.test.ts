import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Counters } from '../../src/base/counters.ts';
import { EntropyError } from '../../src/base/errors.ts';
import { EventBus } from '../../src/base/events.ts';
import type { Peer } from '../../src/contract/control-service.ts';
import { NodeFiles } from '../../src/durable/node-files.ts';
import type { EngineClient } from '../../src/engine/engine-client.ts';
import { FeedLedger } from '../../src/kernel/feed-ledger.ts';
import type { Feed } from '../../src/kernel/pool-feeder.ts';
import { feedParticipant } from '../../src/service/apply-config.ts';
import { EntropyService } from '../../src/service/entropy-service.ts';
import { ConfigStore } from '../../src/state/config-store.ts';
import { NoneWrapping } from '../../src/state/root-key.ts';
import { StateArchive } from '../../src/state/state-archive.ts';
import { engineFixture } from '../engine/engine-fixture.ts';
import { FakeClock } from '../fakes/fake-clock.ts';
import { seededSource } from '../fakes/seeded-stream.ts';
import { rejectsWith } from '../rejects.ts';

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
  const state = { directory: root, encryptionMode: 'NONE' as const, refused: '' };
  const service = new EntropyService(
    { version: '1.2.3', state },
    { engine, ledger, config, bus, counters, clock },
  );
  try {
    await use({ service, bus, ledger, config, counters, calls });
  } finally {
    await ledger.close();
    await archive.close();
    rmSync(root, { recursive: true });
  }
}

test('status joins what engine, ledger and daemon know; the ledger numbers the last feed', () =>
  withService(async ({ service }) => {
    for (let n = 0; n < 3; n++) await service.recordFeed(feed);
    const status = await service.status();
    assert.is(status.version, '1.2.3');
    assert.is(status.gate.state, 'open');
    assert.is(status.kernel.lastFeed?.sequence, 3);
    assert.is(status.counters['feed.blocks'], 2, 'of the engine');
  }));

test('a change is durable, told with who asked for it, and reaches the engine', () =>
  withService(async ({ service, bus, config, calls }) => {
    config.register(feedParticipant((settings) => calls.push(['configureFeed', settings])));
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
  withService(async ({ service, bus, ledger, counters }) => {
    ledger.append = () => Promise.reject(new EntropyError('state-unwritable', 'ENOSPC'));
    await service.recordFeed(feed);
    assert.is(bus.since(0).records[0]?.id, 'ledger.failed');
    assert.is(counters.value('ledger.failures'), 1);
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
