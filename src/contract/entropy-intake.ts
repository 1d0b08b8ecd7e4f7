import { Type, type Static } from 'typebox';
import { FRAME_VERDICTS } from '../base/names.ts';
import { FEEDER_NAME } from './feeders.ts';
import { closed, oneOf } from './schema-parts.ts';

/** Entropy that comes by single requests. */

/** Bytes of one request's entropy, as of a frame of the feed. */
export const ENTROPY_BYTES = { minimum: 32, maximum: 65_536 } as const;

/** Where a request came from. */
export interface RequestOrigin {
  /** `ADDRESS:PORT`; an IPv6 address stands in brackets. */
  readonly address: string;
  readonly ipAddress: string;
}

/** A feeder as a token or an account names it. */
export interface IntakeFeeder {
  readonly id: number;
  readonly name: string;
}

/** What a request offers before any of it is read. */
export interface EntropyOffer {
  /** Undefined: the next, as the host counts. */
  readonly sequence: number | undefined;
  /** Undefined: not told yet. */
  readonly lengthBytes: number | undefined;
}

/** The feeder's turn: nothing else of it is taken until this is used or let go. */
export interface IntakeTurn {
  readonly sequence: number;
  /** What this request may bring, at most. */
  readonly grantedBytes: number;
  /**
   * Takes the entropy, and wipes it; resolves to the record of its receipt, 264 bytes. `digestKey` has 32 bytes that the feeder knows:
   * see `requestDigest`. Throws `feed-grant-exceeded`, `feed-rate-exceeded`, `request-invalid` for a length, `state-unwritable`, `engine-stopped`.
   */
  take(payload: Uint8Array, digestKey: Uint8Array): Promise<Uint8Array>;
  /** The turn is over; does nothing once it was taken. */
  letGo(): void;
}

export const IntakeReportSchema = Type.Object(
  {
    feeder: Type.String({ ...FEEDER_NAME }),
    nextSequence: Type.Integer({ minimum: 1, description: 'What the next Entropy-Sequence has to be' }),
    grantedBytes: Type.Integer({ minimum: 0, description: 'What a request may bring now, at most' }),
  },
  closed,
);
export type IntakeReport = Static<typeof IntakeReportSchema>;

/** Feeders that send requests instead of holding a connection: the same door, marks, caches, links and receipts. */
export interface EntropyIntake {
  /** Counts as a sign of life. Throws as `begin` does. */
  standing(feeder: IntakeFeeder, origin: RequestOrigin): Promise<IntakeReport>;
  /**
   * Nothing is taken by it, whatever it throws: `external-disabled`, `feeder-unauthenticated` (revoked), `feeder-disabled`,
   * `feeder-suspended`, `sequence-used` and `feed-sequence-wrong` with `nextSequence`, `feed-grant-exceeded` and `feed-rate-exceeded` with
   * `grantedBytes`, `server-busy` (another request of the feeder), `state-unwritable`, `engine-stopped`.
   */
  begin(feeder: IntakeFeeder, offer: EntropyOffer, origin: RequestOrigin): Promise<IntakeTurn>;
  /** Kept records of the feeder from a sequence on, oldest first. */
  receipts(feeder: IntakeFeeder, fromSequence: number, limit: number): Uint8Array[];
}

const hex = (bytes: number) => Type.String({ pattern: `^[0-9a-f]{${bytes * 2}}$` });
const size = Type.Integer({ minimum: 0 });

/** A receipt, read; `record` is the signed one. */
export const ReceiptReportSchema = Type.Object(
  {
    kind: oneOf('frame', 'end'),
    verdict: oneOf(...FRAME_VERDICTS),
    feeder: Type.String({ ...FEEDER_NAME }),
    feederId: Type.Integer({ minimum: 1 }),
    host: hex(16),
    session: hex(16),
    sequence: Type.Integer({ minimum: 1 }),
    timeMs: Type.Integer(),
    requestDigest: hex(32),
    position: Type.Integer({ minimum: 1 }),
    payloadBytes: size,
    memoryBytes: size,
    storedBytes: size,
    creditedBits: Type.Number({ minimum: 0 }),
    previous: hex(32),
    record: Type.String({ description: 'The record as it was signed, 264 bytes in base64' }),
  },
  closed,
);
export type ReceiptReport = Static<typeof ReceiptReportSchema>;
