import type { InjectOptions } from 'fastify';
import { Authenticator } from '../../../src/api/auth/authenticator.ts';
import { PasswordCheck } from '../../../src/api/auth/password-check.ts';
import type { ControlApp } from '../../../src/api/control-app.ts';
import { Peers } from '../../../src/api/peers.ts';
import { buildServer } from '../../../src/api/server.ts';
import {
  VAPI_SESSION_LIMITS,
  VapiSessions,
  type VapiSessionsOptions,
} from '../../../src/api/vsphere/vapi-sessions.ts';
import { VsphereApi } from '../../../src/api/vsphere/vsphere-api.ts';
import type { AccountRole } from '../../../src/contract/access.ts';
import { DEFAULT_CONFIGURATION } from '../../../src/contract/parameters.ts';
import { ExternalPool } from '../../../src/service/external-pool.ts';
import { RequestSessions } from '../../../src/service/request-sessions.ts';
import { Accounts } from '../../../src/state/accounts.ts';
import { PasswordHasher } from '../../../src/state/password.ts';
import { NoneWrapping } from '../../../src/state/root-key.ts';
import { StateArchive } from '../../../src/state/state-archive.ts';
import { SimulatedFiles } from '../../durable/simulated-files.ts';
import { seededSource } from '../../fakes/seeded-stream.ts';
import { fakeCredentials, type FakeCredentials } from '../credentials-fake.ts';
import { FakeControlService, silentLog } from '../fake-control-service.ts';
import { FeedBench, type FeedBenchOptions } from '../feed-bench.ts';
import { sampleExternal } from '../sample-external.ts';

export const PASSWORD = 'correct horse';
const CAPACITY_BYTES = 524_288 + 4_194_304;

/** The vSphere-shaped interface over the real admission of feeders, with a fake engine behind it and time that stands still. */
export class VsphereBench {
  readonly feed: FeedBench;
  readonly accounts: Accounts;
  readonly requests: RequestSessions;
  readonly pool: ExternalPool;
  readonly sessions: VapiSessions;
  readonly app: ControlApp;
  readonly credentials: FakeCredentials;
  readonly #hasher: PasswordHasher;
  isEnabled = true;

  private constructor(feed: FeedBench, archive: StateArchive, limits: VapiSessionsOptions) {
    const { clock, counters, admission, enrolment } = feed;
    const random = seededSource('vsphere bench');
    this.feed = feed;
    this.accounts = new Accounts({ archive, clock });
    this.#hasher = new PasswordHasher(
      { cost: { costLog2: 10, blockSize: 8, parallelism: 1 }, maximumWaiting: 8 },
      { random },
    );
    this.requests = new RequestSessions({ admission, random, clock });
    this.pool = new ExternalPool({
      ...{ admission, enrolment, random, counters },
      sessions: this.requests,
      external: () => Promise.resolve(this.#external()),
      configuration: () => DEFAULT_CONFIGURATION,
    });
    this.sessions = new VapiSessions(limits, { accounts: this.accounts, random, clock });
    const credentials = fakeCredentials(clock, counters);
    this.credentials = credentials;
    const { accounts, sessions, pool } = this;
    const passwords = new PasswordCheck({ ...credentials, accounts, passwords: this.#hasher });
    const vsphere = new VsphereApi(
      { hostName: 'esx1.example' },
      { ...credentials, pool, passwords, sessions },
    );
    const authenticator = new Authenticator({ ...credentials, peers: new Peers() });
    const service = new FakeControlService();
    this.app = buildServer(
      { openApiFile: undefined },
      { service, authenticator, counters, vsphere, log: silentLog },
    );
  }

  static async open(
    options: FeedBenchOptions & { readonly sessions?: Partial<VapiSessionsOptions> } = {},
  ): Promise<VsphereBench> {
    const random = seededSource('vsphere state');
    const archive = await StateArchive.open(
      { mode: 'NONE' },
      { files: new SimulatedFiles(), random, wrappings: [new NoneWrapping({ random })] },
    );
    const feed = await FeedBench.open(options);
    const bench = new VsphereBench(feed, archive, { ...VAPI_SESSION_LIMITS, ...options.sessions });
    bench.setRoom(CAPACITY_BYTES);
    return bench;
  }

  /** What both caches would take now. */
  setRoom(bytes: number): void {
    this.feed.port.roomBytes = bytes;
    this.feed.admission.roomChanged(bytes);
  }

  async account(name: string, role: AccountRole): Promise<void> {
    const password = await this.#hasher.hash(Buffer.from(PASSWORD));
    await this.accounts.add(name, { description: '', feeder: undefined, password });
    await this.accounts.change(name, { role });
  }

  /** Logs in, and gives the token. */
  async token(name: string): Promise<string> {
    const answer = await this.app.inject({ method: 'POST', url: '/api/session', headers: basic(name) });
    return answer.json();
  }

  request(options: InjectOptions) {
    return this.app.inject({ remoteAddress: '192.0.2.7', ...options });
  }

  async close(): Promise<void> {
    await this.requests.close();
    await this.app.close();
    await this.feed.close();
  }

  #external() {
    const { roomBytes } = this.feed.port;
    const cachedBytes = CAPACITY_BYTES - roomBytes;
    return sampleExternal({
      enabled: this.isEnabled,
      memoryBytes: Math.min(cachedBytes, 524_288),
      storedBytes: Math.max(0, cachedBytes - 524_288),
      roomBytes,
    });
  }
}

export function basic(name: string, password = PASSWORD): { authorization: string } {
  return { authorization: `Basic ${Buffer.from(`${name}:${password}`).toString('base64')}` };
}
