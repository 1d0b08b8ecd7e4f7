import http from 'node:http';
import https from 'node:https';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { SecureContextOptions } from 'node:tls';
import { withTimeout, type Clock } from '../base/clock.ts';
import type { Counters } from '../base/counters.ts';
import { EntropyError, errnoOf, isEntropyError, messageOf } from '../base/errors.ts';
import type { EventSink } from '../base/events.ts';
import { KIB } from '../base/units.ts';
import { PROBLEM_MEDIA_TYPE, problemOf } from '../contract/problem.ts';
import { ROUTES } from '../contract/routes.ts';
import { removeAddressFile, writeAddressFile } from './address-file.ts';
import type { EventStream } from './event-stream.ts';
import { HostNames } from './host-names.ts';
import type { HttpInterface } from './http-interface.ts';
import { answerUnreadable } from './http-listener.ts';
import { formatAddress, parseListenAddress } from './listen-address.ts';
import { writeRawProblem } from './raw-problem.ts';
import { TlsIdentity, type TlsIdentityOptions } from './tls-identity.ts';

export interface TcpListenerOptions {
  /** `HOST:PORT`, of the loopback unless there is TLS; port 0 chooses. */
  readonly listen: string;
  /** Undefined: plain HTTP. */
  readonly tls?: TlsIdentityOptions | undefined;
  /** Gets the file `address`. */
  readonly runtimeDirectory: string;
  readonly limits?: TcpListenerLimits;
}

/** What clients may take of the listener before they are anything more. Timeouts are Node's own timers. */
export interface TcpListenerLimits {
  /** Connections of every kind; one more than this is dropped unanswered. */
  readonly maximumConnections: number;
  readonly maximumHeaderBytes: number;
  readonly maximumRequestsPerConnection: number;
  /** Until the headers must have come, and until the whole request must have. */
  readonly headersTimeoutMs: number;
  readonly requestTimeoutMs: number;
  readonly handshakeTimeoutMs: number;
  readonly timeoutCheckMs: number;
  /** How long an idle connection is kept. */
  readonly keepAliveTimeoutMs: number;
  /** How long a plain connection may stand still, with a request unfinished or an answer unread. */
  readonly stillTimeoutMs: number;
  /** How long open connections may take to end when the listener closes. */
  readonly drainMs: number;
}

/** The feed answers 1,024 connections, and refuses some more with a reason before they are dropped without one. */
export const TCP_LISTENER_LIMITS: TcpListenerLimits = {
  maximumConnections: 1024 + 128,
  maximumHeaderBytes: 8 * KIB,
  maximumRequestsPerConnection: 1024,
  headersTimeoutMs: 5_000,
  requestTimeoutMs: 30_000,
  handshakeTimeoutMs: 5_000,
  timeoutCheckMs: 1_000,
  keepAliveTimeoutMs: 5_000,
  stillTimeoutMs: 30_000,
  drainMs: 2_000,
};

/** Takes over connections that ask for a WebSocket. */
export interface UpgradeTaker {
  /** Begins a session, or answers a problem; never throws. */
  upgrade(request: http.IncomingMessage, socket: Duplex, head: Buffer): void;
  /** Tells everybody to go, and resolves when all have, by themselves or because their time was up. */
  close(): Promise<void>;
}

export interface TcpListenerDependencies {
  readonly feed: UpgradeTaker;
  readonly routes: HttpInterface;
  readonly clock: Clock;
  readonly events: EventSink;
  readonly counters: Counters;
}

/** The daemon's TCP listener, with TLS or without: without, it serves the loopback alone. */
export class TcpListener {
  /** `HOST:PORT` as it was bound. */
  readonly address: string;
  readonly #options: TcpListenerOptions;
  readonly #dependencies: TcpListenerDependencies;
  readonly #secured: Secured;
  readonly #port: number;
  /** Every connection, whatever became of it: one in its TLS handshake is known to no HTTP server. */
  readonly #sockets: ReadonlySet<Socket>;
  #closing: Promise<void> | undefined;

  private constructor(
    place: { readonly host: string; readonly port: number },
    secured: Secured,
    options: TcpListenerOptions,
    dependencies: TcpListenerDependencies,
  ) {
    this.address = formatAddress(place);
    this.#port = place.port;
    this.#secured = secured;
    this.#options = options;
    this.#dependencies = dependencies;
    this.#sockets = socketsOf(secured.server);
  }

  /**
   * Listens, and writes where. Throws `usage`, `listen-needs-tls`, `listen-failed`, `runtime-dir-unusable`, and for the files of TLS
   * `tls-file-unreadable`, `tls-file-invalid`, `key-file-exposed`, `tls-pair-mismatched`, `tls-certificate-expired`.
   */
  static async open(
    options: TcpListenerOptions,
    dependencies: TcpListenerDependencies,
  ): Promise<TcpListener> {
    const { host, port } = parseListenAddress(options.listen, { hasTls: options.tls !== undefined });
    const secured = createServer(host, options, dependencies);
    try {
      const bound = { host, port: await listen(secured.server, host, port) };
      await writeAddressFile(options.runtimeDirectory, formatAddress(bound));
      return new TcpListener(bound, secured, options, dependencies);
    } catch (error) {
      secured.server.close();
      secured.identity?.close();
      throw error;
    }
  }

  /** Where a client connects, under a name that it can check the certificate for; without a path. */
  get url(): string {
    const scheme = this.#secured.identity === undefined ? 'ws' : 'wss';
    return `${scheme}://${formatAddress({ host: this.#secured.names.told, port: this.#port })}`;
  }

  /** Reads the TLS files again; what comes of it is told as an event. Does nothing without TLS. */
  reloadTls(): void {
    const { identity, setContext } = this.#secured;
    identity?.reload(setContext);
  }

  /** Accepts no more at once; resolves when every connection has ended. */
  close(): Promise<void> {
    this.#closing ??= this.#drain();
    return this.#closing;
  }

  async #drain(): Promise<void> {
    const { server, identity, stream } = this.#secured;
    const { feed, clock } = this.#dependencies;
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    const { drainMs } = this.#options.limits ?? TCP_LISTENER_LIMITS;
    const patience = withTimeout(clock, drainMs, closed, () => new Error('time is up')).catch(
      () => undefined,
    );
    identity?.close();
    await removeAddressFile(this.#options.runtimeDirectory);
    server.closeIdleConnections();
    stream.close();
    // Sessions bound their own end; who still holds a connection after that is dropped, in a TLS handshake or wherever.
    await feed.close();
    await patience;
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }
}

/** A server, and what of it depends on TLS. */
interface Secured {
  readonly server: http.Server;
  readonly stream: EventStream;
  /** Undefined: plain. */
  readonly identity: TlsIdentity | undefined;
  readonly names: HostNames;
  readonly setContext: (context: SecureContextOptions) => void;
}

function createServer(
  host: string,
  options: TcpListenerOptions,
  dependencies: TcpListenerDependencies,
): Secured {
  const limits = options.limits ?? TCP_LISTENER_LIMITS;
  if (options.tls === undefined) {
    const names = new HostNames({ host }, { certificate: () => undefined });
    const server = http.createServer(serverOptions(limits));
    const stream = serve(server, limits, names, dependencies);
    return { server, stream, identity: undefined, names, setContext: () => undefined };
  }
  return TlsIdentity.open(options.tls, dependencies, (context, identity) => {
    const names = new HostNames({ host }, { certificate: () => identity.leaf });
    const server = https.createServer({
      ...serverOptions(limits),
      ...context,
      handshakeTimeout: limits.handshakeTimeoutMs,
      requestCert: identity.asksClients,
      rejectUnauthorized: identity.asksClients,
    });
    server.on('tlsClientError', () => dependencies.counters.add('tls.handshakes.failed'));
    const stream = serve(server, limits, names, dependencies);
    return { server, stream, identity, names, setContext: (next) => server.setSecureContext(next) };
  });
}

function serverOptions(limits: TcpListenerLimits): http.ServerOptions {
  return {
    maxHeaderSize: limits.maximumHeaderBytes,
    headersTimeout: limits.headersTimeoutMs,
    requestTimeout: limits.requestTimeoutMs,
    keepAliveTimeout: limits.keepAliveTimeoutMs,
    connectionsCheckingInterval: limits.timeoutCheckMs,
  };
}

function serve(
  server: http.Server,
  limits: TcpListenerLimits,
  names: HostNames,
  { feed, routes, counters }: TcpListenerDependencies,
): EventStream {
  const stream = routes.eventStream();
  server.timeout = limits.stillTimeoutMs;
  server.maxConnections = limits.maximumConnections;
  server.maxRequestsPerSocket = limits.maximumRequestsPerConnection;
  server.on('request', (request, response) => {
    const refusal = refusalOf(request, names);
    if (refusal === undefined) routes.app.routing(request, response);
    else answerRefusal(response, refusal, counters);
  });
  server.on('clientError', (error, socket) => {
    // Who failed in the TLS handshake was told by its alert, and would never get a word of HTTP.
    if (/^ERR_(?:SSL|TLS)_|^ECONNRESET$/.test(errnoOf(error) ?? '')) socket.destroy();
    else answerUnreadable(error, socket);
  });
  server.on('upgrade', (request, socket, head) => {
    const refusal = refusalOf(request, names);
    if (refusal === undefined) {
      const taker = isEventStream(request) ? stream : feed;
      taker.upgrade(request, socket, head);
      return;
    }
    counters.add('feeder.connections.refused');
    socket.on('error', () => socket.destroy());
    writeRawProblem(socket, refusal);
  });
  return stream;
}

function isEventStream({ url }: http.IncomingMessage): boolean {
  return url?.split('?', 1)[0] === ROUTES.eventStream.url;
}

/** Those that are open now. */
function socketsOf(server: http.Server): ReadonlySet<Socket> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  return sockets;
}

function answerRefusal(response: http.ServerResponse, error: EntropyError, counters: Counters): void {
  counters.add('http.requests');
  counters.add('http.errors');
  response.writeHead(error.entry.http, { 'content-type': PROBLEM_MEDIA_TYPE, connection: 'close' });
  response.end(JSON.stringify(problemOf(error.code, error.message)));
}

function refusalOf(request: http.IncomingMessage, names: HostNames): EntropyError | undefined {
  try {
    names.assertOwn(request);
    return undefined;
  } catch (error) {
    if (isEntropyError(error)) return error;
    throw error;
  }
}

/** Resolves to the port that was bound. */
function listen(server: http.Server, host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.on('error', (error) => {
      reject(new EntropyError('listen-failed', `cannot listen on ${host}:${port}: ${messageOf(error)}`));
    });
    server.once('listening', () => {
      const bound = server.address();
      resolve(typeof bound === 'object' && bound !== null ? bound.port : port);
    });
    server.listen({ host, port });
  });
}
