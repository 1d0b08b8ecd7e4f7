import http from 'node:http';
import type { Duplex } from 'node:stream';
import { errnoOf, EntropyError } from '../base/errors.ts';
import { KIB } from '../base/units.ts';
import type { EventStream } from './event-stream.ts';
import { writeRawProblem } from './raw-problem.ts';
import type { ControlApp } from './control-app.ts';

/** Bounds of one listener: what a client may take of it, however it behaves. Timeouts are Node's own timers. */
export interface ListenerLimits {
  readonly maximumConnections: number;
  readonly maximumRequestsPerConnection: number;
  readonly maximumHeaderBytes: number;
  /** Until the headers must have come, and until the whole request must have. */
  readonly headersTimeoutMs: number;
  readonly requestTimeoutMs: number;
  /** How often both are checked. */
  readonly timeoutCheckMs: number;
  /** How long an idle connection is kept. */
  readonly keepAliveTimeoutMs: number;
  /** How long a connection may stand still with an answer unread. */
  readonly stillTimeoutMs: number;
}

export const LISTENER_LIMITS: ListenerLimits = {
  maximumConnections: 128,
  maximumRequestsPerConnection: 64,
  maximumHeaderBytes: 8 * KIB,
  headersTimeoutMs: 10_000,
  requestTimeoutMs: 30_000,
  timeoutCheckMs: 2_000,
  keepAliveTimeoutMs: 5_000,
  stillTimeoutMs: 30_000,
};

/** A bounded HTTP server in front of the routes and the event stream; it does not listen yet. */
export function createListener(app: ControlApp, stream: EventStream, limits: ListenerLimits): http.Server {
  const server = http.createServer(
    {
      maxHeaderSize: limits.maximumHeaderBytes,
      headersTimeout: limits.headersTimeoutMs,
      requestTimeout: limits.requestTimeoutMs,
      connectionsCheckingInterval: limits.timeoutCheckMs,
      keepAliveTimeout: limits.keepAliveTimeoutMs,
    },
    (request, response) => app.routing(request, response),
  );
  server.timeout = limits.stillTimeoutMs;
  server.maxConnections = limits.maximumConnections;
  server.maxRequestsPerSocket = limits.maximumRequestsPerConnection;
  server.on('upgrade', (request, socket, head) => stream.upgrade(request, socket, head));
  server.on('clientError', answerUnreadable);
  return server;
}

/** What the HTTP parser refuses never becomes a request: answered here, from the same table. */
export function answerUnreadable(error: Error, socket: Duplex): void {
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  writeRawProblem(socket, refusalOf(errnoOf(error)));
}

function refusalOf(parserCode: string | undefined): EntropyError {
  if (parserCode === 'HPE_HEADER_OVERFLOW')
    return new EntropyError('payload-too-large', 'the headers are too large');
  if (parserCode === 'ERR_HTTP_REQUEST_TIMEOUT') {
    return new EntropyError('request-invalid', 'the request did not arrive in time');
  }
  return new EntropyError('request-invalid', 'this is not HTTP/1.1');
}
