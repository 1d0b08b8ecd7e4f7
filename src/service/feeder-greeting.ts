import type { KeyObject } from 'node:crypto';
import { wipe } from '../base/bytes.ts';
import type { FeedLimits, HostHello } from '../protocol/handshake-messages.ts';
import { PAYLOAD_MAXIMUM_BYTES, PAYLOAD_MINIMUM_BYTES } from '../protocol/limits.ts';
import { privateKeyFrom, publicBytesOf } from '../protocol/raw-keys.ts';
import type { Enrolment } from '../state/enrolment.ts';
import { RECEIPTS_KEPT } from './receipt-store.ts';

/** What a feeder may do when its enrolment says nothing else. */
export interface FeederLimits {
  readonly handshakeSeconds: number;
  readonly bytesPerSecond: number;
  readonly framesPerSecond: number;
  /** Of all feeders together. */
  readonly receiptsKept: number;
}

export const FEEDER_LIMITS: FeederLimits = {
  handshakeSeconds: 5,
  bytesPerSecond: 64 * 1024 * 1024,
  framesPerSecond: 20_000,
  receiptsKept: RECEIPTS_KEPT,
};

export interface HostGreetingOptions {
  /** Name and version of this software. */
  readonly software: string;
  /** Effective source mask. */
  readonly mask: number;
  readonly limits: FeederLimits;
}

export interface SigningIdentity {
  readonly host: Buffer;
  readonly receiptKey: KeyObject;
}

const BIT_EXTERNAL = 8;

/** What the host says of itself to whoever connects: who it is, what it takes, and by which key it signs. */
export class HostGreeting {
  readonly #options: HostGreetingOptions;
  readonly #enrolment: Enrolment;
  #receiptKey: KeyObject | undefined;

  constructor(options: HostGreetingOptions, dependencies: { readonly enrolment: Enrolment }) {
    this.#options = options;
    this.#enrolment = dependencies.enrolment;
  }

  /** Whether the effective mask has bit 8. */
  get isEnabled(): boolean {
    return (this.#options.mask & BIT_EXTERNAL) !== 0;
  }

  /** Throws the error in `refused` of the enrolment; `state-unwritable` on first use. */
  async hello(lostTimeoutSeconds: number): Promise<HostHello> {
    const { host, receiptKey } = await this.identity();
    const { software, mask, limits: bounds } = this.#options;
    const limits: FeedLimits = {
      ...bounds,
      frameMinimumBytes: PAYLOAD_MINIMUM_BYTES,
      frameMaximumBytes: PAYLOAD_MAXIMUM_BYTES,
      lostTimeoutSeconds,
    };
    const external = this.isEnabled ? 'enabled' : 'disabled';
    return { software, host, external, mask, limits, receiptKey: publicBytesOf(receiptKey) };
  }

  /** Throws as `hello` does. */
  async identity(): Promise<SigningIdentity> {
    const { host, receiptSeed } = await this.#enrolment.identity();
    try {
      this.#receiptKey ??= privateKeyFrom('ed25519', receiptSeed);
      return { host, receiptKey: this.#receiptKey };
    } finally {
      wipe(receiptSeed);
    }
  }
}
