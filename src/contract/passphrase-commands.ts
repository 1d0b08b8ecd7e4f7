import type { CommandEntry } from './command-entry.ts';

/** `system settings encryption passphrase`: what makes mode NONE protection. */

export const PASSPHRASE_NAMESPACES = {
  'system settings encryption passphrase': 'A passphrase that the configuration opens by, where no TPM does',
} as const;

const words = (command: string): string[] => ['system', 'settings', 'encryption', 'passphrase', command];

export const PASSPHRASE_COMMANDS = {
  removePassphrase: {
    words: words('remove'),
    summary:
      'Give the passphrase up: the configuration is obfuscated again, and whoever has the disk reads it',
    options: [],
    route: 'removePassphrase',
    output: null,
  },
  setPassphrase: {
    words: words('set'),
    summary: 'Join a passphrase into mode NONE, or another in its place; entropyd needs it from then on',
    options: [
      {
        long: 'passphrase-file',
        short: 'f',
        type: 'string',
        required: true,
        minimum: 1,
        maximum: 4096,
        path: 'file',
        description:
          'File with the passphrase, 8 to 1,024 bytes, which nobody else may read; /dev/stdin asks there',
      },
    ],
    route: 'setPassphrase',
    output: null,
  },
} as const satisfies Record<string, CommandEntry>;
