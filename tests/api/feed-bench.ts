import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { FEED_SERVER_DEFAULTS, FeedServer, type FeedServerOptions } from '../../src/api/feed-server.ts';
import { TcpListener } from '../../src/api/tcp-listener.ts';
import type { Clock } from '../../src/base/clock.ts';
import { Counters } from '../../src/base/counters.ts';
import { EventBus } from '../../src/base/events.ts';
import { FEED_PATH } from '../../src/protocol/limits.ts';
import { FeederAdmission, type FeederAdmissionOptions } from '../../src/service/feeder-admission.ts';
import { FeederRegistry } from '../../src/service/feeder-registry.ts';
import { Enrolment } from '../../src/state/enrolment.ts';
import type { FeederTerms } from '../../src/state/feeder-record.ts';
import { NoneWrapping } from '../../src/state/root-key.ts';
import { StateArchive } from '../../src/state/state-archive.ts';
import { SimulatedFiles } from '../durable/simulated-files.ts';
import { FakeClock } from '../fakes/fake-clock.ts';
import { FakeFeedPort, FakeMarks, FakeSeen } from '../service/feed-fakes.ts';
import { fakeRoutes } from './credentials-fake.ts';
import { silentLog } from './fake-control-service.ts';
import { FeedClient, random } from './feed-bench-client.ts';

/** A whole feed server on a loopback port: real sockets and codecs, a fake engine behind it, and time that stands still. */

/** Who changes feeders at the host. */
export const PEER = { name: 'uid 0', access: 'change' } as const;

export const NOISE: FeederTerms = {
  class: 'noise',
  rateUnits: 1024,
  certificate: '',
  maximumBytesPerSecond: undefined,
  weight: 1,
};

export interface FeedBenchOptions {
  readonly admission?: Partial<FeederAdmissionOptions>;
  readonly server?: Partial<FeedServerOptions>;
  readonly clock?: Clock;
  readonly port?: FakeFeedPort;
}

export class FeedBench {
  readonly clock: FakeClock;
  readonly port: FakeFeedPort;
  readonly marks: FakeMarks;
  readonly seen: FakeSeen;
  readonly counters: Counters;
  readonly events: EventBus;
  readonly enrolment: Enrolment;
  readonly admission: FeederAdmission;
  readonly registry: FeederRegistry;
  readonly server: FeedServer;
  readonly directory: string;
  readonly listener: TcpListener;
  readonly clients: FeedClient[] = [];

  private constructor(made: Made) {
    this.clock = made.clock;
    this.enrolment = made.enrolment;
    this.directory = made.directory;
    this.port = made.port;
    this.events = made.events;
    this.counters = made.counters;
    this.marks = made.marks;
    this.seen = made.seen;
    this.admission = made.admission;
    this.server = made.server;
    this.listener = made.listener;
    this.registry = new FeederRegistry({ bytesPerSecond: 1 }, { ...made, url: () => this.url });
  }

  static async open(options: FeedBenchOptions = {}): Promise<FeedBench> {
    const clock = new FakeClock();
    const usedClock: Clock = options.clock ?? clock;
    const archive = await StateArchive.open(
      { mode: 'NONE' },
      { files: new SimulatedFiles(), random, wrappings: [new NoneWrapping({ random })] },
    );
    const enrolment = Enrolment.open({ archive, random, clock: usedClock });
    const directory = await mkdtemp(path.join(tmpdir(), 'feed-'));
    const counters = new Counters();
    const events = new EventBus({ capacity: 1000 }, { clock: usedClock, counters });
    const port = options.port ?? new FakeFeedPort();
    const marks = new FakeMarks();
    const seen = new FakeSeen();
    const shared = { clock: usedClock, counters, events, random, log: silentLog };
    const admission = new FeederAdmission(
      { software: 'bench 1', mask: 8, lostTimeoutSeconds: 60, ...options.admission },
      { ...shared, enrolment, port, marks, seen },
    );
    admission.roomChanged(port.roomBytes);
    const server = new FeedServer({ ...FEED_SERVER_DEFAULTS, ...options.server }, { ...shared, admission });
    const routes = await fakeRoutes(usedClock, counters);
    const listener = await TcpListener.open(
      { listen: '127.0.0.1:0', runtimeDirectory: directory },
      { feed: server, routes, clock: usedClock, events, counters },
    );
    const made = { clock, enrolment, directory, port, events, counters, marks, seen };
    return new FeedBench({ ...made, admission, server, listener });
  }

  get url(): string {
    return `ws://${this.listener.address}${FEED_PATH}`;
  }

  /** Ids of the events so far, each with a named part of its detail. */
  told(id: string): readonly Readonly<Record<string, string | number | boolean>>[] {
    return this.events
      .since(0)
      .records.filter((record) => record.id === id)
      .map(({ detail }) => detail);
  }

  /** Enrols a feeder and gives its key. */
  async enroll(name: string, terms: Partial<FeederTerms> = {}): Promise<Buffer> {
    const { record, key } = await this.enrolment.enroll(name, { ...NOISE, ...terms });
    this.admission.watch(record);
    return key;
  }

  client(name: string, key: Uint8Array): FeedClient {
    const client = new FeedClient(this, name, key);
    this.clients.push(client);
    return client;
  }

  /** A client of a feeder that is enrolled here, with its welcome and its first grant. */
  async proven(name = 'hsm-1'): Promise<FeedClient> {
    const client = await this.connected(name, await this.enroll(name));
    await client.granted();
    return client;
  }

  /** A client that has its welcome. */
  async connected(name: string, key: Uint8Array): Promise<FeedClient> {
    const client = this.client(name, key);
    await client.handshake();
    return client;
  }

  async close(): Promise<void> {
    for (const client of this.clients) client.socket.terminate();
    await this.listener.close();
    await this.admission.close();
    await rm(this.directory, { recursive: true, force: true });
  }
}

interface Made {
  clock: FakeClock;
  enrolment: Enrolment;
  directory: string;
  port: FakeFeedPort;
  events: EventBus;
  counters: Counters;
  marks: FakeMarks;
  seen: FakeSeen;
  admission: FeederAdmission;
  server: FeedServer;
  listener: TcpListener;
}
