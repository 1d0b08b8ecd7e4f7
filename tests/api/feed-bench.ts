import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { WebSocket } from 'ws';
import { FEED_SERVER_DEFAULTS, FeedServer, type FeedServerOptions } from '../../src/api/feed-server.ts';
import { TcpListener } from '../../src/api/tcp-listener.ts';
import type { Clock } from '../../src/base/clock.ts';
import { Counters } from '../../src/base/counters.ts';
import { EventBus } from '../../src/base/events.ts';
import {
  EMPTY_PAYLOAD,
  FEEDER_FRAMES,
  readHostFrame,
  type HostFrame,
} from '../../src/protocol/frame-payloads.ts';
import { FeederHandshake, type FeedSession } from '../../src/protocol/handshake.ts';
import type { Hello, Welcome } from '../../src/protocol/handshake-messages.ts';
import { FEED_PATH, FEED_SUBPROTOCOL } from '../../src/protocol/limits.ts';
import { publicBytesOf } from '../../src/protocol/raw-keys.ts';
import { parseReceipt, type Receipt } from '../../src/protocol/receipt.ts';
import { FeederAdmission, type FeederAdmissionOptions } from '../../src/service/feeder-admission.ts';
import { FeederRegistry } from '../../src/service/feeder-registry.ts';
import { Enrolment } from '../../src/state/enrolment.ts';
import type { FeederTerms } from '../../src/state/feeder-record.ts';
import { NoneWrapping } from '../../src/state/root-key.ts';
import { StateArchive } from '../../src/state/state-archive.ts';
import { SimulatedFiles } from '../durable/simulated-files.ts';
import { FakeClock } from '../fakes/fake-clock.ts';
import { seededSource } from '../fakes/seeded-stream.ts';
import { FakeFeedPort, FakeMarks, FakeSeen } from '../service/feed-fakes.ts';
import { fakeRoutes } from './credentials-fake.ts';
import { silentLog } from './fake-control-service.ts';

/** A whole feed server on a loopback port: real sockets and codecs, a fake engine behind it, and time that stands still. */

export const random = seededSource('feed bench');

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

  /** A client that has its welcome and its first grant. */
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

interface Closed {
  readonly code: number;
  readonly reason: string;
}

/** A feeder that does what it is told, right or wrong. */
export class FeedClient {
  readonly socket: WebSocket;
  readonly closed: Promise<Closed>;
  readonly texts: Buffer[] = [];
  /** Binary messages as they came. */
  readonly raw: Buffer[] = [];
  readonly frames: HostFrame[] = [];
  readonly hellos: Hello[] = [];
  session: FeedSession | undefined;
  welcome: Welcome | undefined;
  readonly #bench: FeedBench;
  readonly #name: string;
  readonly #key: Uint8Array;
  #changed: () => void = () => undefined;

  constructor(
    bench: FeedBench,
    name: string,
    key: Uint8Array,
    options: { headers?: Record<string, string> } = {},
  ) {
    this.#bench = bench;
    this.#name = name;
    this.#key = key;
    this.socket = new WebSocket(bench.url, FEED_SUBPROTOCOL, { perMessageDeflate: false, ...options });
    this.closed = new Promise((resolve) => {
      this.socket.on('close', (code, reason) => {
        resolve({ code, reason: reason.toString() });
        this.#changed();
      });
    });
    this.socket.on('error', () => undefined);
    this.socket.on('message', (data: Buffer, isBinary) => {
      if (isBinary) this.#open(data);
      else this.texts.push(data);
      this.#changed();
    });
  }

  async hello(): Promise<Buffer> {
    await this.until(() => this.texts.length > 0);
    return this.texts[0]!;
  }

  /** Proves the key; `alter` changes the proof message on its way. */
  async handshake(alter: (proof: Buffer) => Buffer = (proof) => proof): Promise<void> {
    const { host, receiptKey } = await this.#bench.admission.identity();
    const shake = new FeederHandshake(
      { feeder: this.#name, key: this.#key, host, receiptKey: publicBytesOf(receiptKey) },
      { random },
    );
    const { hello, proof } = shake.answer(await this.hello());
    this.hellos.push(hello);
    this.socket.send(alter(proof).toString('latin1'));
    await this.until(() => this.texts.length > 1);
    if (this.texts.length < 2) throw new Error(`closed before the welcome: ${(await this.closed).reason}`);
    const { welcome, session } = shake.finish(this.texts[1]!);
    this.welcome = welcome;
    this.session = session;
    for (const message of this.raw.splice(0)) this.#open(message);
  }

  /** Sends a frame of entropy and gives the message as sent. */
  send(payload: Uint8Array, type: number = FEEDER_FRAMES.data): Buffer {
    const message = this.session!.sealer.seal(type, payload);
    this.socket.send(message);
    return message;
  }

  ping(): void {
    this.send(EMPTY_PAYLOAD, FEEDER_FRAMES.ping);
  }

  of<K extends HostFrame['kind']>(kind: K): Extract<HostFrame, { kind: K }>[] {
    return this.frames.filter((frame): frame is Extract<HostFrame, { kind: K }> => frame.kind === kind);
  }

  get receipts(): Receipt[] {
    return this.of('receipt').map(({ record }) => parseReceipt(record));
  }

  async receipt(count = 1): Promise<Receipt[]> {
    await this.until(() => this.of('receipt').length >= count);
    return this.receipts;
  }

  async granted(count = 1): Promise<HostFrame[]> {
    await this.until(() => this.of('grant').length >= count);
    return this.of('grant');
  }

  /** Waits until something holds, or the connection is gone. */
  async until(holds: () => boolean): Promise<void> {
    while (!holds() && this.socket.readyState !== WebSocket.CLOSED) {
      await new Promise<void>((resolve) => (this.#changed = resolve));
    }
  }

  #open(message: Buffer): void {
    if (this.session === undefined) this.raw.push(message);
    else this.frames.push(readHostFrame(this.session.opener.open(message)));
  }
}

let payloads = 0;

/** Entropy that never came before. */
export function fresh(lengthBytes: number): Uint8Array {
  const bytes = new Uint8Array(lengthBytes);
  random(bytes);
  bytes[0] = payloads++ & 0xff;
  return bytes;
}
