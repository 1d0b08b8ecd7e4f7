import { EncryptionReportSchema } from './encryption.ts';
import { bare, BytesSchema, route } from './route.ts';

/** The rows of the table of routes that deal with the passphrase of mode NONE. */

const stateErrors = ['state-damaged', 'state-unwritable'] as const;

export const PASSPHRASE_ROUTES = {
  setPassphrase: route(
    'POST',
    '/v1/encryption/passphrase',
    'local-change',
    'Join a passphrase into mode NONE, or another in its place; the body is the passphrase, 8 to 1,024 bytes. Key and recovery key are new',
    {
      ...bare,
      body: BytesSchema,
      answer: EncryptionReportSchema,
      errors: ['media-type-unsupported', 'passphrase-refused', 'encryption-unsatisfied', ...stateErrors],
    },
  ),
  removePassphrase: route(
    'DELETE',
    '/v1/encryption/passphrase',
    'local-change',
    'Give the passphrase up: mode NONE is obfuscation again. Key and recovery key are new',
    { ...bare, answer: EncryptionReportSchema, errors: ['encryption-unsatisfied', ...stateErrors] },
  ),
} as const;
