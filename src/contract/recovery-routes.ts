import { Type } from 'typebox';
import { RECIPIENT_TEXT, RecoveryReportSchema } from './recovery.ts';
import { bare, BytesSchema, route } from './route.ts';
import { closed } from './schema-parts.ts';

/** The rows of the table of routes that deal with the archive's recovery key and copies. */

const errors = ['state-damaged', 'state-unwritable'] as const;

export const RECOVERY_ROUTES = {
  recovery: route(
    'GET',
    '/v1/recovery',
    'observe',
    'Which recovery key the archive has, and whether it is backed up',
    {
      ...bare,
      answer: RecoveryReportSchema,
      errors: [],
    },
  ),
  recoveryKey: route(
    'POST',
    '/v1/recovery/show',
    'local-change',
    'The recovery key as one line, `{UUID} 000000-…`; who asked is recorded',
    { ...bare, answer: BytesSchema, errors },
  ),
  rotateRecovery: route(
    'POST',
    '/v1/recovery/rotate',
    'local-change',
    'Give the archive a new key and a new recovery key; the old ones open nothing any more',
    { ...bare, answer: RecoveryReportSchema, errors },
  ),
  acknowledgeRecovery: route(
    'POST',
    '/v1/recovery/acknowledge',
    'local-change',
    'Say that the recovery key is backed up; the alarm is off until the key changes',
    { ...bare, answer: RecoveryReportSchema, errors },
  ),
  escrowRecovery: route(
    'POST',
    '/v1/recovery/escrow',
    'local-change',
    'Encrypt the recovery key to a public key, now and at each rotation, into a file beside the archive',
    {
      ...bare,
      body: Type.Object(
        { recipient: Type.String({ ...RECIPIENT_TEXT, description: 'RSA public key or certificate, PEM' }) },
        closed,
      ),
      answer: RecoveryReportSchema,
      errors: ['recipient-refused', ...errors],
    },
  ),
  backup: route('POST', '/v1/backup', 'local-change', 'Write the archive now; durable before the answer', {
    ...bare,
    answer: RecoveryReportSchema,
    errors,
  }),
} as const;
