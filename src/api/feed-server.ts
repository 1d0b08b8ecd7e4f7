import type { IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { WebSocketServer, type WebSocket } from 'ws';
import type { Clock } from '../base/clock.ts';
import type { Counters } from '../base/counters.ts';
import { EntropyError, isEntropyError, messageOf, type ErrorCode } from '../base/errors.ts';
import type { EventSink } from '../base/events.ts';
import type { Log } from '../base/log.ts';
import { KIB } from '../base/units.ts';
import type { RandomSource } from '../base/random.ts';
import type { HostHello } from '../protocol/handshake-messages.ts';
import { FEED_PATH, FEED_SUBPROTOCOL, MESSAGE_MAXIMUM_BYTES } from '../protocol/limits.ts';
import type { FeederAdmission } from '../service/feeder-admission.ts';
import { FeederNews } from '../service/feeder-news.ts';
import type { LinkPeer } from '../service/link-watch.ts';
import { RateLimit } from '../service/rate-limit.ts';
import { FeedSession } from './feed-session.ts';
import { FeedStrangers } from './feed-strangers.ts';
import { formatAddress } from './listen-address.ts';
import { writeRawProblem } from './raw-problem.ts';
import type { UpgradeTaker } from './tcp-listener.ts';

export interface FeedServerOptions {
  readonly maximumConnections: number;
  /** Connections that have proven nothing yet; one more takes the place of the oldest. */
  readonly maximumUnproven: number;
  /** Parts that one message may come in. */
  readonly maximumFragments: number;
  /** Frames of one feeder that may be under way to the caches. */
  readonly maximumInFlight: number;
  /** What a feeder may leave unread in this process. */
  readonly maximumUnsentBytes: number;
  /** How long a closing connection may take before it is dropped. */
  readonly closeTimeoutMs: number;
}

export const FEED_SERVER_DEFAULTS: FeedServerOptions = {
  maximumConnections: 1024,
  maximumUnproven: 64,
  maximumFragments: 16,
  maximumInFlight: 32,
  maximumUnsentBytes: 1024 * KIB,
  closeTimeoutMs: 2_000,
};

export interface FeedServerDependencies {
  readonly admission: FeederAdmission;
  readonly random: RandomSource;
  readonly clock: Clock;
  readonly events: EventSink;
  readonly counters: Counters;
  readonly log: Log;
}

/** Refusals of strangers that are told as events: more would push out what matters. All of them are counted. */
const TOLD_REFUSALS = { perSecond: 0.1, burst: 10 };

/** The WebSocket server of the feed, on the listener that hands it upgrade requests. */
export class FeedServer implements UpgradeTaker {
  readonly #options: FeedServerOptions;
  readonly #dependencies: FeedServerDependencies;
  readonly #server: WebSocketServer;
  readonly #sessions = new Set<FeedSession>();
  readonly #strangers: FeedStrangers;
  readonly #toldRefusals: RateLimit;
  readonly #news: FeederNews;
  /** Upgrades that wait for the hello to be made. */
  #entering = 0;
  #closing = false;

  constructor(options: FeedServerOptions, dependencies: FeedServerDependencies) {
    this.#options = options;
    this.#dependencies = dependencies;
    this.#toldRefusals = new RateLimit(TOLD_REFUSALS, dependencies.clock.monotonicMs());
    this.#strangers = new FeedStrangers({ maximum: options.maximumUnproven });
    this.#news = new FeederNews(dependencies);
    this.#server = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      perMessageDeflate: false,
      autoPong: false,
      maxPayload: MESSAGE_MAXIMUM_BYTES,
      maxFragments: options.maximumFragments,
      handleProtocols: (offered) => (offered.has(FEED_SUBPROTOCOL) ? FEED_SUBPROTOCOL : false),
    });
    this.#server.on('wsClientError', (error, socket) => {
      this.#refuse(socket, new EntropyError('request-invalid', `no WebSocket handshake: ${error.message}`));
    });
  }

  get connections(): number {
    return this.#sessions.size;
  }

  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on('error', () => socket.destroy());
    this.#enter(request, socket, head).catch((error: unknown) => {
      this.#refuse(socket, isEntropyError(error) ? error : this.#unexpected(error));
    });
  }

  /** Tells every feeder that the daemon goes; resolves when all are gone. Sessions end with their signed record. */
  async close(): Promise<void> {
    this.#closing = true;
    for (const session of this.#sessions) session.end('engine-stopped', 'the daemon stops');
    await Promise.all([...this.#sessions].map((session) => session.closed));
  }

  async #enter(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    this.#assertRoom(request);
    this.#entering++;
    let hello: HostHello;
    try {
      hello = await this.#dependencies.admission.hello();
    } finally {
      this.#entering--;
    }
    if (this.#closing) throw new EntropyError('engine-stopped', 'the daemon stops');
    this.#server.handleUpgrade(request, socket, head, (webSocket) => this.#begin(webSocket, socket, hello));
  }

  #assertRoom(request: IncomingMessage): void {
    const { maximumConnections } = this.#options;
    if (this.#closing) throw new EntropyError('engine-stopped', 'the daemon stops');
    if (request.url !== FEED_PATH) throw new EntropyError('route-unknown', 'no WebSocket on this path');
    if (!offeredProtocols(request).includes(FEED_SUBPROTOCOL))
      throw new EntropyError('request-invalid', `the subprotocol ${FEED_SUBPROTOCOL} was not offered`);
    if (this.#sessions.size + this.#entering >= maximumConnections)
      throw new EntropyError('server-busy', `${maximumConnections} feed connections are open`);
  }

  #begin(webSocket: WebSocket, socket: Duplex, hello: HostHello): void {
    try {
      const session = this.#session(webSocket, socket, hello);
      this.#sessions.add(session);
      this.#strangers.add(session);
      session.begin();
    } catch (error) {
      // It is a WebSocket by now: no answer in HTTP would be understood.
      this.#unexpected(error);
      webSocket.terminate();
    }
  }

  #session(webSocket: WebSocket, stream: Duplex, hello: HostHello): FeedSession {
    const peer = peerOf(stream);
    const session: FeedSession = new FeedSession(
      { ...this.#options, hello, peer },
      {
        ...this.#dependencies,
        webSocket,
        stream,
        proven: () => this.#strangers.remove(session),
        refused: (code, detail, feeder) => this.#tell(code, detail, peer.address, feeder),
        ending: () => this.#strangers.leaves(session),
        closed: () => {
          this.#strangers.remove(session);
          this.#sessions.delete(session);
        },
      },
    );
    return session;
  }

  #refuse(socket: Duplex, error: EntropyError): void {
    this.#tell(error.code, error.message, peerOf(socket).address, undefined);
    writeRawProblem(socket, error);
  }

  /** Strangers may be many, and few refusals of theirs are told; a feeder's are told unless it goes on and on. */
  #tell(code: ErrorCode, detail: string, address: string, feeder: string | undefined): void {
    if (feeder !== undefined) {
      this.#news.tell('feeder.refused', feeder, { code, detail, address });
      return;
    }
    const { counters, events, clock } = this.#dependencies;
    counters.add('feeder.connections.refused');
    if (this.#toldRefusals.take(1, clock.monotonicMs()))
      events.emit('feeder.refused', { code, detail, address });
  }

  #unexpected(error: unknown): EntropyError {
    this.#dependencies.log.error('feed upgrade failed', { reason: messageOf(error) });
    return new EntropyError('internal', 'the connection failed; the log of the daemon says why');
  }
}

function offeredProtocols({ headers }: IncomingMessage): string[] {
  return (headers['sec-websocket-protocol'] ?? '').split(',').map((name) => name.trim());
}

function peerOf(socket: Duplex): LinkPeer {
  if (!(socket instanceof Socket) || socket.remoteAddress === undefined)
    return { address: 'unknown', ipAddress: 'unknown' };
  const { remoteAddress: ipAddress, remotePort: port = 0 } = socket;
  return { address: formatAddress({ host: ipAddress, port }), ipAddress };
}
