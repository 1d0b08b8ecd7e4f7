import type { Duplex } from 'node:stream';
import type { WebSocket } from 'ws';
import { EntropyError, ERRORS } from '../base/errors.ts';
import type { CloseReason } from '../protocol/frame-payloads.ts';

export interface FeedSocketOptions {
  /** What the peer may leave unread in this process. */
  readonly maximumUnsentBytes: number;
}

const NORMAL_CLOSURE = 1000;
/** RFC 6455 5.5: a control frame carries at most 125 bytes, two of which are the close code. */
const MAXIMUM_CLOSE_REASON_BYTES = 123;

export interface FeedSocketDependencies {
  readonly webSocket: WebSocket;
  /** What it runs over. */
  readonly stream: Duplex;
}

/** The host's end of a WebSocket. What it sends is bounded by what the peer reads, and to an ended one nothing is sent. */
export class FeedSocket {
  readonly #options: FeedSocketOptions;
  readonly #webSocket: WebSocket;
  readonly #stream: Duplex;
  #isGathering = false;

  constructor(options: FeedSocketOptions, dependencies: FeedSocketDependencies) {
    this.#options = options;
    this.#webSocket = dependencies.webSocket;
    this.#stream = dependencies.stream;
  }

  get isOpen(): boolean {
    return this.#webSocket.readyState === this.#webSocket.OPEN;
  }

  sendText(message: Buffer): void {
    this.#webSocket.send(message.toString('latin1'));
  }

  send(message: Buffer): void {
    this.#gather();
    this.#webSocket.send(message);
  }

  pong(data: Buffer): void {
    this.assertRead();
    if (this.isOpen) this.#webSocket.pong(data);
  }

  /** What is sent while one batch of answers is dealt with leaves in one write: a system call costs more than a receipt does. */
  #gather(): void {
    if (this.#isGathering) return;
    this.#isGathering = true;
    this.#stream.cork();
    process.nextTick(() => {
      this.#isGathering = false;
      this.#stream.uncork();
    });
  }

  /** Throws `reader-slow` when too much of what was sent is still here. */
  assertRead(): void {
    if (this.#webSocket.bufferedAmount > this.#options.maximumUnsentBytes)
      throw new EntropyError('reader-slow', 'what the host sends is not read');
  }

  /** Reads the peer, or lets what it sends wait in the kernel. */
  read(isWanted: boolean): void {
    if (!isWanted) this.#webSocket.pause();
    else if (this.#webSocket.isPaused) this.#webSocket.resume();
  }

  /** Says why and waits for the peer's own close, which is read whatever waits before it. */
  close(code: CloseReason, detail: string): void {
    this.read(true);
    const reason = code === 'end' ? code : `${code}: ${detail}`;
    this.#webSocket.close(closeCodeOf(code), cutTo(reason, MAXIMUM_CLOSE_REASON_BYTES));
  }

  terminate(): void {
    this.#webSocket.terminate();
  }
}

function closeCodeOf(code: CloseReason): number {
  return code === 'end' ? NORMAL_CLOSURE : ERRORS[code].webSocketClose;
}

/** The beginning of a text that has at most so many bytes in UTF-8, whole characters alone. */
export function cutTo(text: string, maximumBytes: number): string {
  const { read } = new TextEncoder().encodeInto(text, new Uint8Array(maximumBytes));
  return text.slice(0, read);
}
