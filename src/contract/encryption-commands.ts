import type { CommandEntry, OptionEntry } from './command-entry.ts';
import { ADDABLE_PCRS, MAXIMUM_SUSPENDED_BOOTS } from './encryption.ts';
import { text, truth, type OutputShape } from './shape-entry.ts';

/** `system settings encryption` as esxcli has it, and `mixer seal`. */

export const ENCRYPTION_NAMESPACES = {
  'system settings encryption': 'How the configuration is encrypted, and what opens it',
} as const;

export const SEAL_NAMESPACES = { 'mixer seal': 'What the configuration is sealed to' } as const;

/** Fields in the order, and under the labels, that esxcli prints, and then our own. */
const ENCRYPTION: OutputShape = {
  struct: 'EncryptionSettings',
  kind: 'object',
  hint: 'simple',
  fields: [
    text('mode', 'Mode'),
    truth('requireExecInstalledOnly', 'Require Executables Only From Installed VIBs'),
    truth('requireSecureBoot', 'Require Secure Boot'),
    truth('passphrase', 'Passphrase Joined'),
  ],
};

const SEAL_CHECK: OutputShape = {
  struct: 'SealCheck',
  kind: 'object',
  hint: 'simple',
  fields: [
    text('mode', 'Mode'),
    truth('opens', 'Opens Now'),
    text('because', 'Because'),
    text('pcrs', 'PCRs'),
    text('secureBoot', 'Secure Boot'),
    text('signer', 'Installation Signer'),
    text('suspension', 'Suspension', 'none'),
    text('secureBootKeys', 'Secure Boot Keys'),
  ],
};

export const TRUTHS = ['T', 'F', 'true', 'false', 'True', 'False'] as const;

function truthOption(long: string, short: string, description: string): OptionEntry {
  return { long, short, type: 'string', choices: TRUTHS, description };
}

export const ENCRYPTION_COMMANDS = {
  encryption: {
    words: ['system', 'settings', 'encryption', 'get'],
    summary: 'Get the mode and policy of encryption',
    options: [],
    route: 'encryption',
    output: ENCRYPTION,
  },
  changeEncryption: {
    words: ['system', 'settings', 'encryption', 'set'],
    summary: 'Seal the configuration to the TPM, which cannot be undone, or change what it asks of the host',
    options: [
      {
        long: 'mode',
        short: 'm',
        type: 'string',
        choices: ['TPM', 'NONE'],
        description: 'TPM seals the configuration, also anew after a recovery; it cannot be undone',
      },
      truthOption('require-secure-boot', 's', 'Whether it opens only when Secure Boot is on'),
      truthOption(
        'require-exec-installed-only',
        'e',
        'Whether it opens only when the installed files are those that were built; needs Secure Boot required',
      ),
      {
        long: 'pcrs',
        short: 'p',
        type: 'string',
        minimum: 1,
        maximum: 16,
        description: `More PCRs to seal to, of ${ADDABLE_PCRS.join(', ')}, with commas; none for no more`,
      },
    ],
    route: 'changeEncryption',
    output: null,
  },
} as const satisfies Record<string, CommandEntry>;

export const SEAL_COMMANDS = {
  checkSeal: {
    words: ['mixer', 'seal', 'check'],
    summary: 'Check whether the configuration would open if the daemon started now',
    options: [],
    route: 'checkSeal',
    output: SEAL_CHECK,
  },
  suspendSeal: {
    words: ['mixer', 'seal', 'suspend'],
    summary:
      'Before a firmware update: let the configuration open for so many boots whatever that does to the PCRs. The TPM ends it',
    options: [
      {
        long: 'boots',
        short: 'b',
        type: 'integer',
        required: true,
        minimum: 0,
        maximum: MAXIMUM_SUSPENDED_BOOTS,
        description: 'How many boots after this one; 0 ends it now',
      },
    ],
    route: 'suspendSeal',
    output: null,
  },
} as const satisfies Record<string, CommandEntry>;
