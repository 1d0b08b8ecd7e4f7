import { timingSafeEqual, type KeyObject } from 'node:crypto';
import { isAllZero } from '../base/bytes.ts';
import { EntropyError } from '../base/errors.ts';
import { MAXIMUM_RATE_UNITS } from './limits.ts';
import { publicKeyFrom } from './raw-keys.ts';
import { isSigned, parseReceipt, previousOf, RECEIPT_BYTES, receiptDigest, type Receipt } from './receipt.ts';

export interface ReceiptVerifierOptions {
  /** Ed25519 public key, 32 bytes. */
  readonly receiptKey: Uint8Array;
  /** Id of the host that must have signed; without it, all records must be of the host of the first. */
  readonly host?: Uint8Array;
  /**
   * Whether a signature also vouches for the records before it in the same piece, as each is signed over the SHA-256 of the one before:
   * what a live session needs, at one check of a signature for many records. Off: each must bear its own.
   */
  readonly believesChains?: boolean;
}

/** Sums over the frame records that were verified. */
export interface ReceiptSummary {
  readonly records: number;
  readonly frames: number;
  readonly sessions: number;
  /** Sessions without their end: the last frames of such a session may be missing. */
  readonly openSessions: number;
  readonly payloadBytes: number;
  readonly memoryBytes: number;
  readonly storedBytes: number;
  readonly creditUnits: number;
  /** SHA-256 of the last record; undefined when there is none. */
  readonly lastReceipt: Buffer | undefined;
}

const NUMBERS = ['payloadBytes', 'memoryBytes', 'storedBytes', 'creditUnits'] as const;
type Sums = Record<(typeof NUMBERS)[number], number>;

/** How far the chain of one session has come. */
interface Session {
  readonly first: Receipt;
  readonly sums: Sums;
  position: number;
  sequence: number;
  digest: Buffer;
  hasEnded: boolean;
}

/** Bounds the memory that a hostile file can take. */
const MAXIMUM_SESSIONS = 65_536;

/**
 * Verifies records that lie one after the other, given in pieces of any size. Each must be signed, sound in itself, and the next of its
 * session; sessions may lie between one another, as when receipts that were missed are asked for later. Accepts only whole chains: a file
 * whose first records are gone is refused at the first that remains.
 */
export class ReceiptVerifier {
  readonly #publicKey: KeyObject;
  readonly #believesChains: boolean;
  #host: Uint8Array | undefined;
  readonly #sessions = new Map<string, Session>();
  readonly #sums: Sums = noSums();
  #records = 0;
  #frames = 0;
  #last: Buffer | undefined;
  #kept: Buffer = Buffer.alloc(0);

  constructor(options: ReceiptVerifierOptions) {
    this.#publicKey = publicKeyFrom('ed25519', options.receiptKey);
    this.#host = options.host;
    this.#believesChains = options.believesChains ?? false;
  }

  /** Throws `receipt-invalid`, naming the first wrong record by its number from 1, and why. The records that were whole, parsed. */
  add(piece: Uint8Array): Receipt[] {
    const bytes = Buffer.concat([this.#kept, piece]);
    const records = Array.from({ length: Math.floor(bytes.length / RECEIPT_BYTES) }, (_, index) =>
      bytes.subarray(index * RECEIPT_BYTES, (index + 1) * RECEIPT_BYTES),
    );
    const isVouchedFor = this.#isChainedToSigned(records);
    const receipts = records.map((record) => this.#verified(record, isVouchedFor));
    this.#kept = Buffer.from(bytes.subarray(records.length * RECEIPT_BYTES));
    return receipts;
  }

  /** SHA-256 of the last record that was verified; undefined when there is none. */
  get lastReceipt(): Buffer | undefined {
    return this.#last;
  }

  /** Throws `receipt-invalid` when the last record was cut off. */
  summary(): ReceiptSummary {
    if (this.#kept.length > 0) throw this.#invalid(`it ends after ${this.#kept.length} bytes`);
    const sessions = [...this.#sessions.values()];
    return {
      records: this.#records,
      frames: this.#frames,
      sessions: sessions.length,
      openSessions: sessions.filter(({ hasEnded }) => !hasEnded).length,
      ...this.#sums,
      lastReceipt: this.#last,
    };
  }

  /** Whether the last of several records is signed, and over all the others. */
  #isChainedToSigned(records: readonly Buffer[]): boolean {
    if (!this.#believesChains || records.length < 2) return false;
    let before: Buffer | undefined;
    for (const record of records) {
      if (before !== undefined && !equal(previousOf(record), receiptDigest(before))) return false;
      before = record;
    }
    return before !== undefined && isSigned(before, this.#publicKey);
  }

  #verified(record: Buffer, isVouchedFor: boolean): Receipt {
    const receipt = this.#parsed(record);
    if (!isVouchedFor && !isSigned(record, this.#publicKey))
      throw this.#invalid('its signature does not match the receipt key');
    this.#host ??= receipt.host;
    if (!equal(receipt.host, this.#host)) throw this.#invalid('it is of another host');
    const fault = contentFault(receipt);
    if (fault !== undefined) throw this.#invalid(fault);
    this.#follow(receipt, record);
    return receipt;
  }

  #parsed(record: Buffer): Receipt {
    try {
      return parseReceipt(record);
    } catch (error) {
      throw error instanceof EntropyError ? this.#invalid(error.message) : error;
    }
  }

  #follow(receipt: Receipt, record: Buffer): void {
    const key = Buffer.from(receipt.session).toString('hex');
    const session = this.#sessions.get(key) ?? newSession(receipt);
    const fault = chainFault(session, receipt);
    if (fault !== undefined) throw this.#invalid(fault);
    if (!this.#sessions.has(key) && this.#sessions.size >= MAXIMUM_SESSIONS)
      throw this.#invalid(`it begins more than ${MAXIMUM_SESSIONS} sessions`);
    this.#sessions.set(key, session);
    session.position = receipt.position;
    session.sequence = receipt.sequence;
    session.digest = receiptDigest(record);
    session.hasEnded = receipt.kind === 'end';
    this.#last = session.digest;
    this.#records++;
    if (receipt.kind === 'end') return;
    this.#frames++;
    for (const name of NUMBERS) {
      session.sums[name] += receipt[name];
      this.#sums[name] += receipt[name];
    }
  }

  #invalid(why: string): EntropyError {
    return new EntropyError('receipt-invalid', `record ${this.#records + 1}: ${why}`);
  }
}

/** What an honest host cannot have signed. */
function contentFault(receipt: Receipt): string | undefined {
  const takenBytes = receipt.memoryBytes + receipt.storedBytes;
  const isWorthless = ['uncredited', 'test-failed', 'duplicate'].includes(receipt.verdict);
  if (takenBytes > receipt.payloadBytes) return 'more bytes were taken than came';
  if (receipt.creditUnits > takenBytes * MAXIMUM_RATE_UNITS)
    return 'the credit is over 8 bits per byte taken';
  if (isWorthless && receipt.creditUnits > 0) return `it credits a frame with the verdict ${receipt.verdict}`;
  if (receipt.kind === 'end' && !isAllZero(receipt.frameDigest)) return 'an end names a frame';
  return undefined;
}

function chainFault(session: Session, receipt: Receipt): string | undefined {
  const { first, sums } = session;
  if (session.hasEnded) return 'its session had ended';
  if (receipt.position !== session.position + 1)
    return `it is number ${receipt.position} of its session, expected ${session.position + 1}`;
  if (!equal(receipt.previous, session.digest)) return 'it does not follow the record before it';
  if (receipt.feeder !== first.feeder || receipt.feederId !== first.feederId)
    return 'it is of another feeder than its session';
  if (receipt.kind === 'frame')
    return receipt.sequence > session.sequence ? undefined : 'its sequence does not rise';
  if (receipt.position === 1) return 'it ends a session without a frame';
  if (receipt.sequence !== session.sequence) return 'it ends at another frame than the last';
  return NUMBERS.some((name) => receipt[name] !== sums[name])
    ? 'its sums are not those of the session'
    : undefined;
}

function newSession(first: Receipt): Session {
  return {
    first,
    sums: noSums(),
    position: 0,
    sequence: 0,
    digest: Buffer.alloc(first.previous.length),
    hasEnded: false,
  };
}

function noSums(): Sums {
  return { payloadBytes: 0, memoryBytes: 0, storedBytes: 0, creditUnits: 0 };
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}
