import { createHash } from 'node:crypto';
import { EntropyError } from '../base/errors.ts';
import { KIB } from '../base/units.ts';
import {
  encodeAnswer,
  encodePong,
  HOST_FRAMES,
  readFeederFrame,
  type FeederFrame,
} from '../protocol/frame-payloads.ts';
import type { FeedSession as SessionKeys } from '../protocol/handshake.ts';
import { RECEIPT_BYTES } from '../protocol/receipt.ts';
import type { AdmittedSession } from '../service/admitted-session.ts';

export interface FrameIntakeOptions {
  readonly keys: SessionKeys;
  readonly session: AdmittedSession;
  readonly maximumInFlight: number;
}

/** What the connection does for it. */
export interface FrameIntakeDependencies {
  /** Reads the peer, or lets what it sends wait in the kernel. */
  readonly read: (isWanted: boolean) => void;
  readonly send: (type: number, payload: Uint8Array) => void;
  /** An authentic frame came. */
  readonly heard: () => void;
  /** The feeder closed the session. */
  readonly closed: () => void;
  /** Nothing more is taken; may be told more than once. */
  readonly failed: (error: unknown) => void;
}

/** An answer costs as much as a frame for each KiB of it that may be wanted. */
const RECORDS_PER_COST = KIB / RECEIPT_BYTES;

/** The frames of a proven feeder: opened in their order, a bounded number under way at a time; receipts leave in that order. */
export class FrameIntake {
  readonly #options: FrameIntakeOptions;
  readonly #dependencies: FrameIntakeDependencies;
  readonly #waiting: Buffer[] = [];
  #inFlight = 0;
  #isStopped = false;

  constructor(options: FrameIntakeOptions, dependencies: FrameIntakeDependencies) {
    this.#options = options;
    this.#dependencies = dependencies;
  }

  /** Throws what a frame does wrong. */
  receive(message: Buffer, isBinary: boolean): void {
    if (!isBinary) throw new EntropyError('feed-frame-invalid', 'a frame is binary');
    this.#waiting.push(message);
    this.#work();
  }

  /** Takes up no further frame. Those under way are receipted. */
  stop(): void {
    this.#isStopped = true;
    this.#waiting.length = 0;
  }

  /** Takes frames up while few enough are under way; until then the peer is not read. */
  #work(): void {
    while (!this.#isStopped && this.#inFlight < this.#options.maximumInFlight) {
      const message = this.#waiting.shift();
      if (message === undefined) break;
      this.#take(message);
    }
    this.#dependencies.read(this.#waiting.length === 0);
  }

  #take(message: Buffer): void {
    const { heard, failed } = this.#dependencies;
    const frame = readFeederFrame(this.#options.keys.opener.open(message));
    heard();
    const handled = this.#handle(frame, message);
    this.#inFlight++;
    handled.catch(failed).finally(() => {
      this.#inFlight--;
      try {
        this.#work();
      } catch (error) {
        failed(error);
      }
    });
  }

  /** Throws at once what a frame does wrong, so that no later one is looked at; rejects with what goes wrong on this side. */
  #handle(frame: FeederFrame, message: Buffer): Promise<void> {
    const { session } = this.#options;
    if (frame.kind === 'data') {
      const { sequence, payload } = frame;
      const digest = createHash('sha256').update(message).digest();
      return session
        .data({ sequence, payload, digest })
        .then((receipt) => this.#dependencies.send(HOST_FRAMES.receipt, receipt));
    }
    const cost = frame.kind === 'ask' ? 1 + Math.ceil(frame.records / RECORDS_PER_COST) : 1;
    return session.control(frame.sequence, cost).then(() => this.#answer(frame));
  }

  #answer(frame: Exclude<FeederFrame, { kind: 'data' }>): void {
    const { session } = this.#options;
    const { send, closed } = this.#dependencies;
    switch (frame.kind) {
      case 'ping':
        return send(HOST_FRAMES.pong, encodePong(frame.sequence));
      case 'ask':
        return send(
          HOST_FRAMES.answer,
          encodeAnswer(session.receiptsFrom(frame.fromSequence, frame.records)),
        );
      case 'close':
        return closed();
    }
  }
}
