import type { CommandEntry } from './command-entry.ts';
import { RECOVERY_SHAPES } from './recovery-shapes.ts';

/** `system settings encryption recovery` as esxcli has it, with two commands of our own, and `mixer backup`. */

export const RECOVERY_NAMESPACES = {
  'system settings encryption recovery':
    'The recovery key, by which the configuration opens when its mode does not',
} as const;

const words = (command: string): string[] => ['system', 'settings', 'encryption', 'recovery', command];

export const BACKUP_COMMANDS = {
  backup: {
    words: ['mixer', 'backup'],
    summary: 'Write the configuration archive now; the one before is kept',
    options: [],
    route: 'backup',
    output: null,
  },
} as const satisfies Record<string, CommandEntry>;

export const RECOVERY_COMMANDS = {
  acknowledgeRecovery: {
    words: words('acknowledge'),
    summary: 'Say that the recovery key is backed up; the alarm is off until the key changes',
    options: [],
    route: 'acknowledgeRecovery',
    output: null,
  },
  escrowRecovery: {
    words: words('escrow'),
    summary: "Encrypt the recovery key to a fleet's public key, now and at each rotation",
    options: [
      {
        long: 'recipient',
        short: 'r',
        type: 'string',
        required: true,
        minimum: 1,
        maximum: 4096,
        path: 'file',
        description: 'File with the RSA public key or certificate, PEM, 2,048 to 8,192 bits',
      },
    ],
    route: 'escrowRecovery',
    output: RECOVERY_SHAPES.recovery,
  },
  recoveryKey: {
    words: words('list'),
    summary: 'List the recovery key; keep it apart from this host. Who asked is recorded',
    options: [],
    route: 'recoveryKey',
    output: RECOVERY_SHAPES.recoveryKey,
  },
  rotateRecovery: {
    words: words('rotate'),
    summary: 'Give the configuration a new key and recovery key; the old ones open nothing any more',
    options: [],
    route: 'rotateRecovery',
    output: null,
  },
} as const satisfies Record<string, CommandEntry>;
