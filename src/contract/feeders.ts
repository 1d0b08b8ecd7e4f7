import { Type, type Static } from 'typebox';
import { FEEDER_CLASSES, FEEDER_NAME_PATTERN } from '../base/names.ts';
import { LinkSchema } from './external.ts';
import { closed, oneOf } from './schema-parts.ts';

/** Feeders as the operator enrols them and as the daemon tells of them. */

export const FEEDER_NAME = { minLength: 1, maxLength: 32, pattern: FEEDER_NAME_PATTERN.source } as const;

/** Bytes of a feeder's key, imported or made by the host. */
export const FEEDER_KEY_BYTES = 32;

/** The most that an enrolment may allow. */
export const BYTES_PER_SECOND = { minimum: 32, maximum: 2 ** 30 } as const;

/** A feeder's share of room in the caches that several want. */
export const WEIGHT = { minimum: 1, maximum: 100 } as const;
export const DEFAULT_WEIGHT = 1;

/** Certificate number or report of the source; printable, for it goes to terminals. */
export const CERTIFICATE = { minLength: 1, maxLength: 200, pattern: '^[^\\p{C}\\p{Zl}\\p{Zp}]*$' } as const;

export const FEEDER_STATES = ['enabled', 'disabled', 'suspended'] as const;
export type FeederState = (typeof FEEDER_STATES)[number];

export const FeederClassSchema = oneOf(...FEEDER_CLASSES);

/** What the operator decides when he enrols a feeder; it stands in the query, because the body is the key alone. */
export const FeederEnrolmentSchema = Type.Object(
  {
    class: FeederClassSchema,
    bitsPerByte: Type.Number({
      minimum: 0,
      maximum: 8,
      description: 'Credit per byte, rounded down to 1/1024 bit; 0 for the classes public and host-derived',
    }),
    certificate: Type.Optional(
      Type.String({ ...CERTIFICATE, description: 'Of the source; full-entropy needs one' }),
    ),
    maximumBytesPerSecond: Type.Optional(
      Type.Integer({
        ...BYTES_PER_SECOND,
        description: 'What the feeder may send; absent: the limit of the host',
      }),
    ),
    weight: Type.Optional(
      Type.Integer({ ...WEIGHT, description: 'Its share of room that several feeders want; absent: 1' }),
    ),
  },
  closed,
);
export type FeederEnrolment = Static<typeof FeederEnrolmentSchema>;

const sum = Type.Integer({ minimum: 0 });

export const FeederReportSchema = Type.Object(
  {
    name: Type.String({ ...FEEDER_NAME }),
    id: Type.Integer({ minimum: 1, maximum: 2 ** 32 - 1, description: 'Given at enrolment, never again' }),
    class: FeederClassSchema,
    bitsPerByte: Type.Number({ minimum: 0, maximum: 8 }),
    certificate: Type.String({ description: 'Empty when none was named' }),
    maximumBytesPerSecond: Type.Integer({
      minimum: 0,
      description: 'In force: its own limit or that of the host',
    }),
    weight: Type.Integer({ ...WEIGHT }),
    state: oneOf(...FEEDER_STATES),
    link: LinkSchema,
    address: Type.String({ description: 'Of the present or last connection; empty before the first' }),
    lastHeardMs: Type.Union([Type.Integer(), Type.Null()], { description: 'null: not since start' }),
    acceptedBytes: Type.Integer({ minimum: 0, description: 'Since start, as all figures here' }),
    creditedBits: Type.Number({ minimum: 0 }),
    frames: sum,
    refusedFrames: Type.Integer({ minimum: 0, description: 'Failed at the door, duplicates, without room' }),
    createdMs: Type.Integer(),
    keyRotationPending: Type.Boolean({ description: 'A new key was made, and the old one is still in use' }),
  },
  closed,
);
export type FeederReport = Static<typeof FeederReportSchema>;

/** What it takes to verify receipts of this host. */
export const ReceiptKeyReportSchema = Type.Object(
  {
    host: Type.String({ pattern: '^[0-9a-f]{32}$', description: 'Id of the host, 16 bytes' }),
    key: Type.String({ pattern: '^[0-9a-f]{64}$', description: 'Public key, 32 bytes (RFC 8032)' }),
    algorithm: Type.Literal('Ed25519'),
  },
  closed,
);
export type ReceiptKeyReport = Static<typeof ReceiptKeyReportSchema>;
