import { spawn, type ChildProcess } from 'node:child_process';
import { Socket } from 'node:net';
import { wipe } from '../base/bytes.ts';
import type { Clock, Timer } from '../base/clock.ts';
import { EntropyError, messageOf } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import {
  CHUNK_LIMIT_BYTES,
  decodeReply,
  encodeRequest,
  OPERATIONS,
  REPLY_BYTES,
  type KernelReply,
  type Operation,
} from './kernel-writer-protocol.ts';

export type { KernelReply } from './kernel-writer-protocol.ts';

export interface KernelWriterOptions {
  /** The program, an absolute path: build/native/kernel-writer. */
  readonly path: string;
  /** How long one request may take; 5,000 ms. */
  readonly timeoutMs?: number;
  /** How long it may take to end by itself when closed; 2,000 ms. */
  readonly closeTimeoutMs?: number;
}

export interface KernelWriterDependencies {
  readonly clock: Clock;
  readonly log: Log;
  /** Called once, when it is lost without having been closed. To start another is the caller's decision. */
  readonly onLost?: (reason: string) => void;
}

interface Request {
  readonly operation: Operation;
  /** Holds payload: wiped once written, or once it never will be. */
  readonly frame: Uint8Array;
  readonly resolve: (reply: KernelReply) => void;
  readonly reject: (error: EntropyError) => void;
}

const NO_PAYLOAD = new Uint8Array(0);
const TIMEOUT_MS = 5_000;
const CLOSE_TIMEOUT_MS = 2_000;
const QUEUE_LIMIT = 64;
/** What of its standard error reaches the log, in a lifetime. It says a line at start, if anything. */
const STDERR_LIMIT_BYTES = 4_096;
const REQUEST_SOCKET = 3;

/**
 * The process that holds CAP_SYS_ADMIN (native/kernel-writer.c), and the requests to it, one at a time. It dies with
 * the JavaScript thread that started it. Once lost, every request is rejected with kernel-writer-lost.
 */
export class KernelWriterClient {
  readonly #timeoutMs: number;
  readonly #closeTimeoutMs: number;
  readonly #clock: Clock;
  readonly #onLost: ((reason: string) => void) | undefined;
  readonly #child: ChildProcess;
  readonly #socket: Socket | undefined;
  readonly #ended: Promise<void>;
  readonly #queue: Request[] = [];
  readonly #received = new Uint8Array(REPLY_BYTES);
  #receivedBytes = 0;
  #current: Request | undefined;
  #timer: Timer | undefined;
  #closing: Promise<void> | undefined;
  /** Why no request is taken any more; empty while they are. */
  #lost = '';

  /** Starts the process. @throws EntropyError kernel-writer-lost when that fails at once; most failures come later. */
  static start(options: KernelWriterOptions, dependencies: KernelWriterDependencies): KernelWriterClient {
    try {
      const stdio = ['ignore', 'ignore', 'pipe', 'pipe'] as const;
      const child = spawn(options.path, [], { cwd: '/', env: {}, stdio: [...stdio] });
      return new KernelWriterClient(options, { ...dependencies, child });
    } catch (error) {
      throw new EntropyError('kernel-writer-lost', `cannot be started: ${messageOf(error)}`, {
        cause: error,
      });
    }
  }

  private constructor(
    options: KernelWriterOptions,
    dependencies: KernelWriterDependencies & { readonly child: ChildProcess },
  ) {
    this.#timeoutMs = options.timeoutMs ?? TIMEOUT_MS;
    this.#closeTimeoutMs = options.closeTimeoutMs ?? CLOSE_TIMEOUT_MS;
    this.#clock = dependencies.clock;
    this.#onLost = dependencies.onLost;
    this.#child = dependencies.child;
    this.#socket = requestSocket(this.#child);
    this.#ended = this.#watchEnd();
    this.#socket?.on('data', (bytes) => this.#receive(bytes));
    // What broke shows as the end of the process, which is told with its reason.
    this.#socket?.on('error', () => undefined);
    logStandardError(this.#child, dependencies.log);
  }

  /** Of the process; undefined when it could not be started. */
  get pid(): number | undefined {
    return this.#child.pid;
  }

  /**
   * RNDADDENTROPY: mixes the bytes (1 to 4,096; copied) and asks the kernel to credit creditBits (0 to 8 a byte).
   * @throws RangeError outside these bounds.
   * @throws EntropyError kernel-writer-lost, engine-busy (64 requests wait)
   */
  add(bytes: Uint8Array, creditBits: number): Promise<KernelReply> {
    if (bytes.length < 1 || bytes.length > CHUNK_LIMIT_BYTES) {
      throw new RangeError(`a chunk is 1 to ${CHUNK_LIMIT_BYTES} bytes, not ${bytes.length}`);
    }
    if (!Number.isInteger(creditBits) || creditBits < 0 || creditBits > 8 * bytes.length) {
      throw new RangeError(`credit must be 0 to ${8 * bytes.length} bits, not ${creditBits}`);
    }
    return this.#request(OPERATIONS.add, bytes, creditBits);
  }

  /** RNDRESEEDCRNG. @throws EntropyError as add does */
  reseed(): Promise<KernelReply> {
    return this.#request(OPERATIONS.reseed, NO_PAYLOAD, 0);
  }

  /** RNDGETENTCNT alone; answers as soon as the process has given up its powers. @throws EntropyError as add does */
  query(): Promise<KernelReply> {
    return this.#request(OPERATIONS.query, NO_PAYLOAD, 0);
  }

  /**
   * Lets the request under way finish, refuses those that wait, and ends the process: by end of file, and by SIGKILL
   * when that takes too long. Settles once the process is gone; never rejects.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  #request(operation: Operation, payload: Uint8Array, creditBits: number): Promise<KernelReply> {
    if (this.#lost !== '') return Promise.reject(this.#lostError());
    if (this.#queue.length >= QUEUE_LIMIT) {
      return Promise.reject(
        new EntropyError('engine-busy', `${QUEUE_LIMIT} requests wait for the kernel-writer`),
      );
    }
    return new Promise((resolve, reject) => {
      this.#queue.push({ operation, frame: encodeRequest(operation, payload, creditBits), resolve, reject });
      this.#sendNext();
    });
  }

  #sendNext(): void {
    if (this.#current !== undefined) return;
    const request = this.#queue.shift();
    if (request === undefined) return;
    this.#current = request;
    this.#timer = this.#clock.after(this.#timeoutMs, () =>
      this.#lose(`no answer within ${this.#timeoutMs} ms`),
    );
    this.#socket?.write(request.frame, () => wipe(request.frame));
  }

  #receive(bytes: Uint8Array): void {
    if (this.#current === undefined || this.#receivedBytes + bytes.length > REPLY_BYTES) {
      this.#lose('it answered what was not asked');
      return;
    }
    this.#received.set(bytes, this.#receivedBytes);
    this.#receivedBytes += bytes.length;
    if (this.#receivedBytes === REPLY_BYTES) this.#answer(this.#current);
  }

  #answer(request: Request): void {
    const reply = decodeReply(this.#received, request.operation);
    if (reply === undefined) {
      this.#lose('its answer does not fit the request');
      return;
    }
    this.#timer?.cancel();
    this.#receivedBytes = 0;
    this.#current = undefined;
    request.resolve(reply);
    this.#sendNext();
  }

  /** Settles at the end of the process and of its streams, so that a last answer is read before. */
  #watchEnd(): Promise<void> {
    return new Promise((resolve) => {
      this.#child.once('error', (error) => {
        this.#lose(`cannot be started: ${error.message}`);
        if (this.#child.pid === undefined) resolve();
      });
      this.#child.once('close', (code, signal) => {
        this.#lose(signal === null ? `it ended with exit code ${code ?? -1}` : `it was ended by ${signal}`);
        resolve();
      });
    });
  }

  /** No request succeeds from here on. */
  #lose(reason: string): void {
    if (this.#lost !== '') {
      this.#refuse(this.#takeCurrent());
      return;
    }
    this.#lost = reason;
    this.#child.kill('SIGKILL');
    this.#refuse([...this.#takeCurrent(), ...this.#queue.splice(0)]);
    this.#onLost?.(reason);
  }

  #takeCurrent(): Request[] {
    this.#timer?.cancel();
    const current = this.#current;
    this.#current = undefined;
    return current === undefined ? [] : [current];
  }

  #refuse(requests: readonly Request[]): void {
    for (const request of requests) {
      wipe(request.frame);
      request.reject(this.#lostError());
    }
  }

  async #close(): Promise<void> {
    if (this.#lost === '') {
      this.#lost = 'it was closed';
      this.#refuse(this.#queue.splice(0));
      this.#socket?.end();
    }
    const kill = this.#clock.after(this.#closeTimeoutMs, () => this.#child.kill('SIGKILL'));
    await this.#ended;
    kill.cancel();
  }

  #lostError(): EntropyError {
    return new EntropyError('kernel-writer-lost', `the kernel-writer is not there: ${this.#lost}`);
  }
}

/** Out of descriptors, Node makes no streams at all; the process's error event then tells. */
function requestSocket(child: ChildProcess): Socket | undefined {
  const streams: unknown = child.stdio;
  const socket: unknown = Array.isArray(streams) ? streams[REQUEST_SOCKET] : undefined;
  return socket instanceof Socket ? socket : undefined;
}

function logStandardError(child: ChildProcess, log: Log): void {
  let remaining = STDERR_LIMIT_BYTES;
  child.stderr?.on('data', (bytes: Buffer) => {
    const text = bytes.subarray(0, remaining).toString('latin1');
    remaining -= text.length;
    for (const line of text.split('\n')) {
      if (line.trim() !== '') log.warn(line.trim());
    }
  });
}
