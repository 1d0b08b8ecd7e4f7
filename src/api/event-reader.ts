import type { WebSocket } from 'ws';
import type { Clock, Timer } from '../base/clock.ts';
import type { Counters } from '../base/counters.ts';
import { ERRORS, isEntropyError, type ErrorCode } from '../base/errors.ts';
import type { EventRecord } from '../base/events.ts';
import type { ControlService } from '../contract/control-service.ts';
import { keptEvents } from './kept-events.ts';

export interface EventReaderOptions {
  /** What a reader may leave unread in this process before he is cut off, beside the kernel's socket buffer. */
  readonly maximumUnsentBytes: number;
  /** Time between two pings; a reader that has not answered the last one is cut off. */
  readonly pingIntervalMs: number;
  /** How long a closing reader may take before his connection is dropped. */
  readonly closeTimeoutMs: number;
}

export interface EventReaderDependencies {
  readonly service: ControlService;
  readonly clock: Clock;
  readonly counters: Counters;
  /** Whether the reader may read on; asked before each event. */
  readonly mayRead: () => boolean;
}

/** How many kept events are handed to the connection at a time. */
const EVENTS_PER_PAGE = 128;

/** RFC 6455 5.5: a control frame carries at most 125 bytes, two of which are the close code. */
const MAXIMUM_CLOSE_REASON_BYTES = 123;

/** One connected reader: what he left unread is bounded, and nobody waits for him. */
export class EventReader {
  readonly #webSocket: WebSocket;
  readonly #options: EventReaderOptions;
  readonly #dependencies: EventReaderDependencies;
  readonly #timers = new Set<Timer>();
  #unsubscribe: () => void = () => undefined;
  #answeredPing = true;
  #ending = false;

  constructor(webSocket: WebSocket, options: EventReaderOptions, dependencies: EventReaderDependencies) {
    this.#webSocket = webSocket;
    this.#options = options;
    this.#dependencies = dependencies;
  }

  /** Sends what is kept above `after`, then each new event; no event falls in between. */
  begin(after: number | undefined): void {
    const webSocket = this.#webSocket;
    // ws closes with the code of RFC 6455 that fits (1002, 1007, 1009) when a frame is malformed or too large.
    webSocket.on('error', () => this.terminateLater());
    webSocket.on('message', () => this.#fail('request-invalid', 'this stream takes no messages'));
    webSocket.on('pong', () => (this.#answeredPing = true));
    webSocket.on('ping', (data) => this.#pong(data));
    this.#pingLater();
    if (after === undefined) this.#follow();
    else this.#catchUp(after);
  }

  /** Starts the closing handshake; the connection is dropped if it is not finished in time. */
  end(code: number, reason: string): void {
    if (this.#ending) return;
    this.#ending = true;
    this.#unsubscribe();
    this.#webSocket.close(code, reason.slice(0, MAXIMUM_CLOSE_REASON_BYTES));
    this.terminateLater();
  }

  terminateLater(): void {
    this.#after(this.#options.closeTimeoutMs, () => this.terminate());
  }

  terminate(): void {
    this.#webSocket.terminate();
  }

  dispose(): void {
    this.#ending = true;
    this.#unsubscribe();
    for (const timer of this.#timers) timer.cancel();
    this.#timers.clear();
  }

  /** One page at a time, each when the one before it has left the process; the turn that finds none follows on. */
  #catchUp(position: number): void {
    if (this.#ending) return;
    try {
      const { records } = keptEvents(this.#dependencies.service, position, EVENTS_PER_PAGE);
      const last = records.at(-1);
      if (last === undefined) this.#follow();
      for (const record of records) {
        this.#webSocket.send(JSON.stringify(record), (failure) => {
          if (record === last && !(failure instanceof Error)) this.#catchUp(record.sequence);
        });
      }
    } catch (error) {
      if (isEntropyError(error)) this.#fail(error.code, error.message);
      else this.#fail('internal', 'the stream failed');
    }
  }

  #follow(): void {
    this.#unsubscribe = this.#dependencies.service.subscribe((record) => this.#send(record));
  }

  #send(record: EventRecord): void {
    if (this.#ending) return;
    if (!this.#dependencies.mayRead()) {
      this.#fail('credential-wrong', 'the token was revoked, or has expired');
      return;
    }
    if (this.#isBehind()) {
      this.#dependencies.counters.add('events.dropped');
      this.#fail('reader-slow', `read on after ${record.sequence - 1} at most`);
      return;
    }
    this.#webSocket.send(JSON.stringify(record));
  }

  /** Pongs count as unread too, or pings without reading would fill the memory. */
  #pong(data: Buffer): void {
    if (this.#isBehind()) this.#fail('reader-slow', 'pings were sent and their pongs not read');
    else if (!this.#ending) this.#webSocket.pong(data);
  }

  #isBehind(): boolean {
    return this.#webSocket.bufferedAmount > this.#options.maximumUnsentBytes;
  }

  #pingLater(): void {
    this.#after(this.#options.pingIntervalMs, () => {
      if (this.#ending) return;
      if (!this.#answeredPing) {
        this.#fail('reader-slow', 'the last ping was not answered');
        return;
      }
      this.#answeredPing = false;
      this.#webSocket.ping();
      this.#pingLater();
    });
  }

  #fail(code: ErrorCode, detail: string): void {
    this.end(ERRORS[code].webSocketClose, `${code}: ${detail}`);
  }

  #after(delayMs: number, callback: () => void): void {
    const timer = this.#dependencies.clock.after(delayMs, () => {
      this.#timers.delete(timer);
      callback();
    });
    this.#timers.add(timer);
  }
}
