import { Type, type Static } from 'typebox';
import { closed, oneOf } from './schema-parts.ts';

/** How the configuration is encrypted, and what is asked of the host before it opens. */

export const ENCRYPTION_MODES = ['NONE', 'TPM'] as const;
export type EncryptionMode = (typeof ENCRYPTION_MODES)[number];

/** PCRs that can be added to the policy: 4 boot loader, 11 unified kernel image, 14 shim's keys. */
export const ADDABLE_PCRS = [4, 11, 14] as const;

export const EncryptionReportSchema = Type.Object(
  {
    mode: oneOf(...ENCRYPTION_MODES),
    requireExecInstalledOnly: Type.Boolean({
      description: 'It opens only when the installed files are those that were built',
    }),
    requireSecureBoot: Type.Boolean({ description: 'It opens only when Secure Boot is on' }),
    passphrase: Type.Boolean({
      description:
        'A passphrase is joined in: mode NONE is then protection as good as the passphrase, and obfuscation without it',
    }),
    pcrs: Type.Array(Type.Integer(), { description: 'PCRs of the policy, in order; empty in mode NONE' }),
  },
  closed,
);
export type EncryptionReport = Static<typeof EncryptionReportSchema>;

/** What is left out stays as it is; at the first sealing Secure Boot is required when it is on. */
export const EncryptionChangeSchema = Type.Object(
  {
    mode: Type.Optional(oneOf(...ENCRYPTION_MODES)),
    requireSecureBoot: Type.Optional(Type.Boolean()),
    requireExecInstalledOnly: Type.Optional(Type.Boolean()),
    pcrs: Type.Optional(
      Type.Array(Type.Integer({ minimum: 0, maximum: 23 }), {
        maxItems: ADDABLE_PCRS.length,
        uniqueItems: true,
        description: `PCRs to add: of ${ADDABLE_PCRS.join(', ')}`,
      }),
    ),
  },
  { ...closed, minProperties: 1 },
);
export type EncryptionChange = Static<typeof EncryptionChangeSchema>;

export const SealCheckSchema = Type.Object(
  {
    mode: oneOf(...ENCRYPTION_MODES),
    opens: Type.Boolean({ description: 'The configuration would open if the daemon started now' }),
    code: Type.String({ description: 'Why it would not; empty when it would' }),
    because: Type.String(),
    secureBoot: oneOf('on', 'off', 'unknown'),
    signer: Type.String({
      description:
        'Who signed the installed files: `local` for a build of this machine, else the release key; empty when they do not match',
    }),
    pcrs: Type.Array(Type.Integer()),
  },
  closed,
);
export type SealCheck = Static<typeof SealCheckSchema>;
