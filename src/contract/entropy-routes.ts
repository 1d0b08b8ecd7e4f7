import { Type } from 'typebox';
import { IntakeReportSchema, ReceiptReportSchema } from './entropy-intake.ts';
import { bare, BytesSchema, route } from './route.ts';
import { closed } from './schema-parts.ts';

/** The rows of the table of routes by which feeders send entropy in requests: each needs a token of a feeder. */

const sequence = { minimum: 1, maximum: Number.MAX_SAFE_INTEGER } as const;

/** Kept records of one answer, 264 bytes each. */
export const RECEIPTS_LIMIT = { minimum: 1, maximum: 1_000, default: 100 } as const;

const feederErrors = [
  'external-disabled',
  'feeder-unauthenticated',
  'feeder-disabled',
  'feeder-suspended',
  'feed-rate-exceeded',
  'server-busy',
  'state-damaged',
  'state-unwritable',
] as const;

export const ENTROPY_ROUTES = {
  sendEntropy: route(
    'POST',
    '/v1/entropy',
    'external.write',
    'Send entropy, 32 to 65,536 bytes as they are; the answer is the receipt, binary unless Accept prefers JSON',
    {
      ...bare,
      headers: Type.Object(
        {
          'entropy-sequence': Type.Integer({
            ...sequence,
            description: 'Number of this request: the last that was accepted, plus one',
          }),
        },
        { additionalProperties: true },
      ),
      body: BytesSchema,
      success: 201,
      answer: ReceiptReportSchema,
      errors: [
        ...feederErrors,
        'sequence-used',
        'feed-sequence-wrong',
        'feed-grant-exceeded',
        'payload-too-large',
        'media-type-unsupported',
      ],
    },
  ),
  intake: route(
    'GET',
    '/v1/entropy',
    'external.write',
    'What the feeder of this token may send next; it counts as a sign of life',
    { ...bare, answer: IntakeReportSchema, errors: [...feederErrors] },
  ),
  intakeReceipts: route(
    'GET',
    '/v1/entropy/receipts',
    'external.write',
    'Kept receipts of the feeder of this token from a sequence on, oldest first, 264 bytes each',
    {
      ...bare,
      querystring: Type.Object(
        { from: Type.Integer({ ...sequence }), limit: Type.Integer({ ...RECEIPTS_LIMIT }) },
        closed,
      ),
      answer: BytesSchema,
      errors: [],
    },
  ),
} as const;
