import type { ClientRequestArgs, IncomingMessage } from 'node:http';
import type { TLSSocket } from 'node:tls';
import { WebSocket } from 'ws';
import { type EntropyError, isEntropyError, isErrorCode } from '../base/errors.ts';
import { KIB } from '../base/units.ts';
import { FEED_SUBPROTOCOL, MESSAGE_MAXIMUM_BYTES } from '../protocol/limits.ts';
import { connectTls, type FeedTls } from './feed-tls.ts';
import { HostError } from './host-error.ts';

/** What a socket tells. `ended` comes once, and nothing after it. */
export interface SocketEvents {
  message(bytes: Buffer, isText: boolean): void;
  ended(error: EntropyError): void;
}

const MAXIMUM_REFUSAL_BYTES = 4 * KIB;
const NORMAL_CLOSURE = 1000;

export interface FeedSocketOptions {
  readonly url: string;
  /** How the host of a wss: URL is recognised; undefined for ws:. */
  readonly tls: FeedTls | undefined;
}

/** One WebSocket to the host: messages of at most one frame, and every way to end as one error. */
export class FeedSocket {
  readonly #url: string;
  readonly #events: SocketEvents;
  readonly #socket: WebSocket;
  #connecting: TLSSocket | undefined;
  #ended = false;

  constructor(options: FeedSocketOptions, events: SocketEvents) {
    this.#url = options.url;
    this.#events = events;
    this.#socket = new WebSocket(options.url, [FEED_SUBPROTOCOL], {
      perMessageDeflate: false,
      maxPayload: MESSAGE_MAXIMUM_BYTES,
      followRedirects: false,
      ...this.#secured(options.tls),
    });
    this.#listen(this.#socket);
  }

  sendText(message: Uint8Array): void {
    this.#socket.send(message, { binary: false });
  }

  sendBinary(message: Uint8Array): void {
    this.#socket.send(message);
  }

  /** Says goodbye to the WebSocket; `ended` follows. */
  close(): void {
    this.#socket.close(NORMAL_CLOSURE);
  }

  /** Ends it at once, with this as the reason when it has no other yet. */
  terminate(error: EntropyError): void {
    this.#end(error);
    this.#socket.terminate();
    this.#connecting?.destroy();
  }

  /** The WebSocket gets its connection when the host is recognised: it sends nothing to a stranger. */
  #secured(tls: FeedTls | undefined): Pick<ClientRequestArgs, 'createConnection'> {
    if (tls === undefined) return {};
    return {
      createConnection: ({ host, port }, done) => {
        const place = { host: host ?? '', port: Number(port) };
        this.#connecting = connectTls(tls, place, (error, socket) => {
          if (!this.#ended) done(error, socket);
        });
        return undefined;
      },
    };
  }

  #listen(socket: WebSocket): void {
    socket.on('message', (data, isBinary) => {
      if (!this.#ended && Buffer.isBuffer(data)) this.#events.message(data, !isBinary);
    });
    socket.on('unexpected-response', (_request, response) => {
      void refusalIn(response).then((error) => this.terminate(error));
    });
    socket.on('error', (error) => this.#end(isEntropyError(error) ? error : this.#lost(error.message)));
    socket.on('close', (code, reason) => this.#end(this.#closed(code, reason.toString('utf8'))));
  }

  #end(error: EntropyError): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#events.ended(error);
  }

  /** The host closes with `code: detail`, in the words of the table; anything else is a lost connection. */
  #closed(closeCode: number, reason: string): EntropyError {
    const [code = '', detail = ''] = reason.split(/: (.*)/s, 2);
    if (isErrorCode(code)) return new HostError(code, detail === '' ? 'the host ended the session' : detail);
    return this.#lost(`it was closed with ${closeCode}${reason === '' ? '' : ` (${reason})`}`);
  }

  #lost(why: string): EntropyError {
    return new HostError('feed-connection-lost', `no connection to ${this.#url}: ${why}`);
  }
}

/** A host that does not switch to WebSocket says why in a problem document (RFC 9457). */
async function refusalIn(response: IncomingMessage): Promise<EntropyError> {
  const unexplained = `the host answered with HTTP status ${String(response.statusCode)}`;
  try {
    let text = '';
    for await (const chunk of response.setEncoding('utf8')) {
      text += String(chunk);
      if (text.length > MAXIMUM_REFUSAL_BYTES) break;
    }
    const problem: unknown = JSON.parse(text);
    if (typeof problem === 'object' && problem !== null && 'code' in problem) {
      const { code } = problem;
      if (typeof code === 'string' && isErrorCode(code)) return new HostError(code, unexplained);
    }
  } catch {
    // A body that is none, or is cut off, says no more than the status.
  }
  return new HostError('feed-connection-lost', unexplained);
}
