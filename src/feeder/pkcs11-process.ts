import { type ChildProcess, spawn } from 'node:child_process';
import { Duplex } from 'node:stream';
import { wipe } from '../base/bytes.ts';
import { type Clock, type Timer, withTimeout } from '../base/clock.ts';
import { EntropyError, type ErrorCode } from '../base/errors.ts';
import {
  ANSWER_HEADER_BYTES,
  type AnswerHeader,
  CHILD_DESCRIPTOR,
  encodeRequest,
  LIFELINE_DESCRIPTOR,
  MAXIMUM_DRAW_BYTES,
  parseAnswerHeader,
  parseFault,
} from './pkcs11-messages.ts';

export interface Pkcs11ProcessOptions {
  /** Program and arguments of the child. */
  readonly command: readonly string[];
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** How long one answer may take, the first (module loaded, token opened) included. */
  readonly timeoutMs: number;
}

/** How a child fails: it says why, it says why and another would fare no better, or it goes wrong without a word. */
export type Pkcs11FailureKind = 'told' | 'final' | 'broken';

export class Pkcs11ProcessError extends EntropyError {
  readonly kind: Pkcs11FailureKind;

  constructor(code: ErrorCode, detail: string, kind: Pkcs11FailureKind) {
    super(code, detail);
    this.kind = kind;
  }
}

/** How long a child that was told to end may take for its goodbye to the token. */
const END_PATIENCE_MS = 2_000;

interface Waiting {
  readonly kind: 'ready' | 'bytes';
  readonly target: Uint8Array;
  readonly timer: Timer;
  readonly resolve: () => void;
  readonly reject: (error: Pkcs11ProcessError) => void;
}

/**
 * One child from its start to its end, one request at a time. Any fault, wrong answer or silence kills it with its whole process group:
 * what it would say later must not be taken for the answer to another request.
 */
export class Pkcs11Process {
  readonly #timeoutMs: number;
  readonly #clock: Clock;
  readonly #child: ChildProcess;
  readonly #stream: Duplex;
  readonly #lifeline: Duplex;
  readonly #header = Buffer.alloc(ANSWER_HEADER_BYTES);
  readonly #body = Buffer.alloc(MAXIMUM_DRAW_BYTES);
  readonly #exited: Promise<void>;
  #answer: AnswerHeader | undefined;
  #receivedBytes = 0;
  #waiting: Waiting | undefined;
  #failure: Pkcs11ProcessError | undefined;
  /** A PIN is being tried. */
  #isLoggingIn = false;
  #closed = false;

  constructor(options: Pkcs11ProcessOptions, dependencies: { readonly clock: Clock }) {
    this.#timeoutMs = options.timeoutMs;
    this.#clock = dependencies.clock;
    const [program = '', ...args] = options.command;
    this.#child = spawn(program, args, {
      // Its own group: the terminal's Ctrl-C is the feeder's to handle, and a library's own children end with it.
      detached: true,
      stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'],
      env: options.environment,
    });
    // A program that ends in a hurry takes a child along that hangs in its library.
    process.once('exit', this.#kill);
    this.#exited = this.#watch();
    const [stream, lifeline] = [CHILD_DESCRIPTOR, LIFELINE_DESCRIPTOR].map((at) => this.#child.stdio.at(at));
    if (!(stream instanceof Duplex && lifeline instanceof Duplex))
      throw new TypeError('the child has no descriptor for its messages');
    this.#stream = stream;
    this.#lifeline = lifeline;
    // Nothing comes; its end is seen only by reading.
    lifeline.on('error', () => undefined).resume();
    stream.on('data', (chunk: Buffer) => this.#take(chunk));
    // Broken by the child's end, which is told by its exit.
    stream.on('error', () => undefined);
  }

  /** The child's process id while it runs. */
  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** Resolves once token and session stand. */
  ready(): Promise<void> {
    return this.#wait('ready', new Uint8Array(0));
  }

  /** Fills the target, 1 to 65,536 bytes. */
  async draw(target: Uint8Array): Promise<void> {
    const answered = this.#wait('bytes', target);
    if (this.#failure === undefined) this.#stream.write(encodeRequest(target.length));
    await answered;
  }

  /** Lets the child say goodbye to its token, and kills it when it does not end soon; one that even then stays is left behind. */
  async end(): Promise<void> {
    this.#fail(new Pkcs11ProcessError('pkcs11-failed', 'the input was closed', 'broken'), false);
    this.#stream.end();
    const timer = this.#clock.after(END_PATIENCE_MS, () => this.#kill());
    // A process that waits for a device (state D) takes no signal, not even this one.
    await withTimeout(this.#clock, 2 * END_PATIENCE_MS, this.#exited, () => new Error('it stays')).catch(() =>
      this.#child.unref(),
    );
    timer.cancel();
  }

  #watch(): Promise<void> {
    return new Promise((resolve) => {
      this.#child.once('error', (error) => {
        this.#fail(
          new Pkcs11ProcessError('pkcs11-failed', `the child cannot run: ${error.message}`, 'final'),
        );
        resolve();
      });
      // Not `exit`: what the child said last must be read first.
      this.#child.once('close', (code, signal) => {
        this.#closed = true;
        process.off('exit', this.#kill);
        const how = signal === null ? `with exit code ${String(code)}` : `by ${signal}`;
        this.#fail(
          new Pkcs11ProcessError('pkcs11-failed', `the PKCS#11 child ended ${how}`, 'broken'),
          false,
        );
        resolve();
      });
    });
  }

  #wait(kind: Waiting['kind'], target: Uint8Array): Promise<void> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    if (this.#waiting !== undefined) throw new TypeError('one request at a time');
    return new Promise((resolve, reject) => {
      const timer = this.#clock.after(this.#timeoutMs, () => this.#fail(this.#silence()));
      this.#waiting = { kind, target, timer, resolve, reject };
    });
  }

  #take(chunk: Buffer): void {
    for (let rest = chunk; rest.length > 0 && this.#failure === undefined;) rest = this.#takePart(rest);
    wipe(chunk);
  }

  /** Header or body, whichever is under way; gives what is left of the chunk. */
  #takePart(chunk: Buffer): Buffer {
    const part = this.#answer === undefined ? this.#header : this.#body.subarray(0, this.#answer.lengthBytes);
    const taken = chunk.subarray(0, part.length - this.#receivedBytes);
    part.set(taken, this.#receivedBytes);
    this.#receivedBytes += taken.length;
    if (this.#receivedBytes === part.length) this.#completed();
    return chunk.subarray(taken.length);
  }

  #completed(): void {
    this.#receivedBytes = 0;
    if (this.#answer === undefined) {
      this.#answer = parseAnswerHeader(this.#header);
      if (this.#answer === undefined) this.#fail(this.#nonsense());
      else if (this.#answer.lengthBytes === 0) this.#answered(this.#answer);
      return;
    }
    this.#answered(this.#answer);
  }

  #answered(answer: AnswerHeader): void {
    this.#answer = undefined;
    const body = this.#body.subarray(0, answer.lengthBytes);
    const waiting = this.#waiting;
    if (answer.kind === 'error') return this.#fail(this.#told(body));
    if (answer.kind === 'login' && waiting?.kind === 'ready') {
      this.#isLoggingIn = true;
      return;
    }
    if (waiting?.kind !== answer.kind || waiting.target.length !== body.length)
      return this.#fail(this.#nonsense());
    waiting.target.set(body);
    wipe(body);
    waiting.timer.cancel();
    this.#waiting = undefined;
    this.#isLoggingIn = false;
    waiting.resolve();
  }

  #fail(failure: Pkcs11ProcessError, kill = true): void {
    this.#failure ??= this.#isLoggingIn ? whileLoggingIn(failure) : failure;
    wipe(this.#body);
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.timer.cancel();
    waiting?.reject(this.#failure);
    if (kill) this.#kill();
  }

  /** With whatever it started; descriptor 3 is closed from here too, should one of those have left the group and still hold it. */
  readonly #kill = (): void => {
    if (this.#closed || this.#child.pid === undefined) return;
    try {
      process.kill(-this.#child.pid, 'SIGKILL');
    } catch {
      // It ended between the look and the call.
    }
    this.#stream.destroy();
    this.#lifeline.destroy();
  };

  #told(body: Buffer): Pkcs11ProcessError {
    const fault = parseFault(body);
    return fault === undefined
      ? this.#nonsense()
      : new Pkcs11ProcessError(fault.code, fault.detail, fault.final ? 'final' : 'told');
  }

  #nonsense(): Pkcs11ProcessError {
    return new Pkcs11ProcessError(
      'pkcs11-failed',
      'the PKCS#11 child answered what it was not asked',
      'broken',
    );
  }

  #silence(): Pkcs11ProcessError {
    const seconds = this.#timeoutMs / 1000;
    return new Pkcs11ProcessError(
      'pkcs11-failed',
      `the PKCS#11 module did not answer within ${seconds} s`,
      'broken',
    );
  }
}

/** What became of the PIN is not known, and a token locks itself after a few wrong ones: nobody tries again. */
function whileLoggingIn(failure: Pkcs11ProcessError): Pkcs11ProcessError {
  const detail =
    failure.kind === 'broken' ? `${failure.message} while it logged in; not tried again` : failure.message;
  return new Pkcs11ProcessError(failure.code, detail, 'final');
}
