import type { IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { WebSocketServer, type WebSocket } from 'ws';
import { EntropyError, isEntropyError, messageOf } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { KIB } from '../base/units.ts';
import { ROUTES } from '../contract/routes.ts';
import { EventReader, type EventReaderDependencies, type EventReaderOptions } from './event-reader.ts';
import type { Authenticator, Caller } from './auth/authenticator.ts';
import { writeRawProblem } from './raw-problem.ts';
import { validatorOf } from './validation.ts';

export interface EventStreamOptions extends EventReaderOptions {
  readonly maximumStreams: number;
}

export const EVENT_STREAM_DEFAULTS: EventStreamOptions = {
  maximumStreams: 16,
  maximumUnsentBytes: 256 * KIB,
  pingIntervalMs: 30_000,
  closeTimeoutMs: 5_000,
};

export interface EventStreamDependencies extends Omit<EventReaderDependencies, 'mayRead'> {
  readonly authenticator: Authenticator;
  readonly log: Log;
}

interface Admitted {
  readonly caller: Caller;
  /** The position to read from; undefined for new events only. */
  readonly after: number | undefined;
}

/** Readers have nothing to say here: the smallest frame they send is already an error, a large one is not read. */
const MAXIMUM_INBOUND_BYTES = 128;

/** RFC 6455 7.4.1: 1001, an endpoint is going away. */
const GOING_AWAY = 1001;

/** The WebSocket of events, on whatever HTTP server hands it its upgrade requests. */
export class EventStream {
  readonly #options: EventStreamOptions;
  readonly #dependencies: EventStreamDependencies;
  readonly #server: WebSocketServer;
  readonly #readers = new Set<EventReader>();

  constructor(options: EventStreamOptions, dependencies: EventStreamDependencies) {
    this.#options = options;
    this.#dependencies = dependencies;
    this.#server = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      perMessageDeflate: false,
      autoPong: false,
      maxPayload: MAXIMUM_INBOUND_BYTES,
    });
    this.#server.on('wsClientError', (error, socket) => {
      writeRawProblem(
        socket,
        new EntropyError('request-invalid', `no WebSocket handshake: ${error.message}`),
      );
    });
  }

  get streams(): number {
    return this.#readers.size;
  }

  /** Takes an HTTP upgrade: a stream begins, or the socket gets a problem and is closed. */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on('error', () => socket.destroy());
    try {
      const admitted = this.#admit(request, socket);
      this.#server.handleUpgrade(request, socket, head, (webSocket) => this.#begin(webSocket, admitted));
    } catch (error) {
      writeRawProblem(socket, isEntropyError(error) ? error : this.#unexpected(error));
    }
  }

  /** Tells every reader that the daemon goes away; whoever does not close in time is dropped. */
  close(): void {
    for (const reader of this.#readers) reader.end(GOING_AWAY, 'the daemon stops');
  }

  /** Drops every reader at once. */
  terminate(): void {
    for (const reader of this.#readers) reader.terminate();
  }

  #admit(request: IncomingMessage, socket: Duplex): Admitted {
    const { authenticator } = this.#dependencies;
    const url = parsedUrl(request.url);
    if (url.pathname !== ROUTES.eventStream.url)
      throw new EntropyError('route-unknown', 'no WebSocket on this path');
    if (!(socket instanceof Socket)) throw new EntropyError('permission-denied', 'not a socket connection');
    const caller = authenticator.authorize(request, ROUTES.eventStream.access);
    const query = validQuery(queryOf(url));
    if ('error' in query) throw query.error;
    if (this.#readers.size >= this.#options.maximumStreams) {
      throw new EntropyError('server-busy', `${this.#readers.size} event streams are open`);
    }
    return { caller, after: afterOf(query.value) };
  }

  #begin(webSocket: WebSocket, { caller, after }: Admitted): void {
    const mayRead = (): boolean => this.#dependencies.authenticator.isStillIn(caller);
    const reader = new EventReader(webSocket, this.#options, { ...this.#dependencies, mayRead });
    this.#readers.add(reader);
    webSocket.on('close', () => {
      reader.dispose();
      this.#readers.delete(reader);
    });
    reader.begin(after);
  }

  #unexpected(error: unknown): EntropyError {
    this.#dependencies.log.error('event stream failed', { reason: messageOf(error) });
    return new EntropyError('internal', 'the stream failed; the log of the daemon says why');
  }
}

const validQuery = validatorOf(ROUTES.eventStream.schema.querystring, 'querystring');

function parsedUrl(path: string | undefined): URL {
  try {
    return new URL(path ?? '', 'http://localhost');
  } catch {
    throw new EntropyError('request-invalid', 'the URL cannot be read');
  }
}

/** A name given twice becomes a list, which no schema here takes. */
function queryOf(url: URL): Record<string, string | string[]> {
  const names = new Set(url.searchParams.keys());
  return Object.fromEntries(
    [...names].map((name) => {
      const values = url.searchParams.getAll(name);
      return [name, values.length === 1 ? (values[0] ?? '') : values];
    }),
  );
}

function afterOf(query: unknown): number | undefined {
  const given = typeof query === 'object' && query !== null && 'after' in query ? query.after : undefined;
  return typeof given === 'number' ? given : undefined;
}
