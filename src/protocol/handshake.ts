import { createHash, timingSafeEqual, type KeyObject } from 'node:crypto';
import { wipe } from '../base/bytes.ts';
import { EntropyError } from '../base/errors.ts';
import { randomBytes, type RandomSource } from '../base/random.ts';
import { agree, newEphemeral } from './ephemeral-agreement.ts';
import { FrameOpener, FrameSealer } from './frame.ts';
import {
  encodeHello,
  encodeProof,
  encodeWelcome,
  parseHello,
  parseProof,
  parseWelcome,
  type Hello,
  type HostHello,
  type Proof,
  type Welcome,
  type WelcomeTerms,
} from './handshake-messages.ts';
import { DIGEST_BYTES, FEEDER_NAME_PATTERN, NONCE_BYTES, SESSION_ID_BYTES } from './limits.ts';
import { deriveSessionKeys, isProof, proofOf, wipeSessionKeys, type SessionKeys } from './session-keys.ts';

/**
 *   host                                              feeder
 *     hello: who I am, limits, nonce, ephemeral  ──►    is it the host of my enrolment?
 *     is it a feeder of mine?                    ◄──  proof: name, nonce, ephemeral, HMAC
 *     welcome: session, next sequence, HMAC      ──►    does the host have my key too?
 *     frames                                     ◄─►  frames
 */

/** Both directions of a proven session. */
export interface FeedSession {
  /** 16 bytes. */
  readonly id: Buffer;
  readonly sealer: FrameSealer;
  readonly opener: FrameOpener;
  /** Ends both directions; their keys are overwritten. */
  wipe(): void;
}

/** The host's end. One object, one connection; `wipe` it however that ends. */
export class HostHandshake {
  /** The first message, to be sent as text. */
  readonly hello: Buffer;
  readonly #random: RandomSource;
  readonly #privateKey: KeyObject;
  #proof: Proof | undefined;
  #transcript: Buffer = Buffer.alloc(0);
  #sharedSecret: Buffer = Buffer.alloc(0);
  #keys: SessionKeys | undefined;

  constructor(options: HostHello, dependencies: { readonly random: RandomSource }) {
    this.#random = dependencies.random;
    const { privateKey, ephemeral } = newEphemeral(this.#random);
    this.#privateKey = privateKey;
    this.hello = encodeHello({ ...options, nonce: randomBytes(this.#random, NONCE_BYTES), ephemeral });
  }

  /**
   * Reads the feeder's answer; only the name is told, and nothing is proven yet.
   *
   * @throws EntropyError feed-handshake-invalid
   */
  readProof(message: Uint8Array): { readonly feeder: string } {
    if (this.#proof !== undefined) throw new TypeError('a handshake reads one proof');
    this.#proof = parseProof(message);
    this.#sharedSecret = agree(this.#privateKey, this.#proof.ephemeral, 'feed-handshake-invalid');
    this.#transcript = transcriptOf(this.hello, this.#proof);
    return { feeder: this.#proof.feeder };
  }

  /**
   * True when the feeder has this key. May be asked for several keys (a rotated feeder has two), and for an unknown feeder is asked with a
   * key that nobody has, so that it takes the same time.
   */
  accepts(enrolledKey: Uint8Array): boolean {
    if (this.#proof === undefined || this.#keys !== undefined)
      throw new TypeError('keys are tried after a proof, until one is accepted');
    const keys = deriveSessionKeys(this.#sharedSecret, enrolledKey, this.#transcript);
    if (isProof(this.#proof.proof, keys.feederProof, this.#transcript)) {
      this.#keys = keys;
      return true;
    }
    wipeSessionKeys(keys);
    return false;
  }

  /** The last message, to be sent as text, and the session that begins with it. */
  welcome(terms: WelcomeTerms): { readonly message: Buffer; readonly session: FeedSession } {
    const keys = this.#keys;
    if (keys === undefined) throw new TypeError('only a proven feeder is welcome');
    const id = randomBytes(this.#random, SESSION_ID_BYTES);
    const proof = proofOf(keys.hostProof, this.#transcript, welcomeBytes({ ...terms, session: id }));
    const message = encodeWelcome({ ...terms, session: id, proof });
    const session = sessionOf(id, {
      opener: new FrameOpener({ key: Buffer.from(keys.feederToHost), firstSequence: terms.nextSequence }),
      sealer: new FrameSealer({ key: Buffer.from(keys.hostToFeeder), firstSequence: 1 }),
    });
    this.wipe();
    return { message, session };
  }

  /** A wiped key is all zero, which anybody could prove: it is forgotten as well. */
  wipe(): void {
    wipe(this.#sharedSecret);
    if (this.#keys !== undefined) wipeSessionKeys(this.#keys);
    this.#keys = undefined;
    this.#proof = undefined;
  }
}

/** What a feeder knows of its host by enrolment. */
export interface FeederIdentity {
  readonly feeder: string;
  /** The enrolled key, 32 secret bytes; stays the caller's. */
  readonly key: Uint8Array;
  readonly host: Uint8Array;
  readonly receiptKey: Uint8Array;
}

/** The feeder's end. One object, one connection; `wipe` it however that ends. */
export class FeederHandshake {
  readonly #identity: FeederIdentity;
  readonly #random: RandomSource;
  #transcript: Buffer = Buffer.alloc(0);
  #keys: SessionKeys | undefined;

  constructor(options: FeederIdentity, dependencies: { readonly random: RandomSource }) {
    if (!FEEDER_NAME_PATTERN.test(options.feeder)) throw new RangeError('this is no name of a feeder');
    this.#identity = options;
    this.#random = dependencies.random;
  }

  /**
   * Reads the host's hello and answers it, as text. Nothing is proven to a host that is not the enrolled one.
   *
   * @throws EntropyError feed-message-invalid; feeder-unauthenticated: another host or receipt key
   */
  answer(message: Uint8Array): { readonly hello: Hello; readonly proof: Buffer } {
    if (this.#keys !== undefined) throw new TypeError('a handshake answers one hello');
    const hello = parseHello(message);
    const { feeder, key, host, receiptKey } = this.#identity;
    if (!equal(hello.host, host) || !equal(hello.receiptKey, receiptKey))
      throw new EntropyError('feeder-unauthenticated', 'the host is not the one of the enrolment');
    const { privateKey, ephemeral } = newEphemeral(this.#random);
    const sharedSecret = agree(privateKey, hello.ephemeral, 'feed-message-invalid');
    const opening = { feeder, nonce: randomBytes(this.#random, NONCE_BYTES), ephemeral };
    this.#transcript = transcriptOf(message, opening);
    this.#keys = deriveSessionKeys(sharedSecret, key, this.#transcript);
    wipe(sharedSecret);
    const proof = encodeProof({ ...opening, proof: proofOf(this.#keys.feederProof, this.#transcript) });
    return { hello, proof };
  }

  /**
   * Reads the host's welcome: it counts only when the host has the key too.
   *
   * @throws EntropyError feed-message-invalid; feeder-unauthenticated: the host does not have the key
   */
  finish(message: Uint8Array): { readonly welcome: Welcome; readonly session: FeedSession } {
    const keys = this.#keys;
    if (keys === undefined) throw new TypeError('a welcome follows a hello');
    const welcome = parseWelcome(message);
    if (!isProof(welcome.proof, keys.hostProof, this.#transcript, welcomeBytes(welcome)))
      throw new EntropyError('feeder-unauthenticated', 'the host does not have the key of this feeder');
    const session = sessionOf(Buffer.from(welcome.session), {
      opener: new FrameOpener({ key: Buffer.from(keys.hostToFeeder), firstSequence: 1 }),
      sealer: new FrameSealer({ key: Buffer.from(keys.feederToHost), firstSequence: welcome.nextSequence }),
    });
    this.wipe();
    return { welcome, session };
  }

  wipe(): void {
    if (this.#keys !== undefined) wipeSessionKeys(this.#keys);
    this.#keys = undefined;
  }
}

/** SHA-256 over all that was said before the proof: the hello as it was sent, and the fields of the answer. */
export function transcriptOf(
  hello: Uint8Array,
  answer: Pick<Proof, 'feeder' | 'nonce' | 'ephemeral'>,
): Buffer {
  const feeder = Buffer.from(answer.feeder, 'latin1');
  return createHash('sha256')
    .update('entropy-feed.v1 transcript\0')
    .update(lengthOf(hello))
    .update(hello)
    .update(lengthOf(feeder))
    .update(feeder)
    .update(answer.nonce)
    .update(answer.ephemeral)
    .digest();
}

/** The welcome as the host's proof covers it. */
export function welcomeBytes(welcome: WelcomeTerms & { readonly session: Uint8Array }): Buffer {
  const sequence = Buffer.alloc(8);
  sequence.writeBigUInt64BE(BigInt(welcome.nextSequence));
  const rateUnits = Buffer.alloc(4);
  rateUnits.writeUInt32BE(welcome.rateUnits);
  const feederClass = Buffer.from(welcome.feederClass, 'latin1');
  const lastReceipt = welcome.lastReceipt ?? Buffer.alloc(DIGEST_BYTES);
  return Buffer.concat([
    welcome.session,
    sequence,
    lastReceipt,
    rateUnits,
    lengthOf(feederClass),
    feederClass,
  ]);
}

function lengthOf(bytes: Uint8Array): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return length;
}

function sessionOf(
  id: Buffer,
  directions: { readonly opener: FrameOpener; readonly sealer: FrameSealer },
): FeedSession {
  const wipeBoth = (): void => {
    directions.opener.wipe();
    directions.sealer.wipe();
  };
  return { id, ...directions, wipe: wipeBoth };
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}
