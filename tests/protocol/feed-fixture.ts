import type { RandomSource } from '../../src/base/random.ts';
import type { HostHello, WelcomeTerms } from '../../src/protocol/handshake-messages.ts';
import { FeederHandshake, HostHandshake, type FeedSession } from '../../src/protocol/handshake.ts';
import { privateKeyFrom, publicBytesOf } from '../../src/protocol/raw-keys.ts';
import { SeededStream, seededSource } from '../fakes/seeded-stream.ts';

/** A host and its feeder `lab-1`, as an enrolment would have made them; the same in each run. */
const stream = new SeededStream('feed fixture');
export const KEY = Buffer.from(stream.bytes(32));
export const OTHER_KEY = Buffer.from(stream.bytes(32));
export const HOST_ID = Buffer.from(stream.bytes(16));
export const OTHER_HOST_ID = Buffer.from(stream.bytes(16));
export const RECEIPT_PRIVATE_KEY = privateKeyFrom('ed25519', stream.bytes(32));
export const RECEIPT_KEY = publicBytesOf(RECEIPT_PRIVATE_KEY);

export const HELLO: HostHello = {
  software: 'entropy-mixer 0.1.0',
  host: HOST_ID,
  external: 'enabled',
  mask: 12,
  limits: {
    frameMinimumBytes: 32,
    frameMaximumBytes: 65_536,
    handshakeSeconds: 5,
    bytesPerSecond: 1_048_576,
    framesPerSecond: 1000,
    lostTimeoutSeconds: 60,
    receiptsKept: 10_000,
  },
  receiptKey: RECEIPT_KEY,
};

export const IDENTITY = { feeder: 'lab-1', key: KEY, host: HOST_ID, receiptKey: RECEIPT_KEY };

export const TERMS: WelcomeTerms = {
  nextSequence: 41,
  lastReceipt: undefined,
  feederClass: 'full-entropy',
  rateUnits: 8192,
};

export interface Handshaken {
  readonly hello: Buffer;
  readonly proof: Buffer;
  readonly welcome: Buffer;
  readonly host: FeedSession;
  readonly feeder: FeedSession;
}

/** A whole handshake, with all that went over the wire. */
export function handshake(seed = 'handshake', terms = TERMS): Handshaken {
  const random: RandomSource = seededSource(seed);
  const hostEnd = new HostHandshake(HELLO, { random });
  const feederEnd = new FeederHandshake(IDENTITY, { random });
  const { proof } = feederEnd.answer(hostEnd.hello);
  hostEnd.readProof(proof);
  if (!hostEnd.accepts(KEY)) throw new Error('the enrolled key was not accepted');
  const { message, session } = hostEnd.welcome(terms);
  return {
    hello: hostEnd.hello,
    proof,
    welcome: message,
    host: session,
    feeder: feederEnd.finish(message).session,
  };
}

/** The same bytes with one bit of one byte turned. */
export function altered(bytes: Uint8Array, at: number, bit = 0): Buffer {
  const copy = Buffer.from(bytes);
  copy[at] = (copy[at] ?? 0) ^ (1 << bit);
  return copy;
}
