import type { Duplex } from 'node:stream';
import type { RawData, WebSocket } from 'ws';
import type { Clock, Timer } from '../base/clock.ts';
import type { Counters } from '../base/counters.ts';
import { EntropyError, errnoOf, isEntropyError, messageOf, type ErrorCode } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { RandomSource } from '../base/random.ts';
import { MS_PER_SECOND } from '../base/units.ts';
import {
  encodeClose,
  encodeGrant,
  encodeLevel,
  HOST_FRAMES,
  type CloseReason,
  type Grant,
  type LevelReport,
} from '../protocol/frame-payloads.ts';
import type { HostHello } from '../protocol/handshake-messages.ts';
import { HostHandshake, type FeedSession as SessionKeys } from '../protocol/handshake.ts';
import type { AdmittedSession } from '../service/admitted-session.ts';
import type { FeederAdmission } from '../service/feeder-admission.ts';
import type { FeedConnection } from '../service/feeder-visit.ts';
import type { LinkPeer } from '../service/link-watch.ts';
import { FRAME_FAULTS, NO_FAULT } from './feed-faults.ts';
import { FeedSocket } from './feed-socket.ts';
import type { Stranger } from './feed-strangers.ts';
import { FrameIntake } from './frame-intake.ts';

export interface FeedSessionOptions {
  readonly hello: HostHello;
  readonly peer: LinkPeer;
  readonly maximumInFlight: number;
  readonly maximumUnsentBytes: number;
  readonly closeTimeoutMs: number;
}

export interface FeedSessionDependencies {
  readonly webSocket: WebSocket;
  /** What it runs over. */
  readonly stream: Duplex;
  readonly admission: FeederAdmission;
  readonly random: RandomSource;
  readonly clock: Clock;
  readonly counters: Counters;
  readonly log: Log;
  /** The feeder proved its key. */
  readonly proven: () => void;
  /** A rule was broken, by a feeder of this name when it proved to be one. */
  readonly refused: (code: ErrorCode, detail: string, feeder: string | undefined) => void;
  /** Nothing is taken any more; what came is dealt with. */
  readonly ending: () => void;
  /** The connection is gone, and all that came by it has been dealt with. */
  readonly closed: () => void;
}

/**
 *   hello ──proof──► admitting ──welcome──► feeding ──close, or a broken rule──► ending ──► closed
 *     └──5 s, a wrong proof──────────────────────────────────────────────────────►┘
 */
type Phase = 'hello' | 'admitting' | 'feeding' | 'ending' | 'closed';

/** A proven feeder that is not heard for so many lost timeouts has left without a word. */
const IDLE_TIMEOUTS = 2;

/** One connection of the feed, from the hello to its last word. */
export class FeedSession implements FeedConnection, Stranger {
  readonly address: string;
  readonly ipAddress: string;
  /** Resolves when the connection is gone and its frames have been dealt with. */
  readonly closed: Promise<void>;
  readonly #options: FeedSessionOptions;
  readonly #dependencies: FeedSessionDependencies;
  readonly #socket: FeedSocket;
  readonly #handshake: HostHandshake;
  #phase: Phase = 'hello';
  #keys: SessionKeys | undefined;
  /** Who proved to be here. */
  #feeder: string | undefined;
  #session: AdmittedSession | undefined;
  #frames: FrameIntake | undefined;
  #heardMs = 0;
  #reason: CloseReason = 'feed-connection-lost';
  #timer: Timer | undefined;
  #settleClosed: () => void = () => undefined;

  constructor(options: FeedSessionOptions, dependencies: FeedSessionDependencies) {
    this.address = options.peer.address;
    this.ipAddress = options.peer.ipAddress;
    this.#options = options;
    this.#dependencies = dependencies;
    this.#socket = new FeedSocket(options, dependencies);
    this.#handshake = new HostHandshake(options.hello, dependencies);
    this.closed = new Promise((resolve) => (this.#settleClosed = resolve));
  }

  /** Sends the hello and waits for the proof. */
  begin(): void {
    const { webSocket, admission } = this.#dependencies;
    webSocket.on('message', (data, isBinary) => this.#guarded(() => this.#receive(data, isBinary)));
    webSocket.on('ping', (data) => this.#guarded(() => this.#takePing(data)));
    webSocket.on('pong', () => this.#guarded(() => this.#assertMay()));
    webSocket.on('error', (error) => this.#broken(error));
    webSocket.on('close', () => void this.#close());
    this.#after(admission.handshakeMs, () => this.end('feed-handshake-timeout', 'no proof came in time'));
    this.#socket.sendText(this.#handshake.hello);
  }

  grant(grant: Grant): void {
    this.#guarded(() => this.#send(HOST_FRAMES.grant, encodeGrant(grant)));
  }

  level(report: LevelReport): void {
    this.#guarded(() => this.#send(HOST_FRAMES.level, encodeLevel(report)));
  }

  lostTimeoutChanged(): void {
    if (this.#phase === 'feeding') this.#watchIdle();
  }

  drop(): void {
    this.end('server-busy', 'others came, and nothing was proven yet');
    this.#socket.terminate();
  }

  terminate(): void {
    this.#socket.terminate();
  }

  /** What is under way is receipted, the session ended by its signed record, and the reason told. */
  end(code: CloseReason, detail: string): void {
    if (this.#phase === 'ending' || this.#phase === 'closed') return;
    if (code !== 'end') this.#count(code, detail);
    const wasFeeding = this.#phase === 'feeding';
    this.#phase = 'ending';
    this.#reason = code;
    this.#frames?.stop();
    this.#after(this.#options.closeTimeoutMs, () => this.#socket.terminate());
    this.#dependencies.ending();
    if (wasFeeding) void this.#endSession(code, detail);
    else this.#socket.close(code, detail);
  }

  #receive(data: RawData, isBinary: boolean): void {
    if (!Buffer.isBuffer(data)) throw new TypeError('broken invariant: ws gives node buffers');
    if (this.#phase === 'hello') {
      if (isBinary) throw new EntropyError('feed-handshake-invalid', 'a proof is text');
      this.#prove(data);
    } else if (this.#phase === 'admitting') {
      throw new EntropyError('feed-handshake-invalid', 'a message came before the welcome');
    } else if (this.#phase === 'feeding') {
      this.#frames?.receive(data, isBinary);
    }
  }

  /** Two keys are tried for every name, known or not, and the answer to a wrong proof is the same. */
  #prove(message: Buffer): void {
    const { admission, counters, proven } = this.#dependencies;
    const { feeder } = this.#handshake.readProof(message);
    const { record, current, next } = admission.candidates(feeder);
    const isCurrent = this.#handshake.accepts(current);
    const isNext = !isCurrent && this.#handshake.accepts(next);
    if (record === undefined || !(isCurrent || isNext)) {
      counters.add('feeder.handshakes.failed');
      throw new EntropyError('feeder-unauthenticated', 'the proof does not match');
    }
    this.#timer?.cancel();
    proven();
    this.#phase = 'admitting';
    this.#feeder = record.name;
    admission.admit({ record, nextKey: isNext ? next : undefined }, this).then(
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
    this.#socket.sendText(message);
    this.#frames = this.#intakeOf(admitted, session);
    this.#heardNow();
    this.#watchIdle();
    admitted.begin(session.id);
  }

  #intakeOf(session: AdmittedSession, keys: SessionKeys): FrameIntake {
    return new FrameIntake(
      { keys, session, maximumInFlight: this.#options.maximumInFlight },
      {
        read: (isWanted) => this.#socket.read(isWanted),
        send: (type, payload) => this.#send(type, payload),
        heard: () => this.#heardNow(),
        closed: () => this.end('end', 'the feeder closed the session'),
        failed: (error) => this.#fail(error),
      },
    );
  }

  #heardNow(): void {
    this.#heardMs = this.#dependencies.clock.monotonicMs();
  }

  /** Receipts of what is under way leave by themselves, before the record that ends the session. */
  async #endSession(code: CloseReason, detail: string): Promise<void> {
    const record = await this.#session?.end().catch(() => undefined);
    this.#guarded(() => {
      if (record !== undefined) this.#send(HOST_FRAMES.receipt, record);
      this.#send(HOST_FRAMES.close, encodeClose(code));
    });
    this.#socket.close(code, detail);
  }

  async #close(): Promise<void> {
    this.#phase = 'closed';
    this.#timer?.cancel();
    this.#frames?.stop();
    this.#handshake.wipe();
    this.#keys?.wipe();
    await this.#session?.close(this.#reason);
    this.#dependencies.closed();
    this.#settleClosed();
  }

  /**
   * What ws itself refuses. It has closed the connection by now, with the code of RFC 6455 that it finds fitting: 1009 for a message too
   * long, 1008 for one in too many parts, else 1002 or 1007. Those stand on the wire in place of ours.
   */
  #broken(error: Error): void {
    if (this.#phase === 'ending' || this.#phase === 'closed') return;
    const isTooLarge = errnoOf(error) === 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH';
    this.#reason = isTooLarge ? 'payload-too-large' : 'feed-frame-invalid';
    this.#count(this.#reason, error.message);
    this.#phase = 'ending';
    this.#frames?.stop();
    this.#dependencies.ending();
    this.#after(this.#options.closeTimeoutMs, () => this.#socket.terminate());
  }

  #send(type: number, payload: Uint8Array): void {
    const keys = this.#keys;
    if (keys === undefined || this.#phase === 'closed' || !this.#socket.isOpen) return;
    if (this.#phase === 'feeding') this.#socket.assertRead();
    this.#socket.send(keys.sealer.seal(type, payload));
  }

  #takePing(data: Buffer): void {
    this.#assertMay();
    this.#socket.pong(data);
  }

  /** WebSocket control frames are answered to feeders alone, and count as frames: nobody proved where they come from. */
  #assertMay(): void {
    if (this.#phase === 'feeding') this.#session?.unproven();
    else if (this.#phase === 'hello' || this.#phase === 'admitting')
      throw new EntropyError('feed-handshake-invalid', 'a control frame came before the welcome');
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
    if (!NO_FAULT.has(code)) refused(code, detail, this.#feeder);
  }

  /** The one timer: for the proof, then for silence, then for the close. */
  #after(delayMs: number, callback: () => void): void {
    this.#timer?.cancel();
    this.#timer = this.#dependencies.clock.after(delayMs, callback);
  }
}
