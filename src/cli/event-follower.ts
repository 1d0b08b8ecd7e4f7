import type { IncomingMessage } from 'node:http';
import { Check } from 'typebox/schema';
import { WebSocket } from 'ws';
import { EntropyError, isErrorCode, messageOf } from '../base/errors.ts';
import { KIB } from '../base/units.ts';
import { EventReportSchema, ProblemSchema, type EventReport } from '../contract/outputs.ts';
import type { DaemonPlace } from './daemon-place.ts';
import { ROUTES } from '../contract/routes.ts';

export interface FollowOptions {
  readonly place: DaemonPlace;
  /** Events with a higher sequence only. */
  readonly after: number;
  readonly interrupted: AbortSignal;
}

const MAXIMUM_EVENT_BYTES = 64 * KIB;
const HANDSHAKE_TIMEOUT_MS = 10_000;

/**
 * Delivers each event above `after`, kept or new, until interrupted. Throws what ended the stream otherwise:
 * `daemon-unreachable`, or the error whose close code the daemon gave.
 */
export function followEvents(options: FollowOptions, deliver: (event: EventReport) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const { url, options: connection } = options.place.webSocket(
      `${ROUTES.eventStream.url}?after=${options.after}`,
    );
    const webSocket = new WebSocket(url, {
      ...connection,
      perMessageDeflate: false,
      maxPayload: MAXIMUM_EVENT_BYTES,
      handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
    });
    const interrupt = (): void => {
      resolve();
      webSocket.terminate();
    };
    const fail = (error: EntropyError): void => {
      reject(error);
      webSocket.terminate();
    };
    options.interrupted.addEventListener('abort', interrupt, { once: true });
    webSocket.on('message', (data) => {
      const event = eventOf(data);
      if (event === undefined) fail(new EntropyError('answer-invalid', 'an event has another shape'));
      else deliver(event);
    });
    webSocket.on('unexpected-response', (_request, response) => {
      problemIn(response).then(fail, (error: unknown) =>
        fail(unreachable(options.place.name, messageOf(error))),
      );
    });
    webSocket.on('error', (error) => fail(unreachable(options.place.name, messageOf(error))));
    webSocket.on('close', (_code, reason) => {
      options.interrupted.removeEventListener('abort', interrupt);
      reject(closeError(options.place.name, reason.toString('utf8')));
    });
  });
}

function eventOf(data: WebSocket.RawData): EventReport | undefined {
  try {
    const event: unknown = JSON.parse(Buffer.isBuffer(data) ? data.toString('utf8') : '');
    return Check(EventReportSchema, event) ? event : undefined;
  } catch {
    return undefined;
  }
}

async function problemIn(response: IncomingMessage): Promise<EntropyError> {
  let text = '';
  for await (const chunk of response.setEncoding('utf8')) {
    text += String(chunk);
    if (text.length > MAXIMUM_EVENT_BYTES) break;
  }
  const problem: unknown = JSON.parse(text);
  return Check(ProblemSchema, problem)
    ? new EntropyError(problem.code, problem.detail)
    : new EntropyError('answer-invalid', 'the refusal is no problem of this version');
}

/** The daemon closes with `code: detail`, in the words of the table. */
function closeError(place: string, reason: string): EntropyError {
  const [code = '', detail = ''] = reason.split(': ', 2);
  return isErrorCode(code)
    ? new EntropyError(code, detail)
    : unreachable(place, reason || 'the stream ended');
}

function unreachable(place: string, why: string): EntropyError {
  return new EntropyError('daemon-unreachable', `no event stream from ${place} (${why})`);
}
