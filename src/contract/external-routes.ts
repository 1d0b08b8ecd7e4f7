import { Type } from 'typebox';
import { ExternalReportSchema } from './external.ts';
import {
  FEEDER_KEY_BYTES,
  FEEDER_NAME,
  FeederEnrolmentSchema,
  FeederReportSchema,
  ReceiptKeyReportSchema,
} from './feeders.ts';
import { bare, BytesSchema, route } from './route.ts';
import { closed } from './schema-parts.ts';

/** The rows of the table of routes that deal with external entropy: feeders, caches, receipts, and what is served. */

export const RANDOM_BYTES = { minimum: 1, maximum: 65_536 } as const;

const feeder = {
  params: Type.Object({ name: Type.String({ ...FEEDER_NAME }) }, closed),
  querystring: bare.querystring,
} as const;

const stateErrors = ['state-damaged', 'state-unwritable'] as const;
const changeErrors = ['feeder-unknown', ...stateErrors] as const;

/** A feeder's key, or nothing: then the host makes one. */
const keyBody = BytesSchema;
const KEY_RULE = `an empty body has the host make the key, ${FEEDER_KEY_BYTES} bytes import one`;

export const EXTERNAL_ROUTES = {
  external: route(
    'GET',
    '/v1/external',
    'external.read',
    'Caches of external entropy, the draw on them, and the link',
    {
      ...bare,
      answer: ExternalReportSchema,
      errors: [],
    },
  ),
  feeders: route(
    'GET',
    '/v1/feeders',
    'observe',
    'The enrolled feeders with their links and what they gave',
    {
      ...bare,
      answer: Type.Array(FeederReportSchema),
      errors: [],
    },
  ),
  enrollFeeder: route(
    'POST',
    '/v1/feeders/:name',
    'local-change',
    `Enrol a feeder and answer its enrolment file; ${KEY_RULE}`,
    {
      params: feeder.params,
      querystring: FeederEnrolmentSchema,
      body: keyBody,
      answer: BytesSchema,
      errors: [
        'feeder-exists',
        'feeder-limit',
        'feeder-class-refused',
        'media-type-unsupported',
        ...stateErrors,
      ],
    },
  ),
  rotateFeeder: route(
    'POST',
    '/v1/feeders/:name/rotate',
    'local-change',
    `Give a feeder a new key and answer its enrolment file; the old key holds until the new one is used; ${KEY_RULE}`,
    {
      ...feeder,
      body: keyBody,
      answer: BytesSchema,
      errors: [...changeErrors, 'media-type-unsupported'],
    },
  ),
  disableFeeder: route(
    'POST',
    '/v1/feeders/:name/disable',
    'config',
    'End the connection of a feeder and refuse it',
    {
      ...feeder,
      body: undefined,
      answer: FeederReportSchema,
      errors: changeErrors,
    },
  ),
  enableFeeder: route(
    'POST',
    '/v1/feeders/:name/enable',
    'config',
    'Let a disabled or suspended feeder in again',
    {
      ...feeder,
      body: undefined,
      answer: FeederReportSchema,
      errors: changeErrors,
    },
  ),
  revokeFeeder: route(
    'DELETE',
    '/v1/feeders/:name',
    'config',
    'Forget a feeder and its key; what it gave and is still cached is never used',
    { ...feeder, body: undefined, answer: FeederReportSchema, errors: changeErrors },
  ),
  receiptKey: route(
    'GET',
    '/v1/receipts/key',
    'external.read',
    'The public key that verifies the receipts of this host',
    {
      ...bare,
      answer: ReceiptKeyReportSchema,
      errors: [...stateErrors],
    },
  ),
  random: route('GET', '/v1/random', 'random', 'Random bytes of the DRBG, under budget, reserve and gate', {
    ...bare,
    querystring: Type.Object(
      {
        bytes: Type.Integer({ ...RANDOM_BYTES }),
        pr: Type.Boolean({
          default: false,
          description: 'Prediction resistance: only from entropy that arrived after the request',
        }),
      },
      closed,
    ),
    answer: BytesSchema,
    errors: ['gate-closed', 'served-budget-spent', 'served-reserve-kept', 'fresh-entropy-unavailable'],
  }),
} as const;
