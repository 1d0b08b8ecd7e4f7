import http from 'node:http';
import type { Duplex } from 'node:stream';
import type { Clock } from '../base/clock.ts';
import type { Counters } from '../base/counters.ts';
import { EntropyError, messageOf } from '../base/errors.ts';
import { KIB } from '../base/units.ts';
import { PROBLEM_MEDIA_TYPE, problemOf } from '../contract/problem.ts';
import { removeAddressFile, writeAddressFile } from './address-file.ts';
import { answerUnreadable } from './http-listener.ts';
import { formatAddress, isLoopbackHost, parseListenAddress } from './listen-address.ts';
import { writeRawProblem } from './raw-problem.ts';

export interface TcpListenerOptions {
  /** `HOST:PORT` of the loopback; port 0 chooses. */
  readonly listen: string;
  /** Gets the file `address`. */
  readonly runtimeDirectory: string;
  readonly limits?: TcpListenerLimits;
}

/** What clients may take of the listener before they are anything more. Timeouts are Node's own timers. */
export interface TcpListenerLimits {
  /** Connections of every kind; one more than this is dropped unanswered. */
  readonly maximumConnections: number;
  readonly maximumHeaderBytes: number;
  readonly headersTimeoutMs: number;
  readonly timeoutCheckMs: number;
  /** How long a plain connection may stand still. */
  readonly stillTimeoutMs: number;
  /** How long open connections may take to end when the listener closes. */
  readonly drainMs: number;
}

/** The feed answers 1,024 connections, and refuses some more with a reason before they are dropped without one. */
export const TCP_LISTENER_LIMITS: TcpListenerLimits = {
  maximumConnections: 1024 + 128,
  maximumHeaderBytes: 8 * KIB,
  headersTimeoutMs: 5_000,
  timeoutCheckMs: 1_000,
  stillTimeoutMs: 10_000,
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
  readonly clock: Clock;
  readonly counters: Counters;
}

/** The daemon's TCP listener. It serves the loopback alone: what others may reach needs TLS. */
export class TcpListener {
  /** `HOST:PORT` as it was bound. */
  readonly address: string;
  readonly #options: TcpListenerOptions;
  readonly #dependencies: TcpListenerDependencies;
  readonly #server: http.Server;
  #closing: Promise<void> | undefined;

  private constructor(
    address: string,
    server: http.Server,
    options: TcpListenerOptions,
    dependencies: TcpListenerDependencies,
  ) {
    this.address = address;
    this.#server = server;
    this.#options = options;
    this.#dependencies = dependencies;
  }

  /** Listens, and writes where. Throws `usage`, `listen-needs-tls`, `listen-failed`, `runtime-dir-unusable`. */
  static async open(
    options: TcpListenerOptions,
    dependencies: TcpListenerDependencies,
  ): Promise<TcpListener> {
    const { host, port } = parseListenAddress(options.listen);
    const server = createServer(options.limits ?? TCP_LISTENER_LIMITS, dependencies);
    const address = formatAddress({ host, port: await listen(server, host, port) });
    try {
      await writeAddressFile(options.runtimeDirectory, address);
    } catch (error) {
      server.close();
      throw error;
    }
    return new TcpListener(address, server, options, dependencies);
  }

  /** Accepts no more at once; resolves when every connection has ended. */
  close(): Promise<void> {
    this.#closing ??= this.#drain();
    return this.#closing;
  }

  async #drain(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    await removeAddressFile(this.#options.runtimeDirectory);
    const { drainMs } = this.#options.limits ?? TCP_LISTENER_LIMITS;
    const timeUp = this.#dependencies.clock.after(drainMs, () => this.#server.closeAllConnections());
    this.#server.closeIdleConnections();
    await this.#dependencies.feed.close();
    await closed;
    timeUp.cancel();
  }
}

function createServer(limits: TcpListenerLimits, { feed, counters }: TcpListenerDependencies): http.Server {
  const server = http.createServer(
    {
      maxHeaderSize: limits.maximumHeaderBytes,
      headersTimeout: limits.headersTimeoutMs,
      requestTimeout: limits.headersTimeoutMs,
      connectionsCheckingInterval: limits.timeoutCheckMs,
    },
    (request, response) => answerPlain(request, response, counters),
  );
  server.timeout = limits.stillTimeoutMs;
  server.maxConnections = limits.maximumConnections;
  server.on('clientError', answerUnreadable);
  server.on('upgrade', (request, socket, head) => {
    const refusal = refusalOf(request);
    if (refusal === undefined) {
      feed.upgrade(request, socket, head);
      return;
    }
    counters.add('feeder.connections.refused');
    socket.on('error', () => socket.destroy());
    writeRawProblem(socket, refusal);
  });
  return server;
}

/** No document is served here yet: the place where routes over TCP will be asked. */
function answerPlain(request: http.IncomingMessage, response: http.ServerResponse, counters: Counters): void {
  counters.add('http.requests');
  counters.add('http.errors');
  const error = refusalOf(request) ?? new EntropyError('route-unknown', 'only the feed is served here');
  response.writeHead(error.entry.http, { 'content-type': PROBLEM_MEDIA_TYPE, connection: 'close' });
  response.end(JSON.stringify(problemOf(error.code, error.message)));
}

/**
 * Browsers send an Origin with every WebSocket: no page of the web may talk to this listener. Some client libraries send one too, made
 * from the URL they connect to.
 */
function refusalOf({ headers }: http.IncomingMessage): EntropyError | undefined {
  if (!isLoopbackHost(headers.host))
    return new EntropyError('permission-denied', 'the Host header does not name this host');
  if (headers.origin !== undefined && !isSameOrigin(headers.origin, headers.host))
    return new EntropyError('permission-denied', 'web pages may not connect (a foreign Origin header came)');
  return undefined;
}

function isSameOrigin(origin: string, host: string | undefined): boolean {
  return host !== undefined && (origin === `http://${host}` || origin === `https://${host}`);
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
