import { createHash } from 'node:crypto';
import type { RawData, WebSocket } from 'ws';
import type { Clock, Timer } from '../base/clock.ts';
import type { Counters } from '../base/counters.ts';
import { EntropyError, ERRORS, errnoOf, isEntropyError, messageOf, type ErrorCode } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { RandomSource } from '../base/random.ts';
import { MS_PER_SECOND } from '../base/units.ts';
import {
  encodeAnswer,
  encodeClose,
  encodeGrant,
  encodeLevel,
  encodePong,
  HOST_FRAMES,
  readFeederFrame,
  type CloseReason,
  type FeederFrame,
  type Grant,
  type LevelReport,
} from '../protocol/frame-payloads.ts';
import type { HostHello } from '../protocol/handshake-messages.ts';
import { HostHandshake, type FeedSession as SessionKeys } from '../protocol/handshake.ts';
import type { AdmittedSession } from '../service/admitted-session.ts';
import type { FeederAdmission } from '../service/feeder-admission.ts';
import type { FeedConnection } from '../service/feeder-visit.ts';

export interface FeedSessionOptions {
  readonly hello: HostHello;
  readonly address: string;
  readonly maximumInFlight: number;
  readonly maximumUnsentBytes: number;
  readonly closeTimeoutMs: number;
}

export interface FeedSessionDependencies {
  readonly webSocket: WebSocket;
  readonly admission: FeederAdmission;
  readonly random: RandomSource;
  readonly clock: Clock;
  readonly counters: Counters;
  readonly log: Log;
  /** The feeder proved its key. */
  readonly proven: () => void;
  /** A rule was broken. */
  readonly refused: (code: ErrorCode, detail: string) => void;
  /** The connection is gone, and all that came by it has been dealt with. */
  readonly closed: () => void;
}

/**
 *   hello ──proof──► admitting ──welcome──► feeding ──close, or a broken rule──► ending ──► closed
 *     └──5 s, a wrong proof──────────────────────────────────────────────────────►┘
 */
type Phase = 'hello' | 'admitting' | 'feeding' | 'ending' | 'closed';

const NORMAL_CLOSURE = 1000;
/** RFC 6455 5.5: a control frame carries at most 125 bytes, two of which are the close code. */
const MAXIMUM_CLOSE_REASON_BYTES = 123;
/** A proven feeder that is not heard for so many lost timeouts has left without a word. */
const IDLE_TIMEOUTS = 2;
/** What counts as a frame that broke the protocol. */
const FRAME_FAULTS: ReadonlySet<ErrorCode> = new Set([
  'payload-too-large',
  'feed-frame-invalid',
  'feed-frame-unauthentic',
  'feed-sequence-wrong',
  'feed-grant-exceeded',
  'feed-rate-exceeded',
]);

/** Ends that nobody is to blame for. */
const NO_FAULT: ReadonlySet<ErrorCode> = new Set([
  'engine-stopped',
  'feeder-replaced',
  'feed-connection-lost',
]);

/** One connection of the feed. Frames are handled in their order, a bounded number at a time; receipts leave in that order. */
export class FeedSession implements FeedConnection {
  readonly address: string;
  /** Resolves when the connection is gone and its frames have been dealt with. */
  readonly closed: Promise<void>;
  readonly #options: FeedSessionOptions;
  readonly #dependencies: FeedSessionDependencies;
  readonly #handshake: HostHandshake;
  readonly #waiting: Buffer[] = [];
  #phase: Phase = 'hello';
  #keys: SessionKeys | undefined;
  #session: AdmittedSession | undefined;
  #inFlight = 0;
  #heardMs = 0;
  #reason: CloseReason = 'feed-connection-lost';
  #timer: Timer | undefined;
  #settleClosed: () => void = () => undefined;

  constructor(options: FeedSessionOptions, dependencies: FeedSessionDependencies) {
    this.address = options.address;
    this.#options = options;
    this.#dependencies = dependencies;
    this.#handshake = new HostHandshake(options.hello, dependencies);
    this.closed = new Promise((resolve) => (this.#settleClosed = resolve));
  }

  /** Sends the hello and waits for the proof. */
  begin(): void {
    const { webSocket, admission } = this.#dependencies;
    webSocket.on('message', (data, isBinary) => this.#guarded(() => this.#receive(data, isBinary)));
    webSocket.on('ping', (data) => this.#guarded(() => this.#pong(data)));
    webSocket.on('error', (error) => this.#broken(error));
    webSocket.on('close', () => void this.#close());
    this.#after(admission.handshakeMs, () => this.end('feed-handshake-timeout', 'no proof came in time'));
    webSocket.send(this.#handshake.hello.toString('latin1'));
  }

  grant(grant: Grant): void {
    this.#guarded(() => this.#send(HOST_FRAMES.grant, encodeGrant(grant)));
  }

  level(report: LevelReport): void {
    this.#guarded(() => this.#send(HOST_FRAMES.level, encodeLevel(report)));
  }

  /** What is under way is receipted, the session ended by its signed record, and the reason told. */
  end(code: CloseReason, detail: string): void {
    if (this.#phase === 'ending' || this.#phase === 'closed') return;
    if (code !== 'end') this.#count(code, detail);
    const wasFeeding = this.#phase === 'feeding';
    this.#phase = 'ending';
    this.#reason = code;
    this.#waiting.length = 0;
    this.#after(this.#options.closeTimeoutMs, () => this.#dependencies.webSocket.terminate());
    if (wasFeeding) void this.#endSession(code, detail);
    else this.#closeSocket(code, detail);
  }

  #receive(data: RawData, isBinary: boolean): void {
    if (!Buffer.isBuffer(data)) throw new TypeError('broken invariant: ws gives node buffers');
    if (this.#phase === 'hello') {
      if (isBinary) throw new EntropyError('feed-handshake-invalid', 'a proof is text');
      this.#prove(data);
    } else if (this.#phase === 'admitting') {
      throw new EntropyError('feed-handshake-invalid', 'a message came before the welcome');
    } else if (this.#phase === 'feeding') {
      if (!isBinary) throw new EntropyError('feed-frame-invalid', 'a frame is binary');
      this.#waiting.push(data);
      this.#work();
    }
  }

  /** Two keys are tried for every name, known or not, and the answer to a wrong proof is the same. */
  #prove(message: Buffer): void {
    const { admission, counters, proven } = this.#dependencies;
    const { feeder } = this.#handshake.readProof(message);
    const { record, current, next } = admission.candidates(feeder);
    const usedCurrentKey = this.#handshake.accepts(current);
    const usedNextKey = !usedCurrentKey && this.#handshake.accepts(next);
    if (record === undefined || !(usedCurrentKey || usedNextKey)) {
      counters.add('feeder.handshakes.failed');
      throw new EntropyError('feeder-unauthenticated', 'the proof does not match');
    }
    this.#timer?.cancel();
    proven();
    this.#phase = 'admitting';
    admission.admit({ record, usedNextKey }, this).then(
      (session) => this.#guarded(() => this.#welcome(session)),
      (error: unknown) => this.#fail(error),
    );
  }

  #welcome(admitted: AdmittedSession): void {
    this.#session = admitted;
    if (this.#phase !== 'admitting') {
      void admitted.close(this.#reason);
      return;
    }
    const { message, session } = this.#handshake.welcome(admitted.terms);
    this.#keys = session;
    this.#phase = 'feeding';
    this.#dependencies.webSocket.send(message.toString('latin1'));
    this.#heardMs = this.#dependencies.clock.monotonicMs();
    this.#watchIdle();
    admitted.begin(session.id);
  }

  /** Takes frames up while few enough are under way; until then the peer is not read. */
  #work(): void {
    const { webSocket } = this.#dependencies;
    while (this.#phase === 'feeding' && this.#inFlight < this.#options.maximumInFlight) {
      const message = this.#waiting.shift();
      if (message === undefined) break;
      this.#take(message);
    }
    if (this.#waiting.length > 0) webSocket.pause();
    else if (webSocket.isPaused) webSocket.resume();
  }

  #take(message: Buffer): void {
    const { keys, session } = this.#proven();
    const frame = readFeederFrame(keys.opener.open(message));
    this.#heardMs = this.#dependencies.clock.monotonicMs();
    const done = this.#handle(frame, message, session);
    this.#inFlight++;
    done
      .catch((error: unknown) => this.#fail(error))
      .finally(() => {
        this.#inFlight--;
        this.#guarded(() => this.#work());
      });
  }

  /** Throws at once what a frame does wrong, so that no later one is looked at; rejects with what goes wrong on this side. */
  #handle(frame: FeederFrame, message: Buffer, session: AdmittedSession): Promise<void> {
    if (frame.kind === 'data') {
      const { sequence, payload } = frame;
      const digest = createHash('sha256').update(message).digest();
      return session
        .data({ sequence, payload, digest })
        .then((receipt) => this.#send(HOST_FRAMES.receipt, receipt));
    }
    return session.control(frame.sequence).then(() => this.#answer(frame, session));
  }

  #answer(frame: Exclude<FeederFrame, { kind: 'data' }>, session: AdmittedSession): void {
    switch (frame.kind) {
      case 'ping':
        this.#send(HOST_FRAMES.pong, encodePong(frame.sequence));
        break;
      case 'ask':
        this.#send(HOST_FRAMES.answer, encodeAnswer(session.receiptsFrom(frame.fromSequence, frame.records)));
        break;
      case 'close':
        this.end('end', 'the feeder closed the session');
        break;
    }
  }

  /** Receipts of what is under way leave by themselves, before the record that ends the session. */
  async #endSession(code: CloseReason, detail: string): Promise<void> {
    const record = await this.#session?.end().catch(() => undefined);
    this.#guarded(() => {
      if (record !== undefined) this.#send(HOST_FRAMES.receipt, record);
      this.#send(HOST_FRAMES.close, encodeClose(code));
    });
    this.#closeSocket(code, detail);
  }

  #closeSocket(code: CloseReason, detail: string): void {
    const { webSocket } = this.#dependencies;
    if (webSocket.isPaused) webSocket.resume();
    const reason = code === 'end' ? code : `${code}: ${detail}`;
    webSocket.close(closeCodeOf(code), reason.slice(0, MAXIMUM_CLOSE_REASON_BYTES));
  }

  async #close(): Promise<void> {
    this.#phase = 'closed';
    this.#timer?.cancel();
    this.#waiting.length = 0;
    this.#handshake.wipe();
    this.#keys?.wipe();
    await this.#session?.close(this.#reason);
    this.#dependencies.closed();
    this.#settleClosed();
  }

  /** What ws itself refuses: it closes the connection with the code of RFC 6455 that fits. */
  #broken(error: Error): void {
    if (this.#phase === 'ending' || this.#phase === 'closed') return;
    const isTooLarge = errnoOf(error) === 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH';
    this.#reason = isTooLarge ? 'payload-too-large' : 'feed-frame-invalid';
    this.#count(this.#reason, error.message);
    this.#phase = 'ending';
    this.#after(this.#options.closeTimeoutMs, () => this.#dependencies.webSocket.terminate());
  }

  #send(type: number, payload: Uint8Array): void {
    const { webSocket } = this.#dependencies;
    const keys = this.#keys;
    if (keys === undefined || this.#phase === 'closed' || webSocket.readyState !== webSocket.OPEN) return;
    if (this.#phase === 'feeding' && webSocket.bufferedAmount > this.#options.maximumUnsentBytes)
      throw new EntropyError('reader-slow', 'what the host sends is not read');
    webSocket.send(keys.sealer.seal(type, payload));
  }

  #pong(data: Buffer): void {
    const { webSocket } = this.#dependencies;
    if (webSocket.bufferedAmount > this.#options.maximumUnsentBytes)
      throw new EntropyError('reader-slow', 'pings were sent and their pongs not read');
    if (webSocket.readyState === webSocket.OPEN) webSocket.pong(data);
  }

  #watchIdle(): void {
    const { admission, clock } = this.#dependencies;
    const limitMs = admission.lostTimeoutSeconds * MS_PER_SECOND * IDLE_TIMEOUTS;
    const leftMs = this.#heardMs + limitMs - clock.monotonicMs();
    if (leftMs <= 0) this.end('feed-connection-lost', 'nothing was heard of the feeder');
    else this.#after(Math.ceil(leftMs), () => this.#watchIdle());
  }

  #guarded(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#fail(error);
    }
  }

  #fail(error: unknown): void {
    if (isEntropyError(error)) {
      this.end(error.code, error.message);
      return;
    }
    this.#dependencies.log.error('feed session failed', { reason: messageOf(error) });
    this.end('internal', 'the session failed; the log of the daemon says why');
  }

  #count(code: ErrorCode, detail: string): void {
    const { counters, refused } = this.#dependencies;
    if (FRAME_FAULTS.has(code) && this.#session !== undefined) counters.add('feeder.frames.refused');
    if (!NO_FAULT.has(code)) refused(code, detail);
  }

  #proven(): { readonly keys: SessionKeys; readonly session: AdmittedSession } {
    if (this.#keys === undefined || this.#session === undefined)
      throw new Error('broken invariant: frames come after the welcome');
    return { keys: this.#keys, session: this.#session };
  }

  /** The one timer: for the proof, then for silence, then for the close. */
  #after(delayMs: number, callback: () => void): void {
    this.#timer?.cancel();
    this.#timer = this.#dependencies.clock.after(delayMs, callback);
  }
}

function closeCodeOf(code: CloseReason): number {
  return code === 'end' ? NORMAL_CLOSURE : ERRORS[code].webSocketClose;
}
