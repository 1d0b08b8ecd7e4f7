import { FEEDER_CLASSES, type FeederClass } from '../base/names.ts';
import { Fields } from './json-fields.ts';
import {
  DIGEST_BYTES,
  FEEDER_NAME_PATTERN,
  HANDSHAKE_MAXIMUM_BYTES,
  HOST_ID_BYTES,
  KEY_BYTES,
  MAXIMUM_RATE_UNITS,
  NONCE_BYTES,
  PROTOCOL_VERSION,
  SESSION_ID_BYTES,
} from './limits.ts';

/**
 * The three JSON messages before the first frame. Key sets are closed, numbers are whole and bounded, bytes are lower-case
 * hexadecimal of one exact length; anything else is refused. What the host reads fails with `feed-handshake-invalid`, what the feeder
 * reads with `feed-message-invalid`.
 */

/** What the host tells of itself before anything is proven. */
export interface HostHello {
  /** Name and version of the host's software: 1 to 64 printable ASCII characters. */
  readonly software: string;
  /** 16 bytes. */
  readonly host: Uint8Array;
  /** Whether the effective source mask has bit 8. */
  readonly external: 'enabled' | 'disabled';
  /** Effective source mask, 0 to 15. */
  readonly mask: number;
  readonly limits: FeedLimits;
  /** Ed25519 public key of the host's receipts, 32 bytes. */
  readonly receiptKey: Uint8Array;
}

export interface FeedLimits {
  /** Payload of a data frame. */
  readonly frameMinimumBytes: number;
  readonly frameMaximumBytes: number;
  /** From the opening of the connection to the proof. */
  readonly handshakeSeconds: number;
  /** Payload and frames of one feeder. */
  readonly bytesPerSecond: number;
  readonly framesPerSecond: number;
  /** A feeder that is not heard for so long counts as lost. */
  readonly lostTimeoutSeconds: number;
  /** Receipts that can be asked for again, of all feeders together. */
  readonly receiptsKept: number;
}

export interface Hello extends HostHello {
  readonly nonce: Uint8Array;
  readonly ephemeral: Uint8Array;
}

export interface Proof {
  readonly feeder: string;
  readonly nonce: Uint8Array;
  readonly ephemeral: Uint8Array;
  readonly proof: Uint8Array;
}

/** What the host tells a feeder that has proven itself. */
export interface WelcomeTerms {
  /** Sequence of the feeder's next frame, 1 to 2^53 - 1: it goes on over all sessions. */
  readonly nextSequence: number;
  /** SHA-256 of the last receipt signed for this feeder. */
  readonly lastReceipt: Uint8Array | undefined;
  readonly feederClass: FeederClass;
  /** Credit per byte, in 1/1024 bit. */
  readonly rateUnits: number;
}

export interface Welcome extends WelcomeTerms {
  /** 16 bytes. */
  readonly session: Uint8Array;
  readonly proof: Uint8Array;
}

export function encodeHello(hello: Hello): Buffer {
  return encode({
    type: 'hello',
    version: PROTOCOL_VERSION,
    software: hello.software,
    host: hex(hello.host),
    external: hello.external,
    mask: hello.mask,
    limits: hello.limits,
    receiptKey: hex(hello.receiptKey),
    nonce: hex(hello.nonce),
    ephemeral: hex(hello.ephemeral),
  });
}

export function parseHello(message: Uint8Array): Hello {
  const fields = new Fields(message, 'hello', 'feed-message-invalid');
  const hello = {
    software: fields.text('software', /^[ -~]{1,64}$/),
    host: fields.bytes('host', HOST_ID_BYTES),
    external: fields.oneOf('external', ['enabled', 'disabled'] as const),
    mask: fields.integer('mask', 0, 15),
    limits: limitsOf(fields.object('limits')),
    receiptKey: fields.bytes('receiptKey', KEY_BYTES),
    nonce: fields.bytes('nonce', NONCE_BYTES),
    ephemeral: fields.bytes('ephemeral', KEY_BYTES),
  };
  fields.end();
  return hello;
}

function limitsOf(fields: Fields): FeedLimits {
  const most = Number.MAX_SAFE_INTEGER;
  const limits = {
    frameMinimumBytes: fields.integer('frameMinimumBytes', 1, most),
    frameMaximumBytes: fields.integer('frameMaximumBytes', 1, most),
    handshakeSeconds: fields.integer('handshakeSeconds', 1, most),
    bytesPerSecond: fields.integer('bytesPerSecond', 1, most),
    framesPerSecond: fields.integer('framesPerSecond', 1, most),
    lostTimeoutSeconds: fields.integer('lostTimeoutSeconds', 1, most),
    receiptsKept: fields.integer('receiptsKept', 0, most),
  };
  fields.end();
  return limits;
}

export function encodeProof(proof: Proof): Buffer {
  return encode({
    type: 'proof',
    version: PROTOCOL_VERSION,
    feeder: proof.feeder,
    nonce: hex(proof.nonce),
    ephemeral: hex(proof.ephemeral),
    proof: hex(proof.proof),
  });
}

export function parseProof(message: Uint8Array): Proof {
  const fields = new Fields(message, 'proof', 'feed-handshake-invalid');
  const proof = {
    feeder: fields.text('feeder', FEEDER_NAME_PATTERN),
    nonce: fields.bytes('nonce', NONCE_BYTES),
    ephemeral: fields.bytes('ephemeral', KEY_BYTES),
    proof: fields.bytes('proof', KEY_BYTES),
  };
  fields.end();
  return proof;
}

export function encodeWelcome(welcome: Welcome): Buffer {
  return encode({
    type: 'welcome',
    version: PROTOCOL_VERSION,
    session: hex(welcome.session),
    nextSequence: welcome.nextSequence,
    lastReceipt: welcome.lastReceipt === undefined ? null : hex(welcome.lastReceipt),
    feederClass: welcome.feederClass,
    rateUnits: welcome.rateUnits,
    proof: hex(welcome.proof),
  });
}

export function parseWelcome(message: Uint8Array): Welcome {
  const fields = new Fields(message, 'welcome', 'feed-message-invalid');
  const welcome = {
    session: fields.bytes('session', SESSION_ID_BYTES),
    nextSequence: fields.integer('nextSequence', 1, Number.MAX_SAFE_INTEGER),
    lastReceipt: fields.isNull('lastReceipt') ? undefined : fields.bytes('lastReceipt', DIGEST_BYTES),
    feederClass: fields.oneOf('feederClass', FEEDER_CLASSES),
    rateUnits: fields.integer('rateUnits', 0, MAXIMUM_RATE_UNITS),
    proof: fields.bytes('proof', KEY_BYTES),
  };
  fields.end();
  return welcome;
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex');
}

function encode(message: object): Buffer {
  const bytes = Buffer.from(JSON.stringify(message));
  if (bytes.length > HANDSHAKE_MAXIMUM_BYTES) throw new RangeError('the handshake message is too long');
  return bytes;
}
