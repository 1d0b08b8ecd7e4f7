import { createHash } from 'node:crypto';
import type { Clock, Timer } from '../base/clock.ts';
import { EntropyError, isEntropyError, messageOf } from '../base/errors.ts';
import type { RandomSource } from '../base/random.ts';
import { MS_PER_SECOND } from '../base/units.ts';
import type { Enrolment } from '../protocol/enrolment-file.ts';
import {
  EMPTY_PAYLOAD,
  encodeAsk,
  FEEDER_FRAMES,
  type HostFrame,
  readHostFrame,
} from '../protocol/frame-payloads.ts';
import { GrantAccount } from '../protocol/grant-account.ts';
import { FeederHandshake, type FeedSession } from '../protocol/handshake.ts';
import type { Hello, Welcome } from '../protocol/handshake-messages.ts';
import { FeedSocket } from './feed-socket.ts';
import type { FeedTls } from './feed-tls.ts';

/** The host to feed. */
export interface FeedTarget extends Enrolment {
  /** How a host with a wss: URL is recognised; undefined for ws:. */
  readonly tls?: FeedTls | undefined;
}

export interface FeedConnectionDependencies {
  readonly clock: Clock;
  readonly random: RandomSource;
}

/** What a connection tells. `ended` comes once, after `connected` or instead of it, and nothing after it. */
export interface FeedConnectionEvents {
  connected(): void;
  frame(frame: HostFrame): void;
  ended(error: EntropyError): void;
}

/** From the first packet to the welcome. */
const CONNECT_TIMEOUT_MS = 15_000;

/** Pings go out three times within the host's patience, but at least once in 20 s: the feeder wants to notice too. */
const PINGS_IN_LOST_TIMEOUT = 3;
const LONGEST_PING_INTERVAL_MS = 20_000;

/**
 * One connection from its first packet to its end: handshake, frames in order, grants, pings. Anything the host sends that does not fit
 * ends it; `ended` tells why.
 */
export class FeedConnection {
  readonly #clock: Clock;
  readonly #events: FeedConnectionEvents;
  readonly #socket: FeedSocket;
  readonly #handshake: FeederHandshake;
  readonly #grants = new GrantAccount({ graceMs: 0 });
  #timer: Timer;
  #hello: Hello | undefined;
  #proven: { readonly welcome: Welcome; readonly session: FeedSession } | undefined;
  #lostTimeoutMs = Infinity;
  /** When the last ping went out, or the session began. */
  #pingedMs = 0;
  #pingUnanswered = false;
  #ended = false;

  constructor(target: FeedTarget, events: FeedConnectionEvents, dependencies: FeedConnectionDependencies) {
    this.#clock = dependencies.clock;
    this.#events = events;
    this.#handshake = new FeederHandshake(target, { random: dependencies.random });
    this.#timer = this.#clock.after(CONNECT_TIMEOUT_MS, () =>
      this.#fail(lost('the host did not answer in time')),
    );
    this.#socket = new FeedSocket(
      { url: target.url, tls: target.tls },
      {
        message: (bytes, isText) => this.#received(bytes, isText),
        ended: (error) => this.#end(error),
      },
    );
  }

  /** What the host said of itself and of this feeder; TypeError before `connected`. */
  get terms(): { readonly hello: Hello; readonly welcome: Welcome } {
    if (this.#hello === undefined) throw new TypeError('the connection is not proven');
    return { hello: this.#hello, welcome: this.#session().welcome };
  }

  /** Payload bytes that a data frame may have now; 0 when none may be sent. */
  get grantedBytes(): number {
    return this.#ended ? 0 : this.#grants.availableBytes(this.#clock.monotonicMs());
  }

  /**
   * Sends entropy; it stays the caller's to wipe. Gives the sequence and the SHA-256 of the frame, by which its receipt is known, or
   * undefined, and nothing is sent, when it is not granted.
   */
  sendData(payload: Uint8Array): { readonly sequence: number; readonly frameDigest: Buffer } | undefined {
    const { sealer } = this.#session().session;
    if (!this.#grants.use(payload.length, this.#clock.monotonicMs())) return undefined;
    const sequence = sealer.nextSequence;
    const frame = sealer.seal(FEEDER_FRAMES.data, payload);
    const frameDigest = createHash('sha256').update(frame).digest();
    this.#socket.sendBinary(frame);
    return { sequence, frameDigest };
  }

  /** Asks for the receipts of this sequence and later ones; an `answer` follows. */
  ask(fromSequence: number, records: number): void {
    this.#send(FEEDER_FRAMES.ask, encodeAsk(fromSequence, records));
  }

  /** Tells the host that no more data comes; the signed end and the host's close follow. */
  sendClose(): void {
    this.#send(FEEDER_FRAMES.close, EMPTY_PAYLOAD);
  }

  /** Ends it from this side, for this reason, with a goodbye to the WebSocket. */
  end(error: EntropyError): void {
    this.#end(error);
    this.#socket.close();
  }

  #received(bytes: Buffer, isText: boolean): void {
    try {
      if (this.#proven !== undefined) this.#receivedFrame(bytes, isText);
      else if (!isText) throw invalid('a frame came before the welcome');
      else if (this.#hello === undefined) this.#answerHello(bytes);
      else this.#begin(bytes);
    } catch (error) {
      this.#fail(isEntropyError(error) ? error : new EntropyError('internal', messageOf(error)));
    }
  }

  #answerHello(bytes: Buffer): void {
    const { hello, proof } = this.#handshake.answer(bytes);
    this.#hello = hello;
    this.#socket.sendText(proof);
  }

  #begin(bytes: Buffer): void {
    this.#proven = this.#handshake.finish(bytes);
    this.#pingedMs = this.#clock.monotonicMs();
    this.#heed(this.terms.hello.limits.lostTimeoutSeconds);
    this.#events.connected();
  }

  #receivedFrame(bytes: Buffer, isText: boolean): void {
    if (isText) throw invalid('text came after the welcome');
    const frame = readHostFrame(this.#session().session.opener.open(bytes));
    this.#pingUnanswered = false;
    if (frame.kind === 'grant') this.#grants.replace(frame.grant, this.#clock.monotonicMs());
    if (frame.kind === 'level') this.#heed(frame.report.lostTimeoutSeconds);
    this.#events.frame(frame);
  }

  /** The patience of the host, from its hello and then from each level: a shorter one brings the next ping forward. */
  #heed(lostTimeoutSeconds: number): void {
    const lostTimeoutMs = lostTimeoutSeconds * MS_PER_SECOND;
    if (this.#ended || lostTimeoutMs === this.#lostTimeoutMs) return;
    this.#lostTimeoutMs = lostTimeoutMs;
    this.#schedulePing();
  }

  /** Counted from the last ping, so that frames of the host cannot put the next one off. */
  #schedulePing(): void {
    const intervalMs = Math.min(this.#lostTimeoutMs / PINGS_IN_LOST_TIMEOUT, LONGEST_PING_INTERVAL_MS);
    const waitMs = Math.max(0, this.#pingedMs + intervalMs - this.#clock.monotonicMs());
    this.#timer.cancel();
    this.#timer = this.#clock.after(waitMs, () => this.#ping());
  }

  /** A host that says nothing from one ping to the next is gone, whatever TCP believes. */
  #ping(): void {
    if (this.#pingUnanswered) return this.#fail(lost('the host does not answer any more'));
    this.#pingUnanswered = true;
    this.#pingedMs = this.#clock.monotonicMs();
    this.#send(FEEDER_FRAMES.ping, EMPTY_PAYLOAD);
    this.#schedulePing();
  }

  #send(type: number, payload: Uint8Array): void {
    if (!this.#ended) this.#socket.sendBinary(this.#session().session.sealer.seal(type, payload));
  }

  #session(): { readonly welcome: Welcome; readonly session: FeedSession } {
    if (this.#proven === undefined) throw new TypeError('the connection is not proven');
    return this.#proven;
  }

  #fail(error: EntropyError): void {
    this.#end(error);
    this.#socket.terminate(error);
  }

  #end(error: EntropyError): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#timer.cancel();
    this.#handshake.wipe();
    this.#proven?.session.wipe();
    this.#events.ended(error);
  }
}

function lost(why: string): EntropyError {
  return new EntropyError('feed-connection-lost', why);
}

function invalid(why: string): EntropyError {
  return new EntropyError('feed-message-invalid', why);
}
