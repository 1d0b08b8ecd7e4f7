import {
  EncryptionChangeSchema,
  EncryptionReportSchema,
  SealCheckSchema,
  SuspensionSchema,
} from './encryption.ts';
import { bare, route } from './route.ts';

/** The rows of the table of routes that deal with the encryption of the configuration. */
export const ENCRYPTION_ROUTES = {
  encryption: route('GET', '/v1/encryption', 'observe', 'The mode and policy of encryption', {
    ...bare,
    answer: EncryptionReportSchema,
    errors: [],
  }),
  changeEncryption: route(
    'PATCH',
    '/v1/encryption',
    'local-change',
    'Seal the configuration to the TPM, or change the policy; all that is asked for is done, or nothing is',
    {
      ...bare,
      body: EncryptionChangeSchema,
      answer: EncryptionReportSchema,
      errors: [
        'encryption-irreversible',
        'encryption-unsatisfied',
        'installation-altered',
        'tpm-absent',
        'tpm-permission',
        'tpm-version',
        'tpm-no-sha256',
        'tpm-owned',
        'tpm-vendor-refused',
        'tpm-refused',
        'state-damaged',
        'state-unwritable',
      ],
    },
  ),
  suspendSeal: route(
    'POST',
    '/v1/encryption/suspend',
    'local-change',
    'Let the configuration open for this and so many more boots whatever firmware does to the PCRs; the TPM ends it',
    {
      ...bare,
      body: SuspensionSchema,
      answer: EncryptionReportSchema,
      errors: [
        'encryption-unsatisfied',
        'installation-altered',
        'tpm-absent',
        'tpm-refused',
        'state-damaged',
        'state-unwritable',
      ],
    },
  ),
  checkSeal: route(
    'POST',
    '/v1/encryption/check',
    'local-change',
    'Whether the configuration would open now',
    {
      ...bare,
      answer: SealCheckSchema,
      errors: [],
    },
  ),
} as const;
