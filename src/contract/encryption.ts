import { Type, type Static } from 'typebox';
import { closed, oneOf } from './schema-parts.ts';

/** How the configuration is encrypted, and what is asked of the host before it opens. */

export const ENCRYPTION_MODES = ['NONE', 'TPM'] as const;
export type EncryptionMode = (typeof ENCRYPTION_MODES)[number];

/** PCRs that can be added to the policy: 4 boot loader, 11 unified kernel image, 14 shim's keys. */
export const ADDABLE_PCRS = [4, 11, 14] as const;

/** A firmware update takes one boot or a few. */
export const MAXIMUM_SUSPENDED_BOOTS = 8;

const suspendedBoots = Type.Union(
  [Type.Integer({ minimum: 0, maximum: MAXIMUM_SUSPENDED_BOOTS }), Type.Null()],
  {
    description:
      'Boots after this one in which the seal does not look at the PCRs that firmware changes; null when it is not suspended',
  },
);

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
    suspendedBoots,
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

export const SECURE_BOOT_KEYS = ['same', 'changed', 'unknown'] as const;
export const KEYS_COMPARED_WITH = ['boot', 'start', ''] as const;

export const SuspensionSchema = Type.Object(
  {
    boots: Type.Integer({
      minimum: 0,
      maximum: MAXIMUM_SUSPENDED_BOOTS,
      description: 'Boots after this one; 0 ends the suspension',
    }),
  },
  closed,
);

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
    suspendedBoots,
    secureBootKeys: Type.Unsafe<(typeof SECURE_BOOT_KEYS)[number]>({
      ...oneOf(...SECURE_BOOT_KEYS),
      description:
        'db and dbx of the firmware, compared with what `keysComparedWith` names: changed, PCR 7 will differ at the next boot',
    }),
    keysComparedWith: Type.Unsafe<(typeof KEYS_COMPARED_WITH)[number]>({
      ...oneOf(...KEYS_COMPARED_WITH),
      description:
        '`boot`: what firmware measured, by its event log; `start`: what the daemon found at its start; empty when unknown',
    }),
  },
  closed,
);
export type SealCheck = Static<typeof SealCheckSchema>;
export type KeysReport = Pick<SealCheck, 'secureBootKeys' | 'keysComparedWith'>;
